"""Decide how a cluster shall be scaled, from one answer of its GCS.

Owns: how demand, nodes and memory come together, and when to act. Does not own: fitting
(`scale_up`), what may go (`scale_down`) or carrying it out (`scaling`). Invariant: a decision
follows from the spec, the Pods and what Ray says; what is remembered only makes it sooner, or
surer.

A shortage of plain requests is doubted once: what a node has free is newer than what waits, by up
to a second, so that a task that was placed just now seems to wait still. It is believed at once
where nothing that could have taken it has changed since the last look. Gangs and constraints are
exact.
"""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ray_operator import scaling_records
from ray_operator.autoscaler import (
    amounts,
    demand,
    explain,
    memory,
    model,
    options,
    packing,
    report,
    scale_down,
    scale_up,
)

STUCK_AFTER = timedelta(seconds=120)
"""A Pod on its way that something obstructs for so long doesn't count as a node to come."""
FAILED_FOR = timedelta(seconds=10)
"""A group that failed is the last choice for so long, and then a better one bit by bit."""
OWN_LABEL = "ray.io/node-id"
"""In which no two nodes are alike."""
STILL_BUSY = timedelta(seconds=30)
QUIET_AFTER = timedelta(seconds=60)


class Pace:
    """How soon to look again.

    The GCS hears of its nodes' loads once a second; who asks as often waits for another half.
    """

    BUSY = timedelta(seconds=0.5)
    QUIET = timedelta(seconds=2)
    SLEEPY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now.

    Attributes:
        launches: replicas to add, by group; `why` tells for what.
        removals: what may go if Ray agrees.
        told: to Ray.
        look_after: when to look again.
        is_calm: nothing goes on, and nothing is to be waited for.
    """

    launches: Mapping[str, int] = dataclasses.field(default_factory=dict)
    why: str = ""
    removals: tuple[scale_down.Removal, ...] = ()
    scales: tuple[scaling_records.Scale, ...] = ()
    unmet: tuple[scaling_records.Unmet, ...] = ()
    told: scaling_records.Report = dataclasses.field(default_factory=scaling_records.Report)
    look_after: timedelta = Pace.QUIET
    is_calm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be decided on: the cluster, what it lacks, and whether drivers are connected."""

    cluster: model.Cluster
    demand: demand.Demand
    has_drivers: bool
    options: options.Options


def problem(asked: Question, remembered: memory.Memory, now: datetime) -> scale_up.Problem:
    """Return what has to be solved before anything can be decided."""
    cluster = asked.cluster
    waiting = _stuck(cluster, now)
    stuck = {each.pod for each in waiting}
    templates = {group.name: group.template for group in cluster.groups}
    # What obstructs Pods of another template needn't obstruct those to come.
    failing = {each.group for each in waiting if each.template == templates[each.group]}
    failing |= _refused(cluster, remembered, now)
    return scale_up.Problem(
        demand=asked.demand,
        bins=_bins(cluster, stuck),
        stuck=tuple(_bin(each) for each in cluster.workers() if each.pod in stuck),
        sources=tuple(
            packing.Source(
                group.name,
                0 if group.name in failing else group.maximum - max(group.desired, group.count()),
                group.offers,
                group.priority,
                _availability(group.name, remembered, asked.options, now),
            )
            for group in cluster.groups
        ),
        trusted=_trusted(asked, remembered, now),
        conserves_gpus=asked.options.conserves_gpus,
    )


