"""RayServices on real Ray: the sample as users try it, and upgrades under load."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray, serve

pytestmark = pytest.mark.usefixtures("operator")
SAMPLE = Path(__file__).parents[2] / "samples/ray-service.sample.yaml"
SOON = timedelta(minutes=5)


def post(cluster: clusters.Cluster, namespace: str, url: str, body: object) -> str:
    """Send a request from a Pod of the namespace, once."""
    where = ("-n", namespace, "exec", "client", "--", "curl", "-sS", "-m", "60", "-X", "POST")
    header = ("-H", "Content-Type: application/json", "-d", json.dumps(body))
    return cluster.kubectl(*where, *header, url)


def add_client(cluster: clusters.Cluster, namespace: str) -> None:
    """Run a Pod to send requests from."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "client"},
        "spec": {
            "containers": [{"name": "c", "image": ray.IMAGE, "command": ["sleep", "infinity"]}],
            "terminationGracePeriodSeconds": 0,
        },
    }
    cluster.apply(pod, namespace)
    cluster.kubectl("-n", namespace, "wait", "pod/client", "--for=condition=Ready", "--timeout=60s")


def test_the_sample(cluster: clusters.Cluster, namespace: str) -> None:
    """Journey E; scenarios 1 and 2."""
    add_client(cluster, namespace)
    began = time.monotonic()
    cluster.apply(SAMPLE, namespace)
    name = "rayservice-sample"
    serve.wait_condition(cluster, namespace, "Ready", name=name)
    print(f"Ready after {time.monotonic() - began:.1f} s")
    fruit, calc = (f"http://{name}-serve-svc:8000/{path}/" for path in ("fruit", "calc"))
    assert post(cluster, namespace, calc, ["MUL", 3]) == "15 pizzas please!"
    assert post(cluster, namespace, fruit, ["MANGO", 2]) == "6"
    assert cluster.get("services", namespace, f"{name}-head-svc")
    first = serve.active(cluster, namespace, name)
    table = cluster.kubectl("-n", namespace, "get", "rayservice", name)
    assert "Running" in table
    assert cluster.list("pods", namespace, labels="ray.io/is-ray-node=yes")

    text = cluster.get("rayservices", namespace, name)
    assert text is not None
    edited = text["spec"]["serveConfigV2"].replace("price: 3", "price: 4")
    edited = edited.replace("factor: 5", "factor: 3")
    serve.change(cluster, namespace, name, serveConfigV2=edited)
    cluster.wait(
        lambda: (
            post(cluster, namespace, fruit, ["MANGO", 2]) == "8"
            and post(cluster, namespace, calc, ["MUL", 3]) == "9 pizzas please!"
        ),
        within=SOON,
        what="the answers of the new configuration",
        namespace=namespace,
    )
    assert serve.wait_serving(cluster, namespace, name) == first
    apps = serve.status(cluster, namespace, name)["activeServiceStatus"]["applicationStatuses"]
    assert {each["status"] for each in apps.values()} == {"RUNNING"}
    stand = apps["fruit_app"]["serveDeploymentStatuses"]["MangoStand"]
    assert stand["status"] == "HEALTHY"
    cluster.kubectl("-n", namespace, "delete", "rayservice", name, "--timeout=90s")
    assert not cluster.list("rayclusters", namespace)


@pytest.mark.full
def test_no_request_of_many_fails_while_no_cluster_starts(
    operator: operators.Operator, namespace: str
) -> None:
    """A hundred a second, in place and through a restarted operator.

    Two CPUs that carry these have none left to start another cluster beside them.
    """
    cluster, service = operator.cluster, f"{serve.NAME}-serve-svc"
    cluster.apply(serve.code(), namespace)
    config = serve.cluster_config("1", cpu="700m", image=ray.NEW_IMAGE)
    cluster.apply(serve.ray_service(rayClusterConfig=config), namespace)
    serve.wait_condition(cluster, namespace, "Ready")
    with serve.load(cluster, namespace, f"http://{service}:8000", fast=100, cpu="700m") as load:
        print("baseline", serve.summary(load.wait(8)))
        with serve.watched_endpoints(cluster, namespace, service) as fewest:
            serve.change(cluster, namespace, serveConfigV2=serve.config("b"))
            serve.wait_serving(cluster, namespace)
            operator.scale(0)
            operator.scale(1)
            answers = load.wait(30)
            assert fewest() >= 1
    found = serve.summary(answers)
    print("in all", found)
    assert found["failed"] == 0
    assert found["versions"] == ["a/1", "b/1"]


@pytest.mark.parametrize("fast", [20, pytest.param(40, marks=pytest.mark.full)])
def test_no_request_fails_through_changes(
    operator: operators.Operator, namespace: str, fast: int
) -> None:
    """Scenarios 2, 3, 8, 11 and 20: in place, a new cluster, a restarted operator."""
    cluster, service = operator.cluster, f"{serve.NAME}-serve-svc"
    # Two CPUs carry the larger load only if those that answer come before those that start.
    share = "700m" if fast > 20 else "100m"
    image = ray.NEW_IMAGE if fast > 20 else ray.IMAGE
    cluster.apply(serve.code(), namespace)
    began = time.monotonic()
    config = serve.cluster_config("1", cpu=share, image=image)
    given = serve.ray_service(rayClusterConfig=config, rayClusterDeletionDelaySeconds=25)
    cluster.apply(given, namespace)
    serve.wait_condition(cluster, namespace, "Ready")
    print(f"Ready after {time.monotonic() - began:.1f} s")
    with serve.load(cluster, namespace, f"http://{service}:8000", fast=fast, cpu=share) as load:
        (first, *_) = load.answers()
        assert first.is_good, first
        print("baseline", serve.summary(load.wait(8)))
        with serve.watched_endpoints(cluster, namespace, service) as fewest:
            serve.change(cluster, namespace, serveConfigV2=serve.config("b"))
            serve.wait_serving(cluster, namespace)
            print("in place", serve.summary(load.wait(3)))

            old, began = serve.active(cluster, namespace), time.monotonic()
            serve.change(
                cluster, namespace, rayClusterConfig=serve.cluster_config("2", image=image)
            )
            serve.wait_condition(cluster, namespace, "UpgradeInProgress", "True", within=SOON)
            new = serve.wait_serving(cluster, namespace)
            print(f"upgraded after {time.monotonic() - began:.1f} s")
            assert new != old
            (switched,) = (
                datetime.fromisoformat(each["lastTransitionTime"])
                for each in serve.status(cluster, namespace)["conditions"]
                if each["type"] == "UpgradeInProgress"
            )
            operator.scale(0)
            operator.scale(1)
            cluster.wait(
                lambda: cluster.get("rayclusters", namespace, old) is None,
                within=timedelta(minutes=2),
                what="the old cluster gone",
                namespace=namespace,
            )
            stayed = datetime.now(UTC) - switched
            assert stayed > timedelta(seconds=20), "its requests were to be answered"
            answers = load.wait(14)
            assert fewest() >= 1
    found = serve.summary(answers)
    print("in all", found)
    assert found["failed"] == 0
    assert found["versions"] == ["a/1", "b/1", "b/2"]
