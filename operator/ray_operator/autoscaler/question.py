"""What there is to decide on, and the packing problem that it poses.

Owns: which nodes count as there, to come or stuck, which groups may grow, and which shortages are
real. Does not own: solving it (`scale_up`) or what follows (`decide`). Invariant: equal questions
pose equal problems, so that an unchanged one isn't solved again.

A shortage of plain requests is doubted once: what a node has free is newer than what waits, by up
to a second, so that a task that was placed just now seems to wait still. It is believed at once
where nothing that could have taken it has changed for as long. Gangs and constraints are exact.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ray_operator.autoscaler import (
    amounts,
    memory,
    model,
    options,
    packing,
    scale_down,
    scale_up,
)
from ray_operator.autoscaler import demand as needs

STUCK_AFTER = timedelta(seconds=120)
"""A Pod on its way that something obstructs for so long doesn't count as a node to come."""
FAILED_FOR = timedelta(seconds=10)
"""A group that failed is the last choice for so long, and then a better one bit by bit."""
OWN_LABEL = "ray.io/node-id"
"""In which no two nodes are alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be decided on: the cluster, what it lacks, and whether drivers are connected."""

    cluster: model.Cluster
    demand: needs.Demand
    has_drivers: bool
    options: options.Options


def problem(asked: Question, remembered: memory.Memory, now: datetime) -> scale_up.Problem:
    """Return what has to be solved before anything can be decided."""
    cluster = asked.cluster
    waiting = stuck(cluster, now)
    templates = {group.name: group.template for group in cluster.groups}
    # What obstructs Pods of another template needn't obstruct those to come.
    failing = {each.group for each in waiting if each.template == templates[each.group]}
    refused = _refused(cluster, remembered, now)
    return scale_up.Problem(
        demand=asked.demand,
        bins=_bins(cluster, waiting),
        sources=tuple(
            packing.Source(
                group.name,
                0 if group.name in refused else group.maximum - group.present(),
                group.offers,
                group.priority,
                _availability(group.name, remembered, asked.options, now),
                is_failing=group.name in failing,
            )
            for group in cluster.groups
        ),
        trusted=_trusted(asked, remembered, now),
        conserves_gpus=asked.options.conserves_gpus,
    )


def _bins(cluster: model.Cluster, waiting: Sequence[model.Worker]) -> tuple[packing.Bin, ...]:
    """Return the nodes that are there, to come, and at last stuck; equal ones are one."""
    held = {each.pod for each in waiting}
    merged: dict[tuple[object, ...], list[tuple[packing.Bin, timedelta]]] = {}
    for each in cluster.workers():
        if each.state in {model.State.RUNNING, model.State.PENDING}:
            one = _bin(each, is_stuck=each.pod in held)
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
    return tuple(sorted(bins, key=lambda each: each.is_stuck))


def _alike(one: packing.Bin) -> tuple[object, ...]:
    """Return what two nodes have in common that are as good as each other."""
    labels = frozenset(item for item in one.labels.items() if item[0] != OWN_LABEL)
    total = amounts.lasting(one.total)
    free = frozenset((name, one.free.get(name, 0)) for name in total)
    return (one.group, free, frozenset(total.items()), labels, one.is_stuck)


def _bin(worker: model.Worker, *, is_stuck: bool) -> packing.Bin:
    return packing.Bin(
        worker.group,
        worker.free,
        worker.total,
        worker.labels,
        members=(worker.pod,),
        is_stuck=is_stuck,
    )


def stuck(cluster: model.Cluster, now: datetime) -> list[model.Worker]:
    """Return the Pods that should be on their way and aren't getting anywhere."""
    return [
        each
        for each in cluster.workers()
        if each.state is model.State.PENDING
        and each.obstacle
        and now - each.created_at > STUCK_AFTER
    ]


def failures(waiting: Iterable[model.Worker]) -> dict[str, datetime]:
    """Return since when each group has failed, by the youngest of its Pods that are stuck."""
    by_age = sorted(waiting, key=lambda each: each.created_at)
    return {each.group: each.created_at + STUCK_AFTER for each in by_age}


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
) -> frozenset[needs.Shape] | None:
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


def free_since(
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
