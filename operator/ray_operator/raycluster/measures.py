"""What is counted and located of a cluster's children, for its status.

Owns: counters, resources, ports and the head's whereabouts. Does not own: what is concluded from
them (`status`, `aspects`). Invariant: all counters are of Pods, not replicas; workers of groups
that the spec doesn't list count nowhere. Source: KubeRay 1.7, status of RayCluster.
"""

from typing import Any

from ray_operator import actions, records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import drain, groups, head_service, resources, scaling, upgrade
from ray_operator.raycluster import head as lost
from ray_operator.raycluster import observed as seen


def measured(
    cluster: api.RayCluster, observed: seen.Observed, progress: upgrade.Progress
) -> dict[str, Any]:
    """Count Pods and resources, and locate the head. All counters are of Pods, not replicas."""
    workers = listed_workers(cluster, observed)
    scaled = scaling.status(cluster, observed)
    total = resources.totals(cluster)
    specs = cluster.spec.worker_group_specs
    return {
        "availableWorkerReplicas": sum(pod.phase == "Running" for pod in workers),
        "desiredCPU": total.cpu,
        "desiredGPU": total.gpu,
        "desiredMemory": total.memory,
        "desiredTPU": total.tpu,
        "desiredWorkerReplicas": sum(groups.desired_pods(group) for group in specs),
        "endpoints": _endpoints(head_service.standing(cluster, observed)),
        "head": _head(cluster, observed),
        "maxWorkerReplicas": groups.max_pods(specs),
        "minWorkerReplicas": groups.min_pods(specs),
        "updatedWorkerReplicas": progress.updated,
        "readyWorkerReplicas": sum(pod.phase == "Running" and pod.ready is True for pod in workers),
        **({"autoscaler": scaled} if scaled else {}),
    }


def listed_workers(cluster: api.RayCluster, observed: seen.Observed) -> list[records.Pod]:
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


def head_pod(observed: seen.Observed) -> records.Pod | None:
    """Return the head to speak of: one that stays rather than one that goes."""
    heads = sorted(observed.head_pods(), key=lambda pod: (pod.deletion_at is not None, pod.name))
    return heads[0] if heads else None


def _head(cluster: api.RayCluster, observed: seen.Observed) -> dict[str, str]:
    pod = head_pod(observed)
    if pod is None and lost.stays_lost(cluster, observed):
        return dict(cluster.status.get("head", {}))  # it tells that there was one, and which
    head: dict[str, str] = {}
    if pod is not None:
        head["podName"] = pod.name
        if pod.ip:
            head["podIP"] = pod.ip
    if service := head_service.standing(cluster, observed):
        head["serviceName"] = service.name
        address = head.get("podIP", "") if service.cluster_ip == "None" else service.cluster_ip
        if address:
            head["serviceIP"] = address
    return head


def is_ready(cluster: api.RayCluster, observed: seen.Observed, outcome: actions.Outcome) -> bool:
    """Tell whether every expected Pod is there and ready, and nothing failed in this pass."""
    pods = [*observed.head_pods(), *listed_workers(cluster, observed)]
    wanted = 1 + sum(groups.desired_pods(group) for group in cluster.spec.worker_group_specs)
    staying = [pod for pod in pods if pod.deletion_at is None and not drain.is_draining(pod)]
    return (
        not outcome.failures
        and len(staying) == wanted
        and all(seen.is_ready(pod) for pod in staying)
    )
