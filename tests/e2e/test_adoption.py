"""Real Ray in Pods as KubeRay makes them goes on when this operator takes its place."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import adoption, operators, ray
from tests.support import cluster as clusters

GOLDEN = Path(__file__).parents[1] / "golden/cluster-sample.out.yaml"
NAME = "sample"
PROBE = "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success"
WAIT = "until ray health-check --address $FQ_RAY_IP:6379; do sleep 2; done"


def here(node: Any, namespace: str, *, script: str = PROBE) -> Any:
    """Put the scripts back that the record leaves out, and this namespace into addresses."""
    if isinstance(node, dict):
        return {
            key: here(each, namespace, script=WAIT if key == "initContainers" else script)
            for key, each in node.items()
        }
    if isinstance(node, list):
        return [here(each, namespace, script=script) for each in node]
    if isinstance(node, str):
        given = script if node == adoption.ELIDED else node
        return given.replace("g-cluster-sample", namespace)
    return node


def lives(cluster: clusters.Cluster, namespace: str) -> dict[str, Any]:
    """Return what a restart of anything would change, by Pod."""
    return {
        pod["metadata"]["uid"]: (
            pod["spec"],
            pod["status"]["startTime"],
            [
                (each["containerID"], each["restartCount"])
                for each in pod["status"]["containerStatuses"]
            ],
        )
        for pod in ray.pods(cluster, namespace, NAME)
    }


def all_ready(cluster: clusters.Cluster, namespace: str) -> bool:
    pods = ray.pods(cluster, namespace, NAME)
    return len(pods) == 2 and all(
        ray.condition(pod["status"], "Ready").get("status") == "True" for pod in pods
    )


@pytest.mark.full
def test_nothing_restarts_and_tasks_go_on(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    resource, children = adoption.read(GOLDEN)
    for child in children:
        if child["kind"] == "Pod":
            child["spec"]["containers"][0]["env"].append(dict(ray.PATIENCE))
    with operators.paused(operator):
        made = [here(each, namespace) for each in children]
        adoption.leave(cluster, namespace, resource, made, runs=True)
        cluster.wait(
            lambda: all_ready(cluster, namespace),
            within=ray.START,
            what="head and worker ready, without any operator",
            namespace=namespace,
        )
        ray.wait_tasks(cluster, namespace, NAME)
        before = lives(cluster, namespace)
    ray.wait_ready(cluster, namespace, NAME, workers=1, within=timedelta(minutes=1))
    ray.wait_tasks(cluster, namespace, NAME)
    assert lives(cluster, namespace) == before

    # A worker of ours joins the head that KubeRay made.
    scaled = [{"op": "replace", "path": "/spec/workerGroupSpecs/0/replicas", "value": 2}]
    cluster.patch("rayclusters", namespace, NAME, scaled)
    ray.wait_ready(cluster, namespace, NAME, workers=2)
    ray.wait_tasks(cluster, namespace, NAME)
    after = lives(cluster, namespace)
    assert {uid: after[uid] for uid in before} == before
