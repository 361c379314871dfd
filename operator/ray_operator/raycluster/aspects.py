"""The conditions of a RayCluster: what holds of it now, and why.

Owns: which conditions there are and what each says. Does not own: their names and reasons
(`api.vocabulary`), the search for causes (`diagnosis`), or the rest of the status (`status`).
Invariant: pure; equal observations give equal conditions.
Source: KubeRay 1.7's conditions; `RayClusterReady` and `RayClusterUpToDate` are ours.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from ray_operator import actions, conditions, records
from ray_operator.api import raycluster as api
from ray_operator.api import vocabulary
from ray_operator.raycluster import (
    groups,
    head_service,
    measures,
    plan,
    scaling,
    suspension,
    upgrade,
    versions,
)
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster.diagnosis import cause, diagnose

Type = vocabulary.ClusterCondition
Told = vocabulary.ClusterReason
Reason = vocabulary.PodReason


def current(
    cluster: api.RayCluster,
    observed: seen.Observed,
    *,
    progress: upgrade.Progress,
    outcome: actions.Outcome,
    before: tuple[conditions.Condition, ...],
    now: datetime,
) -> list[conditions.Condition]:
    """Return the conditions of now, in no order; `before` are those that were written last."""
    ready = measures.is_ready(cluster, observed, outcome)
    phase = suspension.next_phase(
        suspension.phase(cluster),
        wanted=suspension.is_wanted(cluster.spec),
        has_pods=bool(observed.pods),
    )
    found = [_head_ready(observed), _provisioned(before, ready=ready, phase=phase)]
    found += _suspension(phase)
    if orphans := observed.orphans(cluster):
        found.append(_orphaned(orphans))
    found.append(_up_to_date(cluster, observed, progress))
    found += scaling.current(cluster, observed)
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
        found.append(conditions.make(Type.REPLICA_FAILURE, "True", reason, message))
    return found


def _is_in_the_way(container: records.Container, *, ray: str) -> bool:
    """Tell whether a Pod isn't ready because of this container; init containers may be done."""
    ended = container.state == "terminated" and (container.exit_code or container.name == ray)
    return container.state == "waiting" or bool(ended)


def _head_ready(observed: seen.Observed) -> conditions.Condition:
    head = measures.head_pod(observed)
    if head is None:
        return conditions.make(
            Type.HEAD_POD_READY, "False", Reason.HEAD_NOT_FOUND, "Head Pod not found"
        )
    if head.ready:
        reason = _reason(head.ready_reason, Reason.HEAD_READY)
        return conditions.make(Type.HEAD_POD_READY, "True", reason, head.ready_message)
    failing = next(
        (item for item in head.containers if _is_in_the_way(item, ray=head.ray_container)), None
    )
    if head.ready_reason == "ContainersNotReady" and failing is not None:
        message = f"{head.ready_message}; {failing.name}: {failing.message or failing.reason}"
        reason = _reason(failing.reason, Reason.UNKNOWN)
        return conditions.make(Type.HEAD_POD_READY, "False", reason, message)
    reason = _reason(head.ready_reason, Reason.UNKNOWN)
    return conditions.make(Type.HEAD_POD_READY, "False", reason, head.ready_message)


def _reason(given: str, otherwise: Reason) -> str:
    """Return a reason that the API server accepts; one bad reason would lose the whole status."""
    return given if re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", given) else otherwise


def _suspension(phase: suspension.Phase) -> list[conditions.Condition]:
    return [
        conditions.make(type_, "True" if phase is it else "False", type_)
        for type_, it in (
            (Type.SUSPENDING, suspension.Phase.SUSPENDING),
            (Type.SUSPENDED, suspension.Phase.SUSPENDED),
        )
    ]


def _orphaned(orphans: Sequence[records.Pod]) -> conditions.Condition:
    message = plan.orphans_found(orphans)
    return conditions.make(Type.ORPHANED_GROUP, "True", Told.ORPHANED_PODS_FOUND, message)


def _up_to_date(
    cluster: api.RayCluster, observed: seen.Observed, progress: upgrade.Progress
) -> conditions.Condition:
    """Say which Pods are of an older template, and what becomes of them."""
    if not progress.head and not progress.workers:
        if obstacle := head_service.obstacle(cluster, observed):
            return conditions.make(Type.UP_TO_DATE, "False", Told.SERVICE_KEPT, obstacle)
        return conditions.make(Type.UP_TO_DATE, "True", Told.ALL_PODS_UP_TO_DATE)
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
    return conditions.make(Type.UP_TO_DATE, "False", reason, message)


def _provisioned(
    before: tuple[conditions.Condition, ...], *, ready: bool, phase: suspension.Phase
) -> conditions.Condition:
    if phase is suspension.Phase.SUSPENDED:
        message = "The RayCluster has been suspended"
        return conditions.make(Type.PROVISIONED, "False", Reason.PROVISIONING, message)
    if ready or conditions.is_true(before, Type.PROVISIONED):
        message = "All Ray Pods are ready for the first time"
        return conditions.make(Type.PROVISIONED, "True", Reason.ALL_READY_FIRST_TIME, message)
    message = "RayCluster Pods are being provisioned for the first time"
    return conditions.make(Type.PROVISIONED, "False", Reason.PROVISIONING, message)


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
        return conditions.make(
            Type.READY, "False", reason, "The RayCluster is suspended by its spec"
        )
    if ready:
        return conditions.make(Type.READY, "True", Reason.ALL_READY)
    if found is not None:
        return conditions.make(Type.READY, "False", found.reason, found.message)
    heads = sum(seen.is_ready(pod) for pod in observed.head_pods())
    workers = sum(seen.is_ready(pod) for pod in measures.listed_workers(cluster, observed))
    wanted = sum(groups.desired_pods(group) for group in cluster.spec.worker_group_specs)
    message = f"{heads} of 1 head and {workers} of {wanted} workers ready"
    return conditions.make(Type.READY, "False", vocabulary.Starting.PODS_NOT_READY, message)