def decide(
    asked: Question, solution: scale_up.Solution, remembered: memory.Memory, now: datetime
) -> tuple[Decision, memory.Memory]:
    """Return what to do, and what to remember; `solution` is that of `problem`."""
    cluster = asked.cluster
    stuck = _stuck(cluster, now)
    is_held = remembered.up_from is not None and now < remembered.up_from
    launches = {} if is_held else _bounded(asked, solution.launches, stuck)
    shrinking = scale_down.plan(cluster, solution, remembered, asked.options, now)
    unmet = explain.unmet(cluster, solution, stuck)
    works = any(each.idle is None for each in cluster.workers())
    is_active = bool(asked.demand or launches or works or asked.has_drivers)
    active_at = now if is_active or remembered.active_at is None else remembered.active_at
    failed = {**remembered.failed, **{each.group: now for each in stuck}}
    after = replace(
        remembered,
        short=memory.since(remembered.short, {shape for shape, _ in solution.shortage}, now),
        free=_free_since(cluster, remembered, now),
        removable=shrinking.removable,
        unneeded=shrinking.unneeded,
        dead=shrinking.dead,
        owed=memory.since(
            remembered.owed, {each.name for each in cluster.groups if each.owed()}, now
        ),
        failed={name: at for name, at in failed.items() if now - at < asked.options.recovery},
        active_at=active_at,
    )
    decision = Decision(
        launches=launches,
        why=_why(asked, solution) if launches else "",
        removals=shrinking.removals,
        scales=tuple(_scale(group, launches.get(group.name, 0)) for group in cluster.groups),
        unmet=unmet,
        told=report.report(cluster, solution, launches, stuck=stuck, owed_since=after.owed),
        look_after=_pace(asked, is_active=is_active, idle_for=now - active_at),
        is_calm=not is_active and all(map(_is_empty, cluster.groups)),
    )
    return decision, after


def _is_empty(group: model.Group) -> bool:
    return not (group.workers or group.owed() or group.listed)


def _pace(asked: Question, *, is_active: bool, idle_for: timedelta) -> timedelta:
    if asked.options.interval is not None:
        return max(asked.options.interval, scale_down.SURELY)
    if is_active or idle_for < STILL_BUSY:
        return Pace.BUSY
    is_empty = not asked.cluster.workers()
    return Pace.SLEEPY if is_empty and idle_for > QUIET_AFTER else Pace.QUIET


def _bounded(
    asked: Question, launches: Mapping[str, int], stuck: Collection[model.Worker]
) -> dict[str, int]:
    """Hold back what is too much at once; the rest follows."""
    cluster = asked.cluster
    states = [each.state for each in cluster.workers()]
    coming = states.count(model.State.PENDING) - len(stuck)
    coming += sum(group.owed() * group.hosts for group in cluster.groups)
    room = min(options.MOST_PODS, asked.options.most_launches - coming)
    if cluster.is_conservative:
        room = min(room, max(1, states.count(model.State.RUNNING)) - coming)
    room = max(room, 0)
    found: dict[str, int] = {}
    for group in cluster.groups:
        wanted = launches.get(group.name, 0)
        # A replica of many hosts must be possible at all.
        fits = room // group.hosts or int(room > 0 and not coming and not found)
        if number := min(wanted, fits):
            found[group.name] = number
            room -= number * group.hosts
    return found


def _bins(cluster: model.Cluster, stuck: set[str]) -> tuple[packing.Bin, ...]:
    """Return the nodes that are there or to come; equal ones are one."""
    merged: dict[tuple[object, ...], list[tuple[packing.Bin, timedelta]]] = {}
    for each in cluster.workers():
        if each.state in {model.State.RUNNING, model.State.PENDING} and each.pod not in stuck:
            one = _bin(each)
            merged.setdefault(_alike(one), []).append((one, each.idle or timedelta()))
    bins = [] if cluster.head is None else [cluster.head]
    for alike in merged.values():
        # What has been idle for long is the last to be used, so that it can go.
        alike.sort(key=lambda each: (each[1], each[0].members))
        members = tuple(name for one, _ in alike for name in one.members)
        bins.append(alike[0][0]._replace(members=members))
    for group in cluster.groups:
        bins += [
            packing.Bin(
                group.name, each.total, each.total, each.labels, number=group.owed() * each.hosts
            )
            for each in group.offers
            if group.owed()
        ]
    return tuple(bins)


