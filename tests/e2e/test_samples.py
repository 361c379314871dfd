"""Every sample of a RayCluster comes up as it is."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from tests.e2e import test_accelerators
from tests.support import cluster as clusters
from tests.support import operators, ray

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("ray-cluster.*.yaml"))
ELSEWHERE = {
    "ray-cluster.embedded-gcs-ft.yaml",  # test_embedded_storage: needs a gate and a volume
    "ray-cluster.sample.yaml",  # test_raycluster
    "ray-cronjob.sample.yaml",  # tests/api/test_cronjobs: needs a gate, and waits for a morning
}


@pytest.mark.full
@pytest.mark.parametrize(
    "sample",
    [each for each in SAMPLES if each.name not in ELSEWHERE],
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
                groups = manifest["spec"]["workerGroupSpecs"]
                workers = sum(
                    each.get("replicas", 0) * each.get("numOfHosts", 1) for each in groups
                )
                ray.wait_ready(cluster, namespace, manifest["metadata"]["name"], workers=workers)
