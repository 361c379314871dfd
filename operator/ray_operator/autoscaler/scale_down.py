"""Which replicas may go, for want of work.

Owns: the conditions, the order and the pace. Does not own: what is needed (`scale_up`), asking
Ray, which has the last word (`scaling`), or groups beyond their bounds (`raycluster.scale_down`).
Invariant: a replica goes only if all of it has been idle for its timeout at two looks in a row and
nothing that is asked for could use it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ray_operator.autoscaler import demand, memory, model, options, packing, scale_up

BETWEEN = timedelta(seconds=0.9)
"""Two looks that agree."""
LOOKS = 3
"""In a row that got an answer."""
LEAST_AT_ONCE = 10
SHARE_AT_ONCE = 0.2
"""Of a group's replicas."""
DEAD_FOR = timedelta(seconds=10)
REFUSED_FOR = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A replica that may go; its nodes have to be drained first if `drains`."""

    group: str
    workers: tuple[model.Worker, ...]
    why: str
    drains: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrinking:
    """Replicas that may go now, and those that might at the next look."""

    removals: tuple[Removal, ...]
    removable: Mapping[str, datetime]
    unneeded: Mapping[str, datetime]
    dead: Mapping[str, datetime]


def plan(
    cluster: model.Cluster,
    solution: scale_up.Solution,
    remembered: memory.Memory,
    wanted: options.Options,
    now: datetime,
) -> Shrinking:
    """Choose what may go of each group, the longest idle first."""
    removals: list[Removal] = []
    removable: set[str] = set()
    workers = cluster.workers()
    dead = memory.since(
        remembered.dead,
        {each.pod for each in workers if each.state is model.State.DEAD},
        now,
    )
    is_held = remembered.down_from is not None and now < remembered.down_from
    pending = {each.pod for each in workers if each.state is model.State.PENDING and not is_held}
    unneeded = memory.since(remembered.unneeded, pending - solution.needed, now)
    for group in cluster.groups:
        spare = group.count() - group.minimum
        gone, idle = [], []
        for name, replica in group.replicas().items():
            if all(each.pod in dead and now - dead[each.pod] >= DEAD_FOR for each in replica):
                gone.append(_removal(group, replica, "its Ray node ended", drains=False))
            elif _is_unneeded(group, replica, unneeded, wanted, now):
                gone.append(_removal(group, replica, "nothing asks for it any more", drains=False))
            elif _is_idle(group, replica, solution.needed):
                place = f"{group.name}/{name}"
                removable.add(place)
                if now - remembered.removable.get(place, now) >= BETWEEN:
                    idle.append(replica)
        if is_held or remembered.looks < LOOKS or _could_serve(group, solution):
            idle = []
        idle = [each for each in idle if not _is_refused(each, remembered.refused, now)]
        idle.sort(key=lambda replica: -_idle(replica).total_seconds())
        most = max(LEAST_AT_ONCE, int(SHARE_AT_ONCE * group.count()))
        gone += [_removal(group, each, _told(group, each), drains=True) for each in idle[:most]]
        removals += gone[: max(spare, 0)]
    return Shrinking(
        removals=tuple(removals),
        removable=memory.since(remembered.removable, removable, now),
        unneeded=unneeded,
        dead=dead,
    )


def _removal(
    group: model.Group, replica: Sequence[model.Worker], why: str, *, drains: bool
) -> Removal:
    return Removal(group=group.name, workers=tuple(replica), why=why, drains=drains)


def _is_idle(group: model.Group, replica: Sequence[model.Worker], needed: Collection[str]) -> bool:
    """Tell whether all of the replica has been idle for long enough, and is of no use."""
    return all(
        each.state is model.State.RUNNING
        and each.idle is not None
        and each.idle > group.idle_timeout
        and each.pod not in needed
        for each in replica
    )


def _is_unneeded(
    group: model.Group,
    replica: Sequence[model.Worker],
    unneeded: Mapping[str, datetime],
    wanted: options.Options,
    now: datetime,
) -> bool:
    """Tell whether a replica that is still on its way isn't worth waiting for any more."""
    given = wanted.pending_timeout
    timeout = group.idle_timeout if given is None else given
    return all(each.pod in unneeded and now - unneeded[each.pod] > timeout for each in replica)


def _is_refused(
    replica: Sequence[model.Worker], refused: Mapping[str, datetime], now: datetime
) -> bool:
    return any(each.pod in refused and now - refused[each.pod] < REFUSED_FOR for each in replica)


def _could_serve(group: model.Group, solution: scale_up.Solution) -> bool:
    """Tell whether something that waits could run on nodes of the group."""
    offers = [
        packing.Bin(group.name, each.total, each.total, each.labels, number=1)
        for each in group.offers
    ]
    waiting: demand.Counted = solution.left or solution.shortage
    one = tuple((shape, 1) for shape, _ in waiting)
    return bool(one) and packing.Packing(offers, ()).place(one) != one


def _idle(replica: Sequence[model.Worker]) -> timedelta:
    return min((each.idle or timedelta() for each in replica), default=timedelta())


def _told(group: model.Group, replica: Sequence[model.Worker]) -> str:
    idle, timeout = _idle(replica).total_seconds(), group.idle_timeout.total_seconds()
    return f"idle for {idle:.0f} s, more than {timeout:.0f} s"