def _alike(one: packing.Bin) -> tuple[object, ...]:
    """Return what two nodes have in common that are as good as each other."""
    labels = frozenset(item for item in one.labels.items() if item[0] != OWN_LABEL)
    total = amounts.lasting(one.total)
    free = frozenset((name, one.free.get(name, 0)) for name in total)
    return (one.group, free, frozenset(total.items()), labels)


def _bin(worker: model.Worker) -> packing.Bin:
    return packing.Bin(worker.group, worker.free, worker.total, worker.labels, (worker.pod,))


def _stuck(cluster: model.Cluster, now: datetime) -> list[model.Worker]:
    return [
        each
        for each in cluster.workers()
        if each.state is model.State.PENDING
        and each.obstacle
        and now - each.created_at > STUCK_AFTER
    ]


def _refused(cluster: model.Cluster, remembered: memory.Memory, now: datetime) -> set[str]:
    """Return the groups whose Pods can't even be made, a quota being used up for instance."""
    return {
        group.name
        for group in cluster.groups
        if group.owed()
        and cluster.refusal
        and now - remembered.owed.get(group.name, now) > STUCK_AFTER
    }


def _availability(
    name: str, remembered: memory.Memory, wanted: options.Options, now: datetime
) -> float:
    """Return how good a choice a group is after its last failure, in tenths: it changes seldom."""
    at = remembered.failed.get(name)
    if at is None:
        return 1.0
    passed = now - at
    return 0.0 if passed < FAILED_FOR else min(1.0, int(10 * passed / wanted.recovery) / 10)


def _trusted(
    asked: Question, remembered: memory.Memory, now: datetime
) -> frozenset[demand.Shape] | None:
    """Return the requests whose shortage is real; None when all would be."""
    kinds = {name for shape, _ in asked.demand.requests for name, _ in shape.amounts}
    could = {place: free for place, free in _free(asked.cluster).items() if place[1] in kinds}
    standing = (remembered.free.get(place, (None, now)) for place in could)
    if all(
        free == before and now - since >= scale_down.SURELY
        for free, (before, since) in zip(could.values(), standing, strict=True)
    ):
        return None
    return frozenset(
        shape for shape, at in remembered.short.items() if now - at >= scale_down.SURELY
    )


def _free_since(
    cluster: model.Cluster, remembered: memory.Memory, now: datetime
) -> dict[memory.Place, tuple[int, datetime]]:
    """Return what each node has free, and since when it has been just that."""
    found = {}
    for place, free in _free(cluster).items():
        before = remembered.free.get(place)
        found[place] = before if before is not None and before[0] == free else (free, now)
    return found


def _free(cluster: model.Cluster) -> dict[memory.Place, int]:
    """Return what each node that runs has free, by node and kind."""
    running = [each for each in cluster.workers() if each.state is model.State.RUNNING]
    nodes = [(each.pod, each.free, each.total) for each in running]
    if cluster.head is not None:
        nodes.append((cluster.head.members[0], cluster.head.free, cluster.head.total))
    return {
        (name, kind): free.get(kind, 0)
        for name, free, total in nodes
        for kind in amounts.lasting(total)
    }


def _why(asked: Question, solution: scale_up.Solution) -> str:
    """Say what asks for more nodes."""
    parts = [f"{count} of {shape}" for shape, count in solution.shortage]
    if not parts:
        parts = [str(gang) for gang in asked.demand.gangs if gang not in solution.left_gangs]
    if not parts:
        parts = [
            f"{count} of {shape} by request_resources" for shape, count in asked.demand.constraint
        ]
    shown = ", ".join(parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")
    return f"no node has room for {shown}"


def _scale(group: model.Group, launched: int) -> scaling_records.Scale:
    replicas = group.replicas().values()
    running = [each for each in replicas if all(one.state is model.State.RUNNING for one in each)]
    desired = min(max(group.desired, group.count()), group.maximum) + launched
    return scaling_records.Scale(
        group=group.name,
        desired=desired,
        pending=max(0, desired - len(running)),
        running=len(running),
        idle=sum(all(one.idle is not None for one in each) for each in running),
    )
