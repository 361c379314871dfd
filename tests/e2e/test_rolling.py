"""A rolling update of a real Ray cluster: work goes on, and the head's state survives."""

import concurrent.futures
import time
from datetime import timedelta

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray, redis

NAME = "raycluster"
WORKERS = 2
WITHIN = timedelta(minutes=6)
PUT = """
import ray
from ray.experimental import internal_kv
ray.init(log_to_driver=False)
internal_kv._internal_kv_put(b"kept", b"still here")
"""
GET = """
import ray
from ray.experimental import internal_kv
ray.init(log_to_driver=False)
print("answer:", internal_kv._internal_kv_get(b"kept").decode())
"""
TASK = """
import ray, time
ray.init(log_to_driver=False)
@ray.remote(num_cpus=1, max_retries=0)
def work():
    time.sleep({seconds})
    return "done"
print("work:", ray.get(work.remote()))
"""


def uids(cluster: clusters.Cluster, namespace: str, node_type: str) -> set[str]:
    found = ray.pods(cluster, namespace, NAME, node_type=node_type)
    return {pod["metadata"]["uid"] for pod in found}


def ready_workers(cluster: clusters.Cluster, namespace: str) -> int:
    return sum(
        ray.condition(pod["status"], "Ready").get("status") == "True"
        for pod in ray.pods(cluster, namespace, NAME, node_type="worker")
    )


def env(path: str) -> clusters.Json:
    value = {"name": "EDITED", "value": "yes"}
    return {"op": "add", "path": f"/spec/{path}/template/spec/containers/0/env/-", "value": value}


@pytest.mark.full
def test_a_changed_template_rolls_without_losing_work_or_state(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    manifest = ray.ray_cluster(
        NAME,
        workers=WORKERS,
        head={"rayStartParams": {"num-cpus": "0"}, "template": ray.pod_template("ray-head")},
        gcsFaultToleranceOptions=redis.start(cluster, namespace),
        upgradeStrategy={
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        },
    )
    cluster.apply(manifest, namespace)
    ray.wait_ready(cluster, namespace, NAME, workers=WORKERS)
    ray.python(cluster, namespace, NAME, PUT)
    old_workers, old_head = (uids(cluster, namespace, each) for each in ("worker", "head"))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        work = pool.submit(ray.python, cluster, namespace, NAME, TASK.format(seconds=20))
        time.sleep(5)  # so that the task runs when its worker is drained
        cluster.patch(
            "rayclusters", namespace, NAME, [env("headGroupSpec"), env("workerGroupSpecs/0")]
        )
        fewest = WORKERS

        def workers_are_new() -> bool:
            nonlocal fewest
            if uids(cluster, namespace, "head") == old_head:
                fewest = min(fewest, ready_workers(cluster, namespace))
            return not old_workers & uids(cluster, namespace, "worker")

        what = "every worker of the new template"
        cluster.wait(workers_are_new, within=WITHIN, what=what, namespace=namespace)
        assert "work: done" in work.result()
    assert fewest == WORKERS
    cluster.wait(
        lambda: not old_head & uids(cluster, namespace, "head"),
        within=WITHIN,
        what="a head of the new template",
        namespace=namespace,
    )
    new_workers = uids(cluster, namespace, "worker")
    status = ray.wait_ready(cluster, namespace, NAME, workers=WORKERS)
    assert ray.condition(status, "RayClusterUpToDate")["status"] == "True"
    assert status["updatedWorkerReplicas"] == WORKERS
    assert uids(cluster, namespace, "worker") == new_workers  # they outlived the old head
    assert "answer: still here" in ray.python(cluster, namespace, NAME, GET)
    assert "work: done" in ray.python(cluster, namespace, NAME, TASK.format(seconds=0))
