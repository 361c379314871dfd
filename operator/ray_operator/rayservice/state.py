"""The part of a RayService's status that decides what happens next.

Owns: its fields as a typed value, and reading it from a status. Does not own: how it changes
(`succession`, `suspension`), or what else a status says (`status`). Invariant: reading what was
written gives the same value, so that a new leader goes on where the last one stopped.
Source: KubeRay 1.7, RayServiceStatuses.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray_operator import conditions
from ray_operator.api import rayservice as api
from ray_operator.api import service_vocabulary as vocabulary

Type = vocabulary.ServiceCondition
Told = vocabulary.ServiceReason
ACTIVE, PENDING = "activeServiceStatus", "pendingServiceStatus"


class Phase(enum.StrEnum):
    """Where a RayService stands; conditions say it."""

    SERVING = "Serving"
    SUSPENDING = "Suspending"
    SUSPENDED = "Suspended"
    TIMED_OUT = "TimedOut"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All of a status that decisions read: names of clusters are `""` where there is none.

    `active` is the cluster that serves, `pending` the one that gets ready to.
    """

    phase: Phase = Phase.SERVING
    active: str = ""
    pending: str = ""


def of(service: api.RayService) -> State:
    """Read the state of a RayService."""
    said = conditions.read(service.status.get("conditions", ()))
    return State(
        phase=_phase(said, service.metadata.generation),
        active=cluster_name(service.status, ACTIVE),
        pending=cluster_name(service.status, PENDING),
    )


def cluster_name(status: Mapping[str, Any], role: str) -> str:
    """Return the name of the cluster in that role, `""` when there is none."""
    return (status.get(role) or {}).get("rayClusterName") or ""


def _phase(said: tuple[conditions.Condition, ...], generation: int) -> Phase:
    if conditions.is_true(said, Type.SUSPENDING):
        return Phase.SUSPENDING
    if conditions.is_true(said, Type.SUSPENDED):
        return Phase.SUSPENDED
    ready = conditions.find(said, Type.READY)
    is_over = ready is not None and ready.reason == Told.INITIALIZING_TIMEOUT
    if ready and is_over and ready.observed_generation == generation:
        return Phase.TIMED_OUT
    return Phase.SERVING
