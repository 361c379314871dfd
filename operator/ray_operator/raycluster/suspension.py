"""Suspending and resuming a whole cluster: a state machine kept in two conditions.

Owns: its states and transitions. Does not own: deleting Pods (`plan`) or writing conditions
(`status`). Invariant: a suspension that has begun goes to its end, even when the user changes their
mind, so that queueing systems see every resource given back before any is taken again.
Source: KubeRay 1.7, suspension of RayCluster.
"""

import enum

from ray_operator import conditions
from ray_operator.api import raycluster as api

SUSPENDING = "RayClusterSuspending"
SUSPENDED = "RayClusterSuspended"


class Phase(enum.Enum):
    """Where a cluster stands."""

    ACTIVE = enum.auto()
    SUSPENDING = enum.auto()
    SUSPENDED = enum.auto()


def is_wanted(spec: api.RayClusterSpec) -> bool:
    """Tell whether the cluster shall have no Pods: by its user, or by Ray for want of drivers."""
    return bool(spec.suspend or spec.idle_suspend)


def phase(cluster: api.RayCluster) -> Phase:
    """Read where the cluster stood when its status was written."""
    said = conditions.read(cluster.status.get("conditions", ()))
    if conditions.is_true(said, SUSPENDING):
        return Phase.SUSPENDING
    return Phase.SUSPENDED if conditions.is_true(said, SUSPENDED) else Phase.ACTIVE


def next_phase(now: Phase, *, wanted: bool, has_pods: bool) -> Phase:
    """Return where the cluster stands after this pass."""
    match now:
        case Phase.ACTIVE:
            return Phase.SUSPENDING if wanted else Phase.ACTIVE
        case Phase.SUSPENDING:
            return Phase.SUSPENDING if has_pods else Phase.SUSPENDED
        case Phase.SUSPENDED:
            return Phase.SUSPENDED if wanted else Phase.ACTIVE
