"""The replicas of one worker group: how many to make and which to let go, also while it changes.

Owns: the numbers of a rolling update. Does not own: a group that doesn't roll (`scale_down`), what
an old replica is (`upgrade`), how one goes (`drain`), or making Pods (`nodes`, `replicas`).
Invariant: as long as Pods of the new template get ready, every step leads nearer to the end; as
long as they don't, no more than `maxUnavailable` replicas are ever missing because of the update.
Source: Kubernetes, rolling updates of Deployments.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ray_operator import records, settings
from ray_operator.api import options as api_options
from ray_operator.api import raycluster as api
from ray_operator.raycluster import drain, scale_down, upgrade
from ray_operator.raycluster import observed as seen

DEFAULT = "25%"

Replica = Sequence[records.Pod]
"""The Pods that come and go together; one, unless the group has several hosts."""


class Limits(NamedTuple):
    """How many replicas may be missing, and how many there may be beyond those wanted."""

    unavailable: int
    surge: int


class Step(NamedTuple):
    """What to do now: replicas to make, and old ones to retire."""

    create: int
    retire: Sequence[Replica]


def plan(
    cluster: api.RayCluster,
    group: api.WorkerGroupSpec,
    observed: seen.Observed,
    living: Sequence[Replica],
    *,
    wanted: int,
    options: settings.Settings,
    now: datetime,
) -> scale_down.Sizing:
    """Bring a group to `wanted` replicas of its template; `living` are all, marked ones too."""
    can_roll = upgrade.rolls(cluster) and not upgrade.obstacle(cluster, observed)
    rolls = can_roll and not group.suspend
    is_old = upgrade.is_old(cluster.spec, group)
    going: list[Replica] = []
    old: list[Replica] = []
    current: list[Replica] = []
    for replica in living:
        if any(map(drain.is_draining, replica)):
            going.append(replica)
        else:
            (old if rolls and any(map(is_old, replica)) else current).append(replica)
    if not old:
        return scale_down.plan(
            cluster, group, observed, living, wanted=wanted, options=options, now=now
        )
    strategy = cluster.spec.upgrade_strategy
    next_step = step(
        wanted=wanted,
        current=current,
        old=scale_down.kindest(old, observed),
        leaving=len(going),
        limits=limits(strategy.rolling_update if strategy else None, wanted),
    )
    leaving = drain.dismiss(
        cluster,
        observed,
        [*next_step.retire, *going],
        why=f"group {group.group_name} gets its new template",
        options=options,
        now=now,
    )
    return scale_down.Sizing(leaving, next_step.create)


def limits(strategy: api_options.RollingUpdate | None, wanted: int) -> Limits:
    """Resolve the limits for a group of that many replicas; at least one is above 0."""
    given = strategy or api_options.RollingUpdate()
    unavailable = _resolved(given.max_unavailable, wanted, rounds_up=False)
    surge = _resolved(given.max_surge, wanted, rounds_up=True)
    return Limits(unavailable or not surge, surge)


def step(
    *, wanted: int, current: Sequence[Replica], old: Sequence[Replica], leaving: int, limits: Limits
) -> Step:
    """Return the next step of a group of `wanted` replicas.

    `old` is in the order in which they may go. `leaving` replicas are drained already, but still
    there; they count as room that is taken, and as no help.
    """
    there = len(current) + len(old) + leaving
    create = min(wanted - len(current), wanted + limits.surge - there)
    least = wanted - limits.unavailable
    ready = [each for each in old if is_ready(each)]
    working = sum(map(is_ready, current))
    # Those that aren't ready help nobody, unless they are all that will be.
    spare = len(current) + len(old) - least - (len(current) - working)
    idle = [each for each in old if not is_ready(each)][: max(spare, 0)]
    more = min(spare - len(idle), working + len(ready) - least)
    return Step(max(create, 0), [*idle, *ready[: max(more, 0)]])


def is_ready(replica: Replica) -> bool:
    """Tell whether all of a replica works."""
    return all(map(seen.is_ready, replica))


def _resolved(value: str | int | None, whole: int, *, rounds_up: bool) -> int:
    given = DEFAULT if value is None else value
    if isinstance(given, int):
        return given
    part = int(given.rstrip("%")) * whole
    return -(-part // 100) if rounds_up else part // 100
