"""The events that a change of a RayService's status is worth.

Owns: which changes are told. Does not own: events of single actions (`actions`). Invariant: each
follows from two statuses, so that it is told once.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ray_operator import actions, conditions
from ray_operator.api import rayservice as api
from ray_operator.rayservice.aspects import STUCK_PREFIX, Told, Type
from ray_operator.rayservice.state import ACTIVE, PENDING, cluster_name

Said = tuple[conditions.Condition, ...]


def events(service: api.RayService, written: Mapping[str, Any]) -> Sequence[actions.Event]:
    """Return what is to be told of the status that was written."""
    before = conditions.read(service.status.get("conditions", ()))
    after = conditions.read(written.get("conditions", ()))
    return [*_succession(service.status, written), *_conditions(before, after)]


def _succession(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[actions.Event]:
    old, was_next = cluster_name(before, ACTIVE), cluster_name(before, PENDING)
    new, is_next = cluster_name(after, ACTIVE), cluster_name(after, PENDING)
    if new and new != old:
        text = f"RayCluster {new} serves" + (f" in place of {old}" if old else "")
        yield _event("Normal", "TrafficSwitched", "Upgrade", text)
    elif new and is_next and is_next != was_next:
        text = f"RayCluster {is_next} gets ready to take over from {new}"
        yield _event("Normal", "UpgradeStarted", "Upgrade", text)
    elif new and was_next and not is_next:
        text = f"The spec is again what RayCluster {new} serves: {was_next} isn't needed"
        yield _event("Normal", "UpgradeCancelled", "Upgrade", text)


def _conditions(before: Said, after: Said) -> Iterator[actions.Event]:
    ready = _became(before, after, Type.READY, Told.INITIALIZING_TIMEOUT)
    if ready is not None:
        yield _event("Warning", "RayServiceInitializingTimeout", "Reconcile", ready.message)
    refused = _became(before, after, Type.APPLICATIONS_RUNNING, Told.CONFIG_REFUSED)
    if refused is not None:
        yield _event("Warning", "FailedToUpdateServeApplications", "Update", refused.message)
    failing = _became(before, after, Type.APPLICATIONS_RUNNING, Told.UNHEALTHY)
    if failing is not None:
        yield _event("Warning", "ServeApplicationsUnhealthy", "Check", failing.message)
    was, now = (conditions.find(each, Type.UPGRADE_IN_PROGRESS) for each in (before, after))
    is_told = was is not None and was.message.startswith(STUCK_PREFIX)
    if now is not None and now.message.startswith(STUCK_PREFIX) and not is_told:
        yield _event("Warning", "UpgradeStuck", "Upgrade", now.message)
    if conditions.is_true(after, Type.SUSPENDED) and not conditions.is_true(before, Type.SUSPENDED):
        yield _event("Normal", "RayServiceSuspended", "Suspend", "Clusters and Services are gone")


def _became(before: Said, after: Said, type_: str, reason: str) -> conditions.Condition | None:
    """Return the condition if it has that reason now and hadn't before."""
    was, now = (conditions.find(each, type_) for each in (before, after))
    is_so = now is not None and now.reason == reason
    return now if is_so and (was is None or was.reason != reason) else None


def _event(type_: str, reason: str, action: str, message: str) -> actions.Event:
    return actions.Event(type=type_, reason=reason, action=action, message=message)
