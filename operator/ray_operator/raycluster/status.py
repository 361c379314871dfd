"""Say what is: the whole next status of a RayCluster from what was observed.

Owns: status fields and conditions. Does not own: the names of conditions and reasons that are ours
(`api.vocabulary`), or writing (`reconcile`).
Invariant: equal observations give an equal status, so that a steady cluster is never written.
Source: KubeRay 1.7's status, whose `state` stays `ready` through later failures because clients
rely on it; the condition `RayClusterReady` follows the present instead.
"""

import dataclasses
import enum
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ray_operator import actions, conditions, records, validity
from ray_operator.api import raycluster as api
from ray_operator.api import vocabulary
from ray_operator.raycluster import (
    drain,
    groups,
    plan,
    resources,
    suspension,
    upgrade,
    versions,
)
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster.diagnosis import cause, diagnose

Type = vocabulary.ClusterCondition
Told = vocabulary.ClusterReason


class Reason(enum.StrEnum):
    """Condition reasons as KubeRay's; others are copied from Pods and actions."""

    HEAD_POD_NOT_FOUND = "HeadPodNotFound"
    HEAD_POD_RUNNING_AND_READY = "HeadPodRunningAndReady"
    PODS_PROVISIONING = "RayClusterPodsProvisioning"
    ALL_PODS_READY_FIRST_TIME = "AllPodRunningAndReadyFirstTime"
    ALL_PODS_READY = "AllPodsRunningAndReady"
    UNKNOWN = "Unknown"


READY_STATE = "ready"
SUSPENDED_STATE = "suspended"


def next_status(
    cluster: api.RayCluster, observed: seen.Observed, outcome: actions.Outcome, now: datetime
) -> Mapping[str, Any] | None:
    """Return the whole next status; None for a cluster that is another's or on its way out."""
    if not plan.is_ours(cluster) or cluster.metadata.deletion_timestamp:
        return None
    previous = cluster.status
    found = outcome.invalid
    status = dict(previous) if found else _measured(cluster, observed)
    before = conditions.read(previous.get("conditions", ()))
    spec_valid = validity.condition(Type.SPEC_VALID, found)
    if found:
        kept = set(Type) - {Type.SPEC_VALID}
        current = [item for item in before if item.type in kept]
    else:
        current = _conditions(cluster, observed, outcome=outcome, before=before, now=now)
    order = list(Type)
    current = sorted([*current, spec_valid], key=lambda item: order.index(Type(item.type)))
    _put(status, "reason", validity.INVALID if found else _short_reason(current))
    status["conditions"] = [
        item.manifest()
        for item in conditions.merge(
            before, [_observed_at(item, cluster.metadata.generation) for item in current], now=now
        )
    ]
    if not found:
        _carry_state(status, previous, reached=_state(cluster, observed, outcome), now=now)
    status["observedGeneration"] = cluster.metadata.generation
    if _is_owing(outcome) and "observedGeneration" in previous:
        status["observedGeneration"] = previous["observedGeneration"]
    old = {name: value for name, value in previous.items() if name != "lastUpdateTime"}
    if status == old:
        return previous
    return {**status, "lastUpdateTime": conditions.timestamp(now)}


def _put(status: dict[str, Any], name: str, value: str) -> None:
    """Set a field, or remove it when there is nothing to say."""
    if value:
        status[name] = value
    else:
        status.pop(name, None)


def _short_reason(current: Sequence[conditions.Condition]) -> str:
    """Return what stands beside `state` in `kubectl get`: why the cluster isn't ready.

    KubeRay has the field and never fills it.
    """
    ready = conditions.find(current, Type.READY)
    quiet = {Type.SUSPENDING, Type.SUSPENDED}
    is_told = ready is not None and ready.status == "False" and ready.reason not in quiet
    return ready.reason if ready is not None and is_told else ""


def _is_owing(outcome: actions.Outcome) -> bool:
    """Tell whether an update failed: of another operator's object, the generation alone tells."""
    return any(
        isinstance(each.action, actions.Apply) and not each.action.is_new
        for each in outcome.failures
    )


def _observed_at(item: conditions.Condition, generation: int) -> conditions.Condition:
    return dataclasses.replace(item, observed_generation=generation)


def _measured(cluster: api.RayCluster, observed: seen.Observed) -> dict[str, Any]:
    """Count Pods and resources, and locate the head. All counters are of Pods, not replicas."""
    workers = _listed_workers(cluster, observed)
    total = resources.totals(cluster)
    specs = cluster.spec.worker_group_specs
    return {
        "availableWorkerReplicas": sum(pod.phase == "Running" for pod in workers),
        "desiredCPU": total.cpu,
        "desiredGPU": total.gpu,
        "desiredMemory": total.memory,
        "desiredTPU": total.tpu,
        "desiredWorkerReplicas": sum(groups.desired_pods(group) for group in specs),
        "endpoints": _endpoints(observed.head_service()),
        "head": _head(observed),
        "maxWorkerReplicas": groups.max_pods(specs),
        "minWorkerReplicas": groups.min_pods(specs),
        "updatedWorkerReplicas": upgrade.progress(cluster, observed).updated,
        "readyWorkerReplicas": sum(pod.phase == "Running" and pod.ready is True for pod in workers),
    }


