"""What becomes of a RayService when its spec changes, for better or worse, on real Ray."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray, serve

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("operator")]
MINUTE = timedelta(minutes=1)
HEADS_ONLY: dict[str, Any] = {"workers": 0}


def served(cluster: clusters.Cluster, namespace: str, name: str = serve.NAME, **spec: Any) -> str:
    """Make a RayService on a head alone, and wait until it serves; name its cluster."""
    given = {"rayClusterConfig": serve.cluster_config(**HEADS_ONLY), **spec}
    cluster.apply(serve.code(), namespace)
    cluster.apply(serve.ray_service(name, **given), namespace)
    return serve.wait_serving(cluster, namespace, name)


def names(cluster: clusters.Cluster, namespace: str) -> list[str]:
    return [each["metadata"]["name"] for each in cluster.list("rayclusters", namespace)]


def test_a_bad_version_never_takes_traffic(cluster: clusters.Cluster, namespace: str) -> None:
    """Its code can't be imported; the spec is mended without deleting anything."""
    old = served(cluster, namespace)
    url = f"http://{serve.NAME}-serve-svc:8000"
    with serve.load(cluster, namespace, url, fast=5, slow=0) as load:
        bad = serve.config("c", path="missing:app")
        config = serve.cluster_config("2", **HEADS_ONLY)
        serve.change(cluster, namespace, serveConfigV2=bad, rayClusterConfig=config)
        said = serve.wait_condition(
            cluster, namespace, "ApplicationsRunning", "False", reason="Unhealthy"
        )
        assert "No module named 'missing'" in said["message"]
        said = serve.wait_condition(cluster, namespace, "UpgradeInProgress")
        assert "No module named 'missing'" in said["message"]
        assert serve.active(cluster, namespace) == old
        status = serve.status(cluster, namespace)
        assert status["serviceStatus"] == "Running"
        apps = status["pendingServiceStatus"]["applicationStatuses"]
        assert apps["app"]["status"] == "DEPLOY_FAILED"
        assert status["activeServiceStatus"]["applicationStatuses"]["app"]["status"] == "RUNNING"
        serve.change(cluster, namespace, serveConfigV2=serve.config("b"))
        new = serve.wait_serving(cluster, namespace)
        assert new == status["pendingServiceStatus"]["rayClusterName"], "mended, not made anew"
        found = serve.summary(load.wait(3))
    print(found)
    assert found["failed"] == 0
    assert found["versions"] == ["a/1", "b/2"]


def test_a_spec_that_returns_cancels_the_upgrade(cluster: clusters.Cluster, namespace: str) -> None:
    old = served(cluster, namespace, rayClusterDeletionDelaySeconds=0)
    config = serve.cluster_config("2", **HEADS_ONLY)
    serve.change(cluster, namespace, rayClusterConfig=config)
    serve.wait_condition(cluster, namespace, "UpgradeInProgress", within=MINUTE)
    pending = serve.status(cluster, namespace)["pendingServiceStatus"]["rayClusterName"]
    config = serve.cluster_config(**HEADS_ONLY)
    serve.change(cluster, namespace, rayClusterConfig=config)
    serve.wait_condition(cluster, namespace, "UpgradeInProgress", "False", within=MINUTE)
    assert serve.wait_serving(cluster, namespace) == old
    cluster.wait(
        lambda: names(cluster, namespace) == [old],
        within=MINUTE,
        what=f"{pending} gone",
        namespace=namespace,
    )


