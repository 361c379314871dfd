"""Every sample of a RayCluster comes up as it is; those that need more are accepted at least."""

import json
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from tests.e2e import test_accelerators
from tests.support import cluster as clusters
from tests.support import operators, ray, samples

ELSEWHERE = {
    "ray-cluster.embedded-gcs-ft.yaml",  # test_embedded_storage: needs a gate and a volume
    "ray-cluster.sample.yaml",  # test_raycluster
    "ray-cluster.heterogeneous.yaml",  # test_journeys
    "ray-cluster.three-workers.yaml",  # test_journeys
}


@pytest.mark.full
@pytest.mark.parametrize(
    "sample",
    [each for each in samples.runnable("ray-cluster") if each.name not in ELSEWHERE],
    ids=lambda sample: sample.name,
)
def test_a_sample_gets_ready(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str, sample: Path
) -> None:
    (node, *_) = (each["metadata"]["name"] for each in cluster.list("nodes", None))
    needs_gpu = "nvidia.com/gpu" in sample.read_text()
    with test_accelerators.accelerators(cluster, node) if needs_gpu else nullcontext():
        cluster.apply(sample, namespace)
        for manifest in yaml.safe_load_all(sample.read_text()):
            if manifest["kind"] == "RayCluster":
                groups = manifest["spec"].get("workerGroupSpecs", [])
                workers = sum(
                    each.get("replicas", 0) * each.get("numOfHosts", 1) for each in groups
                )
                ray.wait_ready(cluster, namespace, manifest["metadata"]["name"], workers=workers)


@pytest.mark.parametrize(
    "sample", [each for each in samples.ALL if samples.needs(each)], ids=lambda sample: sample.name
)
@pytest.mark.full
def test_a_sample_that_needs_more_is_accepted(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str, sample: Path
) -> None:
    assert operator.pods()
    flags = ("--validate=strict", "--dry-run=server", "-f", str(sample))
    assert "created" in cluster.kubectl("-n", namespace, "apply", *flags)


@pytest.mark.full
@pytest.mark.usefixtures("operator")
def test_a_dashboard_that_reads_kubernetes_events_knows_ours(
    cluster: clusters.Cluster, namespace: str
) -> None:
    """What the sample turns on: all of the cluster's, and those of Pods from its start on."""
    cluster.apply(samples.FOLDER / "ray-cluster.platform-events.yaml", namespace)
    name = "raycluster-platform-events"
    ray.wait_ready(cluster, namespace, name, workers=1)
    program = "curl -s localhost:8265/api/v0/platform_events"
    head = ray.head(cluster, namespace, name)
    where = ("-n", namespace, "exec", head, "-c", "ray-head", "--", *program.split())

    def told() -> set[tuple[str, str, str]]:
        found = json.loads(cluster.kubectl(*where))["data"]["events"]
        events = [each["platformEvent"] for each in found]
        return {
            (each["source"]["component"], each["objectKind"], each["reason"]) for each in events
        }

    (worker,) = ray.pods(cluster, namespace, name, node_type="worker")
    cluster.kubectl("-n", namespace, "delete", "pod", worker["metadata"]["name"], "--wait=false")
    wanted = {("raycluster-controller", "RayCluster", "Created"), ("kubelet", "Pod", "Started")}
    cluster.wait(
        lambda: told() >= wanted,
        within=timedelta(minutes=1),
        what="events of the operator and the kubelet in the dashboard",
        namespace=namespace,
    )
