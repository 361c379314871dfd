"""Which replicas of a worker group go when it has too many, and that they go kindly.

Owns: the choice of victims. Does not own: how they go (`drain`), how many there shall be
(`groups`), or the replacing of old ones by new ones (`rollout`). Invariant: a replica that goes
already is never replaced in the choice by another, so a group that shrinks loses no more than its
surplus; Ray is asked only when its answer matters, and one that doesn't answer delays the choice
by seconds only.

A replica is a list of Pods that live and die together: one Pod, where a replica has one host.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ray_operator import actions, ray_records, records, settings
from ray_operator.api import base
from ray_operator.api import raycluster as api
from ray_operator.raycluster import autoscaling, drain, groups, turnover
from ray_operator.raycluster import observed as seen

Replica = Sequence[records.Pod]


class Sizing(NamedTuple):
    """What a group does about its number: the plan for those that leave, and how many to make."""

    leaving: actions.Plan
    create: int


def plan(
    cluster: api.RayCluster,
    group: api.WorkerGroupSpec,
    observed: seen.Observed,
    living: Sequence[Replica],
    *,
    wanted: int,
    options: settings.Settings,
    now: datetime,
) -> Sizing:
    """Let replicas beyond `wanted` go; `living` are all that run or start, marked ones too."""
    why = f"group {group.group_name} scales down"
    going = [replica for replica in living if any(map(drain.is_draining, replica))]
    staying = [replica for replica in living if not any(map(drain.is_draining, replica))]
    missing = max(wanted - len(staying), 0)
    most = _most(cluster, group, observed, wanted, options=options)
    surplus = len(staying) - most
    if group.suspend and most == wanted:
        return Sizing(_suspended(group, living), 0)
    asks = actions.Plan()
    if surplus > 0:
        chosen = choose(staying, surplus, observed)
        if chosen is None:
            asks = actions.Plan(asks_ray=True, requeue_after=drain.LOOK_AGAIN)
        else:
            going = [*chosen, *going]
    left = drain.dismiss(cluster, observed, going, why=why, options=options, now=now)
    return Sizing(actions.joined(left, asks), missing)


def _most(
    cluster: api.RayCluster,
    group: api.WorkerGroupSpec,
    observed: seen.Observed,
    wanted: int,
    *,
    options: settings.Settings,
) -> int:
    """Return how many may stay: an autoscaler decides by itself when one is too many.

    It is the one that the head was made for; while there is none, the one to come.
    """
    head = observed.head()
    mode = autoscaling.mode(cluster, options)
    match mode if head is None else autoscaling.controller(cluster, head):
        case autoscaling.Mode.OPERATOR if not options.random_pod_delete:
            single = not groups.is_multi_host(group, options)
            return max(wanted, group.max_replicas * (groups.hosts(group) if single else 1))
        case autoscaling.Mode.SIDECAR if not options.random_pod_delete:
            return base.INT32_MAX
    return wanted


def _suspended(group: api.WorkerGroupSpec, living: Sequence[Replica]) -> actions.Plan:
    """Delete all at once: who suspends a group wants its resources now."""
    why = f"group {group.group_name} is suspended"
    return actions.Plan(
        actions=tuple(
            turnover.delete(pod, turnover.DELETE_WORKER, why)
            for replica in living
            for pod in replica
        )
    )


def choose(
    staying: Sequence[Replica], count: int, observed: seen.Observed
) -> Sequence[Replica] | None:
    """Return that many whose loss costs least; None while that is for Ray to say and it may yet."""
    chosen = kindest(staying, observed)[:count]
    said = observed.ray.state is not None or observed.ray.error or observed.head() is None
    if said or not any(_works(replica) for replica in chosen):
        return chosen
    return None


def kindest(replicas: Sequence[Replica], observed: seen.Observed) -> Sequence[Replica]:
    """Order replicas by what their loss costs, as far as is known; the least comes first."""
    return sorted(replicas, key=lambda replica: _kindness(replica, observed.ray.state))


def _works(replica: Replica) -> bool:
    return all(pod.phase == "Running" and pod.ready is True for pod in replica)


def _kindness(
    replica: Replica, state: ray_records.ResourceState | None
) -> tuple[bool, bool, bool, timedelta, int, float, str]:
    """Order by what a loss costs: nothing to those that don't work yet, little to idle ones.

    Of equals the one of the highest index goes, then the newest.
    """
    return (
        all(pod.node for pod in replica),
        all(pod.phase != "Pending" for pod in replica),
        all(pod.ready is True for pod in replica),
        -_idle(replica, state),
        -turnover.index(replica[0]),
        -max(pod.created_at for pod in replica).timestamp(),
        replica[0].name,
    )


def _idle(replica: Replica, state: ray_records.ResourceState | None) -> timedelta:
    """Return how long all of the replica has been idle; zero if any of it has work, or may have."""
    if state is None:
        return timedelta()
    nodes = [state.life_of(pod) for pod in replica]
    return min(
        (
            timedelta()
            if node is None or node.status is not ray_records.NodeStatus.IDLE
            else node.idle
            for node in nodes
        ),
        default=timedelta(),
    )
