"""What KubeRay looks for is there, so that it can take over what this operator made.

The names are KubeRay's, written out: ours could be wrong and agree with themselves.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.api import operators
from tests.support import cluster as clusters
from tests.support.rulebook import example

SOON = timedelta(seconds=30)
NAMESPACE = "default"
GROUP = {**example.CLUSTER["workerGroupSpecs"][0], "replicas": 1}
CLUSTER = {**example.CLUSTER, "workerGroupSpecs": [GROUP]}
MADE_BY = "ray.io/originated-from-crd", "ray.io/originated-from-cr-name"


@pytest.fixture(scope="module", autouse=True)
def operator(api: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with operators.running(api, tmp_path_factory.mktemp("operator") / "log"):
        yield


def listed(api: clusters.Cluster, resource: str, labels: str) -> list[clusters.Json]:
    """Return what KubeRay would list by these labels, once there is something."""
    return api.wait(
        lambda: api.list(resource, NAMESPACE, labels=labels),
        within=SOON,
        what=f"{resource} labelled {labels}",
        namespace=NAMESPACE,
    )


def controller(child: clusters.Json) -> tuple[str, str, str, bool]:
    (owner,) = (each for each in child["metadata"]["ownerReferences"] if each.get("controller"))
    return owner["apiVersion"], owner["kind"], owner["name"], owner["blockOwnerDeletion"]


def test_a_clusters_children(api: clusters.Cluster) -> None:
    api.apply(
        example.manifest("RayCluster", {"spec/workerGroupSpecs": [GROUP]}, name="back"), NAMESPACE
    )
    of_us = "ray.io/cluster=back,ray.io/is-ray-node=yes"
    (head,) = listed(api, "pods", f"{of_us},ray.io/node-type=head")
    (worker,) = listed(api, "pods", f"{of_us},ray.io/node-type=worker,ray.io/group=small")
    (service,) = listed(api, "services", "ray.io/identifier=back-head")
    assert service["metadata"]["name"] == "back-head-svc"
    for child in (head, worker, service):
        assert controller(child) == ("ray.io/v1", "RayCluster", "back", True)
    labels, annotations = head["metadata"]["labels"], head["metadata"]["annotations"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert labels["ray.io/group"] == "headgroup"
    assert len(annotations["ray.io/upgrade-strategy-recreate-hash"]) == 32
    # Not one of its own: it stamps its hash instead of comparing ours.
    assert not annotations["ray.io/kuberay-version"].startswith("v1.")


def test_a_jobs_cluster(api: clusters.Cluster) -> None:
    job = {"spec/rayClusterSpec": CLUSTER, "spec/shutdownAfterJobFinishes": True}
    api.apply(example.manifest("RayJob", job, name="back-job"), NAMESPACE)
    (cluster,) = listed(api, "rayclusters", f"{MADE_BY[0]}=RayJob,{MADE_BY[1]}=back-job")
    assert controller(cluster) == ("ray.io/v1", "RayJob", "back-job", True)
    assert cluster["metadata"]["labels"]["ray.io/job-submission-mode"] == "K8sJobMode"
    found = api.get("rayjobs", NAMESPACE, "back-job")
    assert found is not None
    assert found["metadata"]["finalizers"] == ["ray.io/rayjob-finalizer"]
    assert found["status"]["rayClusterName"] == cluster["metadata"]["name"]
    assert found["status"]["jobId"].startswith("back-job-")
    assert found["status"]["jobDeploymentStatus"] == "Initializing"


def test_a_services_cluster(api: clusters.Cluster) -> None:
    service = {"spec/rayClusterConfig": CLUSTER}
    api.apply(example.manifest("RayService", service, name="back-service"), NAMESPACE)
    (cluster,) = listed(api, "rayclusters", f"{MADE_BY[0]}=RayService,{MADE_BY[1]}=back-service")
    assert controller(cluster) == ("ray.io/v1", "RayService", "back-service", True)
    annotations = cluster["metadata"]["annotations"]
    assert annotations["ray.io/num-worker-groups"] == "1"
    assert annotations["ray.io/hash-without-replicas-and-workers-to-delete"]
    assert not annotations["ray.io/kuberay-version"].startswith("v1.")
    found = api.get("rayservices", NAMESPACE, "back-service")
    assert found is not None
    pending = found["status"]["pendingServiceStatus"]["rayClusterName"]
    assert pending == cluster["metadata"]["name"]