def _listed_workers(cluster: api.RayCluster, observed: seen.Observed) -> list[records.Pod]:
    """Return the workers of groups that the spec still lists."""
    return [
        pod
        for group in cluster.spec.worker_group_specs
        for pod in observed.worker_pods(group.group_name)
    ]


def _endpoints(service: records.Service | None) -> dict[str, str]:
    """Map port names to the port to dial: the node port if there is one, else the target."""
    if service is None:
        return {}
    return {
        port.name: str(port.node_port or port.target or port.port)
        for port in service.ports
        if port.name
    }


def _head_pod(observed: seen.Observed) -> records.Pod | None:
    """Return the head to speak of: one that stays rather than one that goes."""
    heads = sorted(observed.head_pods(), key=lambda pod: (pod.deletion_at is not None, pod.name))
    return heads[0] if heads else None


def _head(observed: seen.Observed) -> dict[str, str]:
    head: dict[str, str] = {}
    if pod := _head_pod(observed):
        head["podName"] = pod.name
        if pod.ip:
            head["podIP"] = pod.ip
    if service := observed.head_service():
        head["serviceName"] = service.name
        address = head.get("podIP", "") if service.cluster_ip == "None" else service.cluster_ip
        if address:
            head["serviceIP"] = address
    return head


def _is_ready(cluster: api.RayCluster, observed: seen.Observed, outcome: actions.Outcome) -> bool:
    """Tell whether every expected Pod is there and ready, and nothing failed in this pass."""
    pods = [*observed.head_pods(), *_listed_workers(cluster, observed)]
    wanted = 1 + sum(groups.desired_pods(group) for group in cluster.spec.worker_group_specs)
    staying = [pod for pod in pods if pod.deletion_at is None and not drain.is_draining(pod)]
    return (
        not outcome.failures
        and len(staying) == wanted
        and all(seen.is_ready(pod) for pod in staying)
    )


def _state(cluster: api.RayCluster, observed: seen.Observed, outcome: actions.Outcome) -> str:
    """Return the state that the cluster has reached, ``""`` while it is on its way."""
    if suspension.is_wanted(cluster.spec):
        return "" if observed.pods else SUSPENDED_STATE
    return READY_STATE if _is_ready(cluster, observed, outcome) else ""


def _carry_state(
    status: dict[str, Any], previous: Mapping[str, Any], *, reached: str, now: datetime
) -> None:
    """Keep the sticky `state` and when each state began."""
    times = dict(previous.get("stateTransitionTimes", {}))
    state = reached or previous.get("state", "")
    if state and state != previous.get("state"):
        times[state] = conditions.timestamp(now)
    if state:
        status["state"] = state
    if times:
        status["stateTransitionTimes"] = times


def _conditions(
    cluster: api.RayCluster,
    observed: seen.Observed,
    *,
    outcome: actions.Outcome,
    before: tuple[conditions.Condition, ...],
    now: datetime,
) -> list[conditions.Condition]:
    ready = _is_ready(cluster, observed, outcome)
    phase = suspension.next_phase(
        suspension.phase(cluster),
        wanted=suspension.is_wanted(cluster.spec),
        has_pods=bool(observed.pods),
    )
    found = [_head_ready(observed), _provisioned(before, ready=ready, phase=phase)]
    found += _suspension(phase)
    if orphans := observed.orphans(cluster):
        found.append(_orphaned(orphans))
    found.append(_up_to_date(cluster, observed))
    told = conditions.find(before, Type.READY)
    why = None if ready else diagnose.first(cluster, observed, outcome, before=told, now=now)
    found.append(_cluster_ready(cluster, observed, why, ready=ready, phase=phase))
    if version := versions.condition(cluster, observed):
        found.append(version)
    if failures := outcome.failures:
        first = failures[0]
        assert first.error is not None
        reason = first.action.reasons.condition
        message = actions.told(first)
        found.append(_condition(Type.REPLICA_FAILURE, "True", reason, message))
    return found


def _is_in_the_way(container: records.Container, *, ray: str) -> bool:
    """Tell whether a Pod isn't ready because of this container; init containers may be done."""
    ended = container.state == "terminated" and (container.exit_code or container.name == ray)
    return container.state == "waiting" or bool(ended)


def _condition(type_: Type, status: str, reason: str, message: str = "") -> conditions.Condition:
    return conditions.Condition(type=type_, status=status, reason=reason, message=message)


