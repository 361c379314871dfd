"""The operator scales workers by what Ray asks for, without a sidecar."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray

NAME = "scaled"
MINUTE = timedelta(minutes=1)
BURST = """
import os, ray, sys, time
ray.init(log_to_driver=False)
@ray.remote(num_cpus=1, max_retries=0)
def work(seconds):
    time.sleep(seconds)
    return os.uname().nodename
count, seconds = int(sys.argv[1]), float(sys.argv[2])
print("demand at:", time.time(), flush=True)
done = ray.get([work.remote(seconds) for _ in range(count)], timeout=240)
print("done at:", time.time())
print("hosts:", " ".join(sorted(set(done))))
"""


def scaled(*, head: dict[str, Any] | None = None, **group: Any) -> clusters.Json:
    """Return a cluster whose head takes no work."""
    spec = {"replicas": 0, "maxReplicas": 3, **group}
    return ray.ray_cluster(
        NAME,
        head={"rayStartParams": {"num-cpus": "0"}, **(head or {})},
        groups=[ray.worker_group(**spec)],
        enableInTreeAutoscaling=True,
        autoscalerOptions={"idleTimeoutSeconds": 5},
    )


def workers(cluster: clusters.Cluster, namespace: str) -> list[clusters.Json]:
    return ray.pods(cluster, namespace, NAME, node_type="worker")


def status(cluster: clusters.Cluster, namespace: str) -> clusters.Json:
    found = cluster.get("rayclusters", namespace, NAME) or {}
    return dict(found.get("status", {}))


def replicas(cluster: clusters.Cluster, namespace: str) -> int:
    found = cluster.get("rayclusters", namespace, NAME) or {}
    return int(found["spec"]["workerGroupSpecs"][0]["replicas"])


def on_head(cluster: clusters.Cluster, namespace: str, *command: str, stdin: str = "") -> str:
    head = ray.head(cluster, namespace, NAME)
    where = ("-n", namespace, "exec", "-i", head, "-c", "ray-head", "--")
    return cluster.kubectl(*where, *command, stdin=stdin, within=6 * MINUTE)


def burst(cluster: clusters.Cluster, namespace: str, count: int, seconds: float = 0) -> str:
    """Run so many tasks of a CPU at once; return what the driver said."""
    return on_head(cluster, namespace, "python", "-", str(count), str(seconds), stdin=BURST)


@contextmanager
def beside(work: Any, *arguments: Any) -> Iterator[list[str]]:
    """Run something while the block does; it has ended with the block."""
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(work(*arguments)))
    thread.start()
    try:
        yield said
    finally:
        thread.join()


def wait_workers(cluster: clusters.Cluster, namespace: str, count: int) -> None:
    cluster.wait(
        lambda: len(workers(cluster, namespace)) == count,
        within=2 * MINUTE,
        what=f"{count} workers",
        namespace=namespace,
    )


def told(cluster: clusters.Cluster, namespace: str, reason: str) -> list[str]:
    return [
        each["message"] for each in cluster.list("events", namespace) if each["reason"] == reason
    ]


@pytest.fixture
def idle(cluster: clusters.Cluster, operator: operators.Operator, namespace: str) -> str:
    """A namespace with a cluster that is ready and has no workers."""
    assert operator.pods()
    cluster.apply(scaled(), namespace)
    ray.wait_ready(cluster, namespace, NAME, workers=0)
    return namespace


def test_workers_come_for_work_and_go_when_idle(cluster: clusters.Cluster, idle: str) -> None:
    (head,) = ray.pods(cluster, idle, NAME, node_type="head")
    assert [each["name"] for each in head["spec"]["containers"]] == ["ray-head"]
    assert cluster.list("roles", idle) == []
    said = burst(cluster, idle, 6, 3)
    assert len(said.partition("hosts:")[2].split()) == 3
    (up,) = told(cluster, idle, "ScaledUp")
    assert up == ("Scaled up group workers by 3 to 3: no node has room for 6 of {CPU: 1}")
    wait_workers(cluster, idle, 0)
    assert replicas(cluster, idle) == 0
    assert any("idle for" in each for each in told(cluster, idle, "ScaledDown"))
    found = status(cluster, idle)
    assert found["autoscaler"]["mode"] == "operator"
    assert "Scaled down group workers" in found["autoscaler"]["lastDecision"]
    assert ray.condition(found, "RayClusterAutoscaling")["reason"] == "ScaledByOperator"
    shown = cluster.kubectl("-n", idle, "get", "raycluster", NAME, "-o", "wide")
    assert "AUTOSCALER" in shown
    assert "operator" in shown


def test_ray_itself_tells_what_is_to_come(cluster: clusters.Cluster, idle: str) -> None:
    """`ray status` and the dashboard show it as if Ray's own autoscaler did the work."""
    with beside(burst, cluster, idle, 1, 8):
        wait_workers(cluster, idle, 1)
        shown = on_head(cluster, idle, "ray", "status")
        assert re.search(r"workers, workers-|scaled-workers-worker|pending", shown.lower()), shown
        print(shown)
