"""A cluster that is suspended, replaced, cut and grown, with real Ray."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray

MINUTE = timedelta(minutes=1)
NAME = "raycluster"
SLICE = "slice"


def uids(cluster: clusters.Cluster, namespace: str, **labels: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in ray.pods(cluster, namespace, NAME, **labels)}


def change(cluster: clusters.Cluster, namespace: str, **spec: object) -> None:
    cluster.patch("rayclusters", namespace, NAME, {"spec": spec})


def wait_condition(
    cluster: clusters.Cluster, namespace: str, type_: str, status: str
) -> clusters.Json:
    """Wait as users do."""
    where = ("-n", namespace, "wait", f"raycluster/{NAME}", f"--for=condition={type_}={status}")
    cluster.kubectl(*where, "--timeout=240s", within=timedelta(minutes=5))
    found = cluster.get("rayclusters", namespace, NAME)
    assert found is not None
    return dict(found["status"])


def wait_gone(cluster: clusters.Cluster, namespace: str, pods: Callable[[], object]) -> None:
    cluster.wait(lambda: not pods(), within=2 * MINUTE, what="these Pods gone", namespace=namespace)


@pytest.mark.full
def test_a_cluster_is_suspended_resumed_and_recreated(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    strategy = {"type": "Recreate"}
    cluster.apply(ray.ray_cluster(NAME, upgradeStrategy=strategy), namespace)
    ray.wait_ready(cluster, namespace, NAME, workers=1)
    first = uids(cluster, namespace)

    change(cluster, namespace, suspend=True)
    status = wait_condition(cluster, namespace, "RayClusterSuspended", "True")
    assert status["state"] == "suspended"
    assert cluster.list("pods", namespace, labels=f"ray.io/cluster={NAME}") == []
    assert ray.condition(status, "RayClusterProvisioned")["status"] == "False"
    assert cluster.get("services", namespace, f"{NAME}-head-svc") is not None

    change(cluster, namespace, suspend=False)
    ray.wait_ready(cluster, namespace, NAME, workers=1)
    ray.wait_tasks(cluster, namespace, NAME)
    second = uids(cluster, namespace)
    assert not first & second

    # Scaling is no reason to replace anything; a changed template is one to replace all.
    scaled = [{"op": "replace", "path": "/spec/workerGroupSpecs/0/replicas", "value": 2}]
    cluster.patch("rayclusters", namespace, NAME, scaled)
    ray.wait_ready(cluster, namespace, NAME, workers=2)
    assert uids(cluster, namespace) > second
    env = {"op": "add", "path": "/spec/headGroupSpec/template/spec/containers/0/env/-"}
    edited = [{**env, "value": {"name": "EDITED", "value": "yes"}}]
    before = uids(cluster, namespace)
    cluster.patch("rayclusters", namespace, NAME, edited)
    cluster.wait(
        lambda: not before & uids(cluster, namespace),
        within=2 * MINUTE,
        what="every Pod of the older spec gone",
        namespace=namespace,
    )
    ray.wait_ready(cluster, namespace, NAME, workers=2)
    ray.wait_tasks(cluster, namespace, NAME)


@pytest.mark.full
def test_replicas_of_two_hosts_live_and_die_together(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    group = ray.worker_group(SLICE, replicas=1, numOfHosts=2)
    cluster.apply(ray.ray_cluster(NAME, groups=[group]), namespace)
    ray.wait_ready(cluster, namespace, NAME, workers=2)
    pods = ray.pods(cluster, namespace, NAME, node_type="worker")
    places = sorted(
        (
            pod["metadata"]["labels"]["ray.io/worker-group-replica-index"],
            pod["metadata"]["labels"]["ray.io/replica-host-index"],
        )
        for pod in pods
    )
    assert places == [("0", "0"), ("0", "1")]
    assert len({pod["metadata"]["labels"]["ray.io/worker-group-replica-name"] for pod in pods}) == 1
    service = cluster.get("services", namespace, f"{NAME}-headless")
    assert service is not None
    assert service["spec"]["clusterIP"] == "None"

    before, head = uids(cluster, namespace), uids(cluster, namespace, node_type="head")
    cluster.delete("pods", namespace, pods[0]["metadata"]["name"])
    cluster.wait(
        lambda: before & uids(cluster, namespace) == head,
        within=2 * MINUTE,
        what="both hosts of the replica gone",
        namespace=namespace,
    )
    ray.wait_ready(cluster, namespace, NAME, workers=2)
    ray.wait_tasks(cluster, namespace, NAME, within=2 * MINUTE)


@pytest.mark.full
def test_a_removed_group_is_told_of_and_goes_on_request(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    groups = [ray.worker_group("kept"), ray.worker_group("cut")]
    cluster.apply(ray.ray_cluster(NAME, groups=groups), namespace)
    ray.wait_ready(cluster, namespace, NAME, workers=2)
    cut = uids(cluster, namespace, group="cut")
    change(cluster, namespace, workerGroupSpecs=groups[:1])
    status = wait_condition(cluster, namespace, "OrphanedWorkerGroup", "True")
    assert "groups that the spec doesn't list: cut" in json.dumps(status)
    assert uids(cluster, namespace, group="cut") == cut
    annotation = "ray-operator.io/delete-orphaned-worker-groups=true"
    cluster.kubectl("-n", namespace, "annotate", "raycluster", NAME, annotation)
    wait_gone(cluster, namespace, lambda: uids(cluster, namespace, group="cut"))
    status = ray.wait_ready(cluster, namespace, NAME, workers=1)
    cluster.wait(
        lambda: (
            "OrphanedWorkerGroup" not in json.dumps(cluster.get("rayclusters", namespace, NAME))
        ),
        within=MINUTE,
        what="the condition gone",
        namespace=namespace,
    )
