"""Which replicas may go, for want of work.

Owns: the conditions, the order and the pace. Does not own: what is needed (`scale_up`), asking
Ray, which has the last word (`scaling`), or groups beyond their bounds (`raycluster.scale_down`).
Invariant: a replica that runs and is whole goes only if all of it has been idle for its timeout at
two looks in a row and nothing that is asked for could use it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ray_operator.autoscaler import memory, model, options, packing, scale_up

SURELY = timedelta(seconds=0.9)
"""For so long something has to be so, since what a GCS says of loads may be a second old."""
BROKEN_FOR = timedelta(seconds=60)
"""What still runs on a replica that has lost a host may finish, for so long."""
LOOKS = 3
"""In a row that got an answer."""
LEAST_AT_ONCE = 10
SHARE_AT_ONCE = 0.2
"""Of a group's replicas."""
DEAD_FOR = timedelta(seconds=10)
REFUSED_FOR = timedelta(seconds=10)
GIVEN_UP_AFTER = timedelta(seconds=3600)
"""How old an obstructed Pod gets if one that was made later runs: a new one may do better.

Of a group one at a time goes.

Source: Ray, how long its autoscaler v2 waits for the Ray node of a Pod.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A replica that may go.

    Attributes:
        drains: Ray has to let its nodes go first.
        is_broken: it has lost a host, so what is left of it shall finish, and goes later.
    """

    group: str
    workers: tuple[model.Worker, ...]
    why: str
    drains: bool
    is_broken: bool = False


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
        gone: list[Removal] = []
        going: list[Removal] = []
        idle: list[Sequence[model.Worker]] = []
        started = None if is_held else _last_started(group)
        for name, replica in group.replicas().items():
            if lost := [each for each in replica if each.pod in dead]:
                gone += _broken(group, replica, min(now - dead[each.pod] for each in lost), lost)
            elif _is_unneeded(group, replica, unneeded, wanted, now):
                why = "nothing asks for it any more"
                going.append(_removal(group, replica, why, drains=False))
            elif started is not None and not going and _is_given_up(replica, started, now):
                why = f"it hasn't started: {replica[0].obstacle}"
                going.append(_removal(group, replica, why, drains=False))
            elif _is_idle(group, replica, solution.needed):
                place = f"{group.name}/{name}"
                removable.add(place)
                since = now - remembered.removable.get(place, now)
                if since >= SURELY and not _is_refused(replica, remembered.refused, now):
                    idle.append(replica)
        if is_held or remembered.looks < LOOKS or _could_serve(group, solution):
            idle = []
        idle.sort(key=lambda replica: -_idle(replica).total_seconds())
        most = max(LEAST_AT_ONCE, int(SHARE_AT_ONCE * group.count()))
        going += [_removal(group, each, _told(group, each), drains=True) for each in idle[:most]]
        living = group.count() - len({each.replica for each in group.workers if each.pod in dead})
        removals += [*gone, *going[: max(living - group.minimum, 0)]]
    return Shrinking(
        removals=tuple(removals),
        removable=memory.since(remembered.removable, removable, now),
        unneeded=unneeded,
        dead=dead,
    )


def _broken(
    group: model.Group,
    replica: Sequence[model.Worker],
    dead_for: timedelta,
    lost: Sequence[model.Worker],
) -> list[Removal]:
    """Give up a replica whose Ray nodes ended; what is left of it has time to finish."""
    is_whole = len(lost) == len(replica)
    if dead_for < DEAD_FOR:
        return []
    why = "its Ray node ended" if is_whole else "it has lost a host"
    goes_on = not is_whole and dead_for < BROKEN_FOR
    return [_removal(group, replica, why, drains=goes_on, is_broken=goes_on)]


def _removal(
    group: model.Group,
    replica: Sequence[model.Worker],
    why: str,
    *,
    drains: bool,
    is_broken: bool = False,
) -> Removal:
    return Removal(
        group=group.name, workers=tuple(replica), why=why, drains=drains, is_broken=is_broken
    )


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


def _last_started(group: model.Group) -> datetime | None:
    """Return when the youngest Pod of the group's template that runs was made."""
    return max(
        (
            each.created_at
            for each in group.workers
            if each.state is model.State.RUNNING and each.template == group.template
        ),
        default=None,
    )


def _is_given_up(replica: Sequence[model.Worker], started: datetime, now: datetime) -> bool:
    """Tell whether something keeps all of an old replica from starting, and no longer a new one."""
    return all(
        each.state is model.State.PENDING
        and each.obstacle
        and each.created_at < started
        and now - each.created_at > GIVEN_UP_AFTER
        for each in replica
    )


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
    waiting = {shape for shape, _ in (*solution.left, *solution.shortage)}
    waiting |= {shape for shape, _ in solution.left_constraint}
    waiting |= {shape for gang in solution.left_gangs for shape, _ in gang.alternatives[0]}
    # Each by itself: of several, the first would take the node.
    return any(packing.Packing(offers, ()).place(((shape, 1),)) == () for shape in waiting)


def _idle(replica: Sequence[model.Worker]) -> timedelta:
    return min((each.idle or timedelta() for each in replica), default=timedelta())


def _told(group: model.Group, replica: Sequence[model.Worker]) -> str:
    idle, timeout = _idle(replica).total_seconds(), group.idle_timeout.total_seconds()
    return f"idle for {idle:.0f} s, more than {timeout:.0f} s"
