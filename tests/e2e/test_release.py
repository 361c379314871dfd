"""A Helm release over its life, with a RayJob, a RayService and a fault-tolerant RayCluster in use.

It begins and ends without operator and CRDs, as journeys do.
"""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e import conftest
from tests.support import apiserver, operators, ray, rayjobs, redis, serve
from tests.support import cluster as clusters

pytestmark = [pytest.mark.full, pytest.mark.first, pytest.mark.timeout(2400)]
SAMPLES = Path(__file__).parents[2] / "samples"
FT, JOB, SERVICE = "kept", "long", "rayservice-sample"
FIVE_MINUTES = timedelta(minutes=5)
CHANGED = {
    "replicas": 2,
    "podDisruptionBudget": {"maxUnavailable": 1},
    "networkPolicy": {"enabled": True},
    "crds": {"upgrade": True},
    "annotations": {"a": "b"},
    "configuration": {
        "enabled": True,
        "defaultPodLabels": {"release": "next"},
        "defaultContainerEnvs": [{"name": "RELEASE", "value": "next"}],
    },
}
"""Of the release that follows the first."""
CRD = "rayclusters.ray.io"
RESOURCES = (("rayjobs", JOB), ("rayservices", SERVICE), ("rayclusters", FT))


def lives(cluster: clusters.Cluster, namespace: str) -> dict[str, tuple[str, int]]:
    """Return the Pods of Ray, with their UIDs and how often their containers were restarted."""
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            sum(each["restartCount"] for each in pod["status"].get("containerStatuses", ())),
        )
        for pod in cluster.list("pods", namespace, labels="ray.io/is-ray-node=yes")
    }


def start(cluster: clusters.Cluster, namespace: str) -> None:
    """Have one of each at work: a finalizer is on the cluster and on the job."""
    options = redis.start(cluster, namespace)
    cluster.apply(ray.ray_cluster(FT, workers=0, gcsFaultToleranceOptions=options), namespace)
    cluster.apply(rayjobs.ray_job(JOB, "sleep 3600", mode="HTTPMode"), namespace)
    rayjobs.wait_phase(cluster, namespace, JOB, "Running", job="RUNNING")
    ray.wait_ready(cluster, namespace, FT, workers=0)
    cluster.apply(SAMPLES / "ray-service.sample.yaml", namespace)
    serve.wait_condition(cluster, namespace, "Ready", name=SERVICE)


def make_older(cluster: clusters.Cluster) -> None:
    """Take the columns from a CRD, as an older release's hasn't them."""
    patch = [{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns"}]
    cluster.kubectl("patch", "crd", CRD, "--type=json", "-p", json.dumps(patch))


def assert_is_up_to_date(cluster: clusters.Cluster) -> None:
    """Check that the columns are back, and the hook's rights gone with it."""
    columns = "jsonpath={.spec.versions[0].additionalPrinterColumns[*].name}"
    assert "reason" in cluster.kubectl("get", "crd", CRD, "-o", columns).split()
    accounts = cluster.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")
    assert f"{operators.NAME}-crds" not in accounts


def revision(cluster: clusters.Cluster, namespace: str) -> tuple[int, str]:
    """Return the revision of the release and what became of it."""
    told = cluster.helm("status", operators.NAME, "-n", namespace, "-o", "json")
    found = json.loads(told)
    return found["version"], found["info"]["status"]


def test_a_release_from_install_to_uninstall(place: clusters.Cluster, namespace: str) -> None:
    system = conftest.OPERATOR_NAMESPACE
    apiserver.install_crds(place)
    make_older(place)
    operator = operators.install(place, namespace=system, values={"crds": {"install": True}})
    assert_is_up_to_date(place)
    assert "Phase:          Succeeded" in place.helm("test", operators.NAME, "-n", system)
    start(place, namespace)
    before = lives(place, namespace)
    assert len(before) == 4, "three heads and a worker of the service"

    make_older(place)
    operator = operators.install(place, namespace=system, values=CHANGED)
    operator.wait_ready(2)
    assert_is_up_to_date(place)
    assert lives(place, namespace) == before, "other defaults are for other Pods"
    place.helm("rollback", operators.NAME, "1", "-n", system, "--wait")
    operator.wait_ready(1)
    assert revision(place, system) == (3, "deployed")
    assert "Phase:          Succeeded" in place.helm("test", operators.NAME, "-n", system)
    assert rayjobs.status(place, namespace, JOB)["jobStatus"] == "RUNNING"
    assert lives(place, namespace) == before

    place.helm("uninstall", operators.NAME, "-n", system, "--wait", "--timeout=2m")
    assert not operator.pods()
    assert lives(place, namespace) == before, "what runs goes on without the operator"
    for plural, name in RESOURCES:
        stands = place.get(plural, namespace, name)
        assert stands is not None, "CRDs and resources stay"
        assert not stands["metadata"].get("finalizers"), f"{plural} {name} could not be deleted"
    place.kubectl("-n", namespace, "delete", "rayjobs,rayservices,rayclusters", "--all")
    place.wait(
        lambda: not lives(place, namespace),
        within=FIVE_MINUTES,
        what="all Pods of Ray gone, without any operator",
        namespace=namespace,
    )
