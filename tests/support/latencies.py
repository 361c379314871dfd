"""How soon workers come for tasks without room, by our autoscaler beside Ray's own.

Owns: both clusters, the tries and what is measured of each. Does not own: judging it. Invariant:
each try has a fresh driver and begins without any worker; which of the two is first is random.
"""

import random
from datetime import datetime
from typing import NamedTuple

from ray_operator import names
from tests.support import audit as audits
from tests.support import cluster as clusters
from tests.support import operators, ray, scaled

TRIES = 12
OURS, RAYS = "ours", "rays"
_SMALL = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


class Latencies(NamedTuple):
    """Seconds since the demand, of each try: until the first Pod, and until the tasks were done."""

    created: list[float]
    done: list[float]


def measure(
    cluster: clusters.Cluster, operator: operators.Operator, audit: audits.Log, namespace: str
) -> dict[str, Latencies]:
    """Return those of the operator (`OURS`) and of Ray's version 2 in a sidecar (`RAYS`)."""
    image = ray.NEW_IMAGE
    cluster.apply(scaled.ray_cluster(OURS, image=image, idle_seconds=1), namespace)
    rays = scaled.ray_cluster(
        RAYS,
        image=image,
        autoscalerOptions={"version": "v2", "idleTimeoutSeconds": 1, "resources": _SMALL},
    )
    rays["metadata"]["annotations"] = {names.AUTOSCALER_ANNOTATION: "sidecar"}
    cluster.apply(rays, namespace)
    found = {name: Latencies([], []) for name in (OURS, RAYS)}
    for name in found:
        ray.wait_ready(cluster, namespace, name, workers=0)
    draw = random.Random(0)
    for _ in range(TRIES):
        for name in draw.sample([OURS, RAYS], 2):
            output = scaled.burst(cluster, namespace, name=name)
            at = _said(output, "demand at")
            found[name].done.append(_said(output, "done at") - at)
            found[name].created.append(_first_pod(audit, operator, namespace, name, at) - at)
            scaled.wait_workers(cluster, namespace, 0, name=name)
    return found


def _said(output: str, what: str) -> float:
    (line,) = (line for line in output.splitlines() if line.startswith(what))
    return float(line.partition(":")[2])


def _first_pod(
    audit: audits.Log, operator: operators.Operator, namespace: str, name: str, after: float
) -> float:
    """Return when the operator made the first Pod of a cluster since then."""
    return min(
        each.at.timestamp()
        for each in audit.writes(operator.user)
        if (each.verb, each.resource, each.namespace) == ("create", "pods", namespace)
        and each.name.startswith(f"{name}-workers-worker-")
        and each.at > datetime.fromtimestamp(after, each.at.tzinfo)
    )
