"""RayJobs on real Ray: each mode to its end, and what users see on the way."""

from datetime import timedelta

import pytest

from tests.e2e.conftest import SharedRayCluster
from tests.support import cluster as clusters
from tests.support import rayjobs

pytestmark = pytest.mark.usefixtures("operator")


def test_a_job_with_a_cluster_of_its_own(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 1: success with `shutdownAfterJobFinishes`."""
    job = rayjobs.ray_job(
        "own",
        "python -c 'import ray; ray.init(); print(\"sum\", 40 + 2)'; sleep 10",
        shutdownAfterJobFinishes=True,
        workers=1,
    )
    cluster.apply(job, namespace)
    status = rayjobs.wait_phase(cluster, namespace, "own", "Running")
    ray_cluster = status["rayClusterName"]
    cluster.wait(
        lambda: cluster.get("services", namespace, "own-head-svc"),
        within=timedelta(minutes=1),
        what="the Service that keeps its name",
        namespace=namespace,
    )
    status = rayjobs.wait_phase(cluster, namespace, "own", "Complete", job="SUCCEEDED")
    assert status["rayJobInfo"].keys() == {"startTime", "endTime"}
    assert (status["succeeded"], status["failed"]) == (1, 0)
    assert "sum 42" in rayjobs.logs(cluster, namespace, "own")
    cluster.wait(
        lambda: cluster.get("rayclusters", namespace, ray_cluster) is None,
        within=timedelta(minutes=1),
        what="the cluster gone",
        namespace=namespace,
    )
    assert cluster.get("jobs", namespace, "own")
    cluster.kubectl(
        "-n", namespace, "wait", "rayjob/own", "--for=condition=Complete", "--timeout=60s"
    )
    cluster.patch("rayjobs", namespace, "own", {"spec": {"suspend": True}})
    assert rayjobs.status(cluster, namespace, "own")["jobDeploymentStatus"] == "Complete"


@pytest.mark.parametrize("mode", ["K8sJobMode", "HTTPMode"])
def test_success_and_failure_on_a_shared_cluster(
    cluster: clusters.Cluster, shared_ray_cluster: SharedRayCluster, mode: str
) -> None:
    """Checklist 18: both on one cluster at once, which stays."""
    namespace, name = shared_ray_cluster
    stem = mode.lower().removesuffix("mode")
    good, bad = f"good-{stem}", f"bad-{stem}"
    cluster.apply(rayjobs.ray_job(good, mode=mode, on=name), namespace)
    script = "echo the last words; exit 3"
    cluster.apply(rayjobs.ray_job(bad, script, mode=mode, on=name), namespace)
    assert rayjobs.finished(cluster, namespace, good) == ("Complete", "SUCCEEDED", "")
    assert rayjobs.finished(cluster, namespace, bad) == ("Failed", "FAILED", "AppFailed")
    assert "the last words" in rayjobs.status(cluster, namespace, bad)["message"]
    assert cluster.get("rayclusters", namespace, name)
    if mode == "K8sJobMode":
        assert "hello from the driver" in rayjobs.logs(cluster, namespace, good)