def _head_ready(observed: seen.Observed) -> conditions.Condition:
    head = _head_pod(observed)
    if head is None:
        return _condition(
            Type.HEAD_POD_READY, "False", Reason.HEAD_POD_NOT_FOUND, "Head Pod not found"
        )
    if head.ready:
        reason = _reason(head.ready_reason, Reason.HEAD_POD_RUNNING_AND_READY)
        return _condition(Type.HEAD_POD_READY, "True", reason, head.ready_message)
    failing = next(
        (item for item in head.containers if _is_in_the_way(item, ray=head.ray_container)), None
    )
    if head.ready_reason == "ContainersNotReady" and failing is not None:
        message = f"{head.ready_message}; {failing.name}: {failing.message or failing.reason}"
        reason = _reason(failing.reason, Reason.UNKNOWN)
        return _condition(Type.HEAD_POD_READY, "False", reason, message)
    reason = _reason(head.ready_reason, Reason.UNKNOWN)
    return _condition(Type.HEAD_POD_READY, "False", reason, head.ready_message)


def _reason(given: str, otherwise: Reason) -> str:
    """Return a reason that the API server accepts; one bad reason would lose the whole status."""
    return given if re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", given) else otherwise


def _suspension(phase: suspension.Phase) -> list[conditions.Condition]:
    return [
        _condition(type_, "True" if phase is it else "False", type_)
        for type_, it in (
            (Type.SUSPENDING, suspension.Phase.SUSPENDING),
            (Type.SUSPENDED, suspension.Phase.SUSPENDED),
        )
    ]


def _orphaned(orphans: Sequence[records.Pod]) -> conditions.Condition:
    message = plan.orphans_found(orphans)
    return _condition(Type.ORPHANED_GROUP, "True", Told.ORPHANED_PODS_FOUND, message)


def _up_to_date(cluster: api.RayCluster, observed: seen.Observed) -> conditions.Condition:
    """Say which Pods are of an older template, and what becomes of them."""
    progress = upgrade.progress(cluster, observed)
    if not progress.head and not progress.workers:
        return _condition(Type.UP_TO_DATE, "True", Told.ALL_PODS_UP_TO_DATE)
    parts = ["the head"] if progress.head else []
    parts += [f"{count} workers of group {name}" for name, count in progress.workers.items()]
    old = f"of an older template: {', '.join(parts)}"
    head = next((pod for pod in observed.head_pods() if pod.deletion_at is None), None)
    if upgrade.recreates(cluster):
        reason, more = Told.RECREATING, ""
    elif not upgrade.rolls(cluster):
        hint = "delete them, or set upgradeStrategy.type to Recreate or RollingUpdate"
        reason, more = Told.PODS_OUTDATED, hint
    elif obstacle := upgrade.obstacle(cluster, observed):
        reason, more = Told.VERSION_CHANGES, obstacle
    elif not progress.workers and head and (obstacle := upgrade.head_obstacle(cluster, head)):
        reason, more = Told.HEAD_KEPT, obstacle
    else:
        reason, more = Told.ROLLING, f"{progress.updated} workers are of the new one"
    message = f"{old}: {more}" if more else old
    return _condition(Type.UP_TO_DATE, "False", reason, message)


def _provisioned(
    before: tuple[conditions.Condition, ...], *, ready: bool, phase: suspension.Phase
) -> conditions.Condition:
    if phase is suspension.Phase.SUSPENDED:
        message = "The RayCluster has been suspended"
        return _condition(Type.PROVISIONED, "False", Reason.PODS_PROVISIONING, message)
    if ready or conditions.is_true(before, Type.PROVISIONED):
        message = "All Ray Pods are ready for the first time"
        return _condition(Type.PROVISIONED, "True", Reason.ALL_PODS_READY_FIRST_TIME, message)
    message = "RayCluster Pods are being provisioned for the first time"
    return _condition(Type.PROVISIONED, "False", Reason.PODS_PROVISIONING, message)


def _cluster_ready(
    cluster: api.RayCluster,
    observed: seen.Observed,
    found: cause.Cause | None,
    *,
    ready: bool,
    phase: suspension.Phase,
) -> conditions.Condition:
    if phase is not suspension.Phase.ACTIVE:
        starting = vocabulary.Starting
        is_over = phase is suspension.Phase.SUSPENDED
        reason = starting.SUSPENDED if is_over else starting.SUSPENDING
        return _condition(Type.READY, "False", reason, "The RayCluster is suspended by its spec")
    if ready:
        return _condition(Type.READY, "True", Reason.ALL_PODS_READY)
    if found is not None:
        return _condition(Type.READY, "False", found.reason, found.message)
    heads = sum(seen.is_ready(pod) for pod in observed.head_pods())
    workers = sum(seen.is_ready(pod) for pod in _listed_workers(cluster, observed))
    wanted = sum(groups.desired_pods(group) for group in cluster.spec.worker_group_specs)
    message = f"{heads} of 1 head and {workers} of {wanted} workers ready"
    return _condition(Type.READY, "False", vocabulary.Starting.PODS_NOT_READY, message)
