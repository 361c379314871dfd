"""Ray's own autoscaler beside the head: workers come for work, and go when idle, alone."""

import threading
from datetime import timedelta

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray

NAME = "raycluster"
MINUTE = timedelta(minutes=1)
TASK = """
import os, ray
ray.init(log_to_driver=False)
@ray.remote(num_cpus=1)
def where():
    return os.uname().nodename
print("ran on", ray.get(where.remote(), timeout=240))
"""
BYSTANDER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "bystander"},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": ray.IMAGE, "command": ["sleep", "infinity"]}],
    },
}


def workers(cluster: clusters.Cluster, namespace: str) -> list[clusters.Json]:
    return ray.pods(cluster, namespace, NAME, node_type="worker")


@pytest.mark.full
def test_workers_come_for_work_and_go_when_idle(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    manifest = ray.ray_cluster(
        NAME,
        head={"rayStartParams": {"num-cpus": "0"}},
        groups=[ray.worker_group(replicas=0, maxReplicas=2)],
        enableInTreeAutoscaling=True,
        autoscalerOptions={
            "version": "v2",
            "idleTimeoutSeconds": 10,
            "resources": {
                "requests": {"cpu": "50m", "memory": "128Mi"},
                "limits": {"cpu": "1", "memory": "1Gi"},
            },
        },
    )
    cluster.apply(BYSTANDER, namespace)
    cluster.apply(manifest, namespace)
    ray.wait_ready(cluster, namespace, NAME, workers=0)
    head = ray.head(cluster, namespace, NAME)
    where = ("-n", namespace, "exec", "-i", head, "-c", "ray-head", "--", "python", "-")
    said: list[str] = []
    seen: set[str] = set()

    def ask() -> None:
        said.append(cluster.kubectl(*where, stdin=TASK, within=5 * MINUTE))

    def has_run() -> bool:
        seen.update(pod["metadata"]["name"] for pod in workers(cluster, namespace))
        return not asking.is_alive()

    asking = threading.Thread(target=ask)
    asking.start()
    cluster.wait(has_run, within=6 * MINUTE, what="the task's end", namespace=namespace)
    (ran_on,) = (line.split()[-1] for line in said[0].splitlines() if "ran on" in line)
    assert seen == {ran_on}

    gone = "the idle worker gone, by name"
    cluster.wait(
        lambda: not workers(cluster, namespace), within=2 * MINUTE, what=gone, namespace=namespace
    )
    found = cluster.get("rayclusters", namespace, NAME) or {}
    assert found["spec"]["workerGroupSpecs"][0]["replicas"] == 0
    assert ray.head(cluster, namespace, NAME) == head

    # A name on the list is no right to delete: only the group's own Pods go.
    listed = {"workersToDelete": [head, "bystander"]}
    at = "/spec/workerGroupSpecs/0/scaleStrategy"
    change: list[clusters.Json] = [{"op": "add", "path": at, "value": listed}]
    before = cluster.get("rayclusters", namespace, NAME) or {}
    cluster.patch("rayclusters", namespace, NAME, change)

    def is_answered() -> bool:
        now = cluster.get("rayclusters", namespace, NAME) or {}
        answered = now["status"]["observedGeneration"]
        return bool(answered > before["metadata"]["generation"])

    cluster.wait(is_answered, within=MINUTE, what="an answer to the list", namespace=namespace)
    assert ray.head(cluster, namespace, NAME) == head
    bystander = cluster.get("pods", namespace, "bystander") or {}
    assert "deletionTimestamp" not in bystander["metadata"]
    deleted = {
        each["message"]
        for each in cluster.list("events", namespace)
        if each["reason"].startswith("Deleted")
    }
    assert all(ran_on in message for message in deleted), deleted
    assert operator.pods()