def test_a_cluster_without_room_is_told(cluster: clusters.Cluster, namespace: str) -> None:
    old = served(cluster, namespace)
    config = serve.cluster_config("2", **HEADS_ONLY)
    container = config["headGroupSpec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "1000"}}
    serve.change(cluster, namespace, rayClusterConfig=config)

    def told() -> str | None:
        message = str(ray.condition(serve.status(cluster, namespace), "UpgradeInProgress"))
        return message if "Insufficient cpu" in message else None

    message = cluster.wait(told, within=MINUTE, what="the lack of CPU", namespace=namespace)
    assert "upgradeStrategy.type None" in message
    said = serve.wait_condition(cluster, namespace, "RayClusterReady", "False")
    assert said["reason"] == "Unschedulable"
    assert serve.active(cluster, namespace) == old


def test_strategy_none_touches_no_cluster(cluster: clusters.Cluster, namespace: str) -> None:
    """Scenario 4."""
    old = served(cluster, namespace, upgradeStrategy={"type": "None"})
    before = cluster.get("rayclusters", namespace, old)
    assert before is not None
    config = serve.cluster_config("2", **HEADS_ONLY)
    serve.change(cluster, namespace, rayClusterConfig=config, serveConfigV2=serve.config("b"))
    said = serve.wait_condition(cluster, namespace, "RayServiceUpToDate", "False")
    assert said["reason"] == "UpgradesAreOff"
    cluster.wait(
        lambda: serve.answers(cluster, namespace) == "b/1",
        within=MINUTE,
        what="the configuration in place",
        namespace=namespace,
    )
    after = cluster.get("rayclusters", namespace, old)
    assert after is not None
    assert after["spec"] == before["spec"]
    assert names(cluster, namespace) == [old]


def test_changes_in_place(cluster: clusters.Cluster, namespace: str) -> None:
    """Scenario 22, and what needs no new cluster: a group more, replicas, the Service's type."""
    config = serve.cluster_config(workers=1)
    group = config["workerGroupSpecs"][0]
    old = served(cluster, namespace, rayClusterConfig=config)
    more = {**group, "groupName": "more", "replicas": 0}
    wide = {**config, "workerGroupSpecs": [{**group, "maxReplicas": 9}, more]}
    serve.change(
        cluster, namespace, rayClusterConfig=wide, serveService={"spec": {"type": "NodePort"}}
    )

    def changed() -> bool:
        spec = (cluster.get("rayclusters", namespace, old) or {})["spec"]
        groups = [(each["groupName"], each["maxReplicas"]) for each in spec["workerGroupSpecs"]]
        service = cluster.get("services", namespace, f"{serve.NAME}-serve-svc") or {}
        return groups == [("workers", 9), ("more", 5)] and service["spec"]["type"] == "NodePort"

    cluster.wait(changed, within=MINUTE, what="both changed", namespace=namespace)
    assert names(cluster, namespace) == [old]
    assert serve.wait_serving(cluster, namespace) == old


def test_suspended_and_resumed(cluster: clusters.Cluster, namespace: str) -> None:
    """Scenario 17."""
    old = served(cluster, namespace)
    serve.change(cluster, namespace, suspend=True)
    serve.wait_condition(cluster, namespace, "Suspended", within=2 * MINUTE)
    assert not cluster.list("rayclusters", namespace)
    assert not cluster.get("services", namespace, f"{serve.NAME}-serve-svc")
    serve.change(cluster, namespace, suspend=False, serveConfigV2=serve.config("b"))
    assert serve.wait_serving(cluster, namespace) != old
    assert serve.answers(cluster, namespace) == "b/1"


def test_a_start_that_takes_too_long_and_a_new_one(
    cluster: clusters.Cluster, namespace: str
) -> None:
    """Scenario 16, but that a changed spec begins anew."""
    cluster.apply(serve.code(), namespace)
    config = serve.cluster_config(image="rayproject/ray:no-such-tag", **HEADS_ONLY)
    config["rayVersion"] = "2.46.0"
    manifest = serve.ray_service(rayClusterConfig=config, rayClusterDeletionDelaySeconds=1)
    manifest["metadata"]["annotations"] = {"ray.io/initializing-timeout": "10s"}
    cluster.apply(manifest, namespace)
    serve.wait_condition(
        cluster, namespace, "Ready", "False", reason="InitializingTimeout", within=MINUTE
    )
    cluster.wait(
        lambda: not cluster.list("rayclusters", namespace),
        within=MINUTE,
        what="no cluster",
        namespace=namespace,
    )
    cluster.kubectl(
        "-n", namespace, "annotate", "rayservice", serve.NAME, "ray.io/initializing-timeout-"
    )
    config = serve.cluster_config(**HEADS_ONLY)
    serve.change(cluster, namespace, rayClusterConfig=config)
    serve.wait_serving(cluster, namespace)


def test_names_as_long_as_may_be(cluster: clusters.Cluster, namespace: str) -> None:
    """Scenarios 12 and 13."""
    name = "s" * 47
    served(cluster, namespace, name)
    assert cluster.get("services", namespace, f"{name}-serve-svc")
    assert cluster.get("services", namespace, f"{name}-head-svc")
    too_long = serve.ray_service(name + "s")
    with pytest.raises(clusters.CommandFailed, match="must have at most 47 characters"):
        cluster.apply(too_long, namespace)


def test_anothers_is_left_alone(operator: operators.Operator, namespace: str) -> None:
    """Scenario 14."""
    cluster = operator.cluster
    manifest = serve.ray_service(managedBy="kueue.x-k8s.io/multikueue")
    cluster.apply(manifest, namespace)
    with pytest.raises(clusters.CommandFailed, match="managedBy"):
        serve.change(cluster, namespace, managedBy="ray.io/kuberay-operator")
    other = serve.ray_service("other", managedBy="somebody")
    with pytest.raises(clusters.CommandFailed, match="managedBy"):
        cluster.apply(other, namespace)
    assert not serve.status(cluster, namespace)
    assert not names(cluster, namespace)
    found = cluster.get("rayservices", namespace, serve.NAME)
    assert found is not None
    assert not found["metadata"].get("finalizers")
