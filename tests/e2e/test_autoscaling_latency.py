"""How soon workers come, beside Ray's own autoscaler in the same run."""

import random
import statistics
from datetime import datetime

import pytest

from ray_operator import names
from tests.support import audit as audits
from tests.support import cluster as clusters
from tests.support import operators, ray, scaled

pytestmark = [pytest.mark.full, pytest.mark.timeout(2400)]
TRIES = 12
SMALL = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
OURS, RAYS = "ours", "rays"


def said(output: str, what: str) -> float:
    (line,) = (line for line in output.splitlines() if line.startswith(what))
    return float(line.partition(":")[2])


def test_demand_is_served_no_later_than_by_rays_own_autoscaler(
    cluster: clusters.Cluster,
    operator: operators.Operator,
    audit: audits.Log,
    namespace: str,
) -> None:
    """A fresh driver each time, random pauses, from no worker at all, on the newest Ray."""
    image = ray.NEW_IMAGE
    cluster.apply(scaled.ray_cluster(OURS, image=image, idle_seconds=1), namespace)
    rays = scaled.ray_cluster(
        RAYS,
        image=image,
        autoscalerOptions={"version": "v2", "idleTimeoutSeconds": 1, "resources": SMALL},
    )
    rays["metadata"]["annotations"] = {names.AUTOSCALER_ANNOTATION: "sidecar"}
    cluster.apply(rays, namespace)
    for name in (OURS, RAYS):
        ray.wait_ready(cluster, namespace, name, workers=0)
    draw = random.Random(0)
    created: dict[str, list[float]] = {OURS: [], RAYS: []}
    served: dict[str, list[float]] = {OURS: [], RAYS: []}
    for _ in range(TRIES):
        for name in draw.sample([OURS, RAYS], 2):
            output = scaled.burst(cluster, namespace, name=name)
            at = said(output, "demand at")
            served[name].append(said(output, "done at") - at)
            created[name].append(first_pod(audit, operator, namespace, name, at) - at)
            scaled.wait_workers(cluster, namespace, 0, name=name)
    for what, found in (("Pod created", created), ("task done", served)):
        for name, seconds in found.items():
            shown = " ".join(f"{each:.2f}" for each in sorted(seconds))
            median, ninth = statistics.median(seconds), statistics.quantiles(seconds, n=10)[-1]
            print(f"\n{what}, {name}: median {median:.2f} s, p90 {ninth:.2f} s of {shown}")
    for found in (created, served):
        assert statistics.median(found[OURS]) <= statistics.median(found[RAYS])
        p90 = {name: statistics.quantiles(each, n=10)[-1] for name, each in found.items()}
        assert p90[OURS] <= p90[RAYS]
    assert statistics.median(created[OURS]) <= 1.5


def first_pod(
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
