"""Decide how a cluster shall be scaled, from one answer of its GCS.

Owns: what to do, how much of it at once, and when to look again. Does not own: the question
(`question`), its solution (`scale_up`), what may go (`scale_down`) or carrying it out (`scaling`).
Invariant: a decision follows from the spec, the Pods and what Ray says; what is remembered only
makes it sooner, or surer.
"""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ray_operator import scaling_records
from ray_operator.autoscaler import (
    explain,
    memory,
    model,
    options,
    question,
    report,
    scale_down,
    scale_up,
)

STILL_BUSY, QUIET_AFTER = timedelta(seconds=60), timedelta(seconds=300)
"""Who has just used a cluster is the most likely to use it again, and waits for the answer."""


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
        is_calm: nothing goes on, nothing has for long, and nothing is to be waited for.
    """

    launches: Mapping[str, int] = dataclasses.field(default_factory=dict)
    why: str = ""
    removals: tuple[scale_down.Removal, ...] = ()
    scales: tuple[scaling_records.Scale, ...] = ()
    unmet: tuple[scaling_records.Unmet, ...] = ()
    told: scaling_records.Report = dataclasses.field(default_factory=scaling_records.Report)
    look_after: timedelta = Pace.QUIET
    is_calm: bool = False


def decide(
    asked: question.Question, solution: scale_up.Solution, remembered: memory.Memory, now: datetime
) -> tuple[Decision, memory.Memory]:
    """Return what to do, and what to remember; `solution` is that of `problem`."""
    cluster = asked.cluster
    stuck = question.stuck(cluster, now)
    is_held = remembered.up_from is not None and now < remembered.up_from
    launches = {} if is_held else _bounded(asked, solution.launches, stuck)
    shrinking = scale_down.plan(cluster, solution, remembered, asked.options, now)
    unmet = explain.unmet(cluster, solution, stuck)
    works = any(each.idle is None for each in cluster.workers())
    is_active = bool(asked.demand or launches or works or asked.has_drivers)
    active_at = now if is_active or remembered.active_at is None else remembered.active_at
    idle_for = now - active_at
    failed = {**remembered.failed, **question.failures(stuck)}
    after = replace(
        remembered,
        short=memory.since(remembered.short, {shape for shape, _ in solution.shortage}, now),
        free=question.free_since(cluster, remembered, now),
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
        look_after=_pace(asked, is_active=is_active, idle_for=idle_for),
        is_calm=idle_for > QUIET_AFTER and all(map(_is_empty, cluster.groups)),
    )
    return decision, after


def _is_empty(group: model.Group) -> bool:
    return not (group.workers or group.owed() or group.listed)


def _pace(asked: question.Question, *, is_active: bool, idle_for: timedelta) -> timedelta:
    if asked.options.interval is not None:
        return max(asked.options.interval, scale_down.SURELY)
    if is_active or idle_for < STILL_BUSY:
        return Pace.BUSY
    is_empty = not asked.cluster.workers()
    return Pace.SLEEPY if is_empty and idle_for > QUIET_AFTER else Pace.QUIET


def _bounded(
    asked: question.Question, launches: Mapping[str, int], stuck: Collection[model.Worker]
) -> dict[str, int]:
    """Hold back what is too much at once; the rest follows.

    What is stuck holds nothing back where others of its template start.
    """
    cluster = asked.cluster
    states = [each.state for each in cluster.workers()]
    starting = {(each.group, each.template) for each in cluster.workers() if _runs(each)}
    hopeless = {(each.name, each.template) for each in cluster.groups} - starting
    coming = states.count(model.State.PENDING)
    coming -= sum((each.group, each.template) not in hopeless for each in stuck)
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


def _runs(worker: model.Worker) -> bool:
    return worker.state is model.State.RUNNING


def _why(asked: question.Question, solution: scale_up.Solution) -> str:
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
    desired = group.present() + launched
    return scaling_records.Scale(
        group=group.name,
        desired=desired,
        pending=max(0, desired - len(running)),
        running=len(running),
        idle=sum(all(one.idle is not None for one in each) for each in running),
    )
