"""What is said of a cluster's scaling in its status.

Owns: the block and the conditions. Does not own: who scales (`autoscaling`) or what was decided
(`autoscaler`). Invariant: nothing is said of a cluster that isn't to be scaled.
"""

from typing import Any

from ray_operator import conditions, scaling_records
from ray_operator.api import raycluster as api
from ray_operator.api import vocabulary
from ray_operator.raycluster import autoscaling
from ray_operator.raycluster import observed as seen

Type = vocabulary.ClusterCondition
Told = vocabulary.ClusterReason


def status(cluster: api.RayCluster, observed: seen.Observed) -> dict[str, Any]:
    """Return the status's block; empty for a cluster that nobody scales."""
    mode = autoscaling.controller(cluster, observed.head())
    before: dict[str, Any] = cluster.status.get("autoscaler") or {}
    if not cluster.spec.enable_in_tree_autoscaling:
        return {}
    if mode is autoscaling.Mode.OFF:
        return before  # the head comes back
    standing = observed.scaling
    if mode is autoscaling.Mode.SIDECAR:
        return {"mode": mode.value}
    if standing is None:
        return {**before, "mode": mode.value}
    return {"mode": mode.value, **_told(standing, before)}


def _told(standing: scaling_records.Standing, before: dict[str, Any]) -> dict[str, Any]:
    """Say it; an operator that started anew says the last decision of the one before."""
    decided: dict[str, Any] = {
        name: before[name] for name in ("lastDecision", "lastDecisionTime") if name in before
    }
    if standing.decided_at is not None:
        decided = {
            "lastDecision": standing.decision,
            "lastDecisionTime": conditions.timestamp(standing.decided_at),
        }
    return {
        "workerGroups": [
            {
                "name": each.group,
                "desired": each.desired,
                "pending": each.pending,
                "running": each.running,
                "idle": each.idle,
            }
            for each in standing.groups
        ],
        **decided,
        "unmetRequests": sum(each.count for each in standing.unmet),
        "unmetDemand": [
            {"request": each.request, "count": each.count, "reason": each.why}
            for each in standing.unmet
        ],
    }


def current(cluster: api.RayCluster, observed: seen.Observed) -> list[conditions.Condition]:
    """Return the conditions: who scales, and whether there is room for what is asked for."""
    if not cluster.spec.enable_in_tree_autoscaling:
        return []
    head, standing = observed.head(), observed.scaling
    found = [_autoscaling(cluster, observed)]
    mode = autoscaling.controller(cluster, head)
    if mode is not autoscaling.Mode.OPERATOR or standing is None:
        return found
    if not standing.unmet:
        return [*found, conditions.make(Type.DEMAND_MET, "True", Told.DEMAND_SERVED)]
    first = standing.unmet[0]
    more = f" and {len(standing.unmet) - 1} other kinds" if len(standing.unmet) > 1 else ""
    message = f"{first.count} of {first.request}: {first.why}{more}"
    reason = Told.INFEASIBLE_REQUEST if first.is_infeasible else Told.DEMAND_UNMET
    return [*found, conditions.make(Type.DEMAND_MET, "False", reason, message)]


def _autoscaling(cluster: api.RayCluster, observed: seen.Observed) -> conditions.Condition:
    head, standing = observed.head(), observed.scaling
    if head is None:
        return conditions.make(Type.AUTOSCALING, "False", Told.HEAD_NOT_RUNNING)
    match autoscaling.controller(cluster, head):
        case autoscaling.Mode.SIDECAR:
            return conditions.make(Type.AUTOSCALING, "True", Told.SCALED_BY_SIDECAR)
        case autoscaling.Mode.OPERATOR if standing is not None and standing.trouble:
            return conditions.make(
                Type.AUTOSCALING, "False", Told.GCS_UNREACHABLE, standing.trouble
            )
        case autoscaling.Mode.OPERATOR:
            return conditions.make(Type.AUTOSCALING, "True", Told.SCALED_BY_OPERATOR)
    message = (
        f"autoscaling was switched on since head {head.name} was made: delete its Pod, or set"
        " upgradeStrategy.type to Recreate"
    )
    return conditions.make(Type.AUTOSCALING, "False", Told.HEAD_MADE_WITHOUT, message)
