"""Small Ray clusters: manifests, and what runs on them.

Owns: valid objects with keyword overrides, waiting for readiness, tasks on every node. Invariant:
a Pod of ours asks for little, because many run on the two cores of a test machine.
"""

import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support import cluster as clusters

IMAGE = os.environ.get("RAY_IMAGE", "rayproject/ray:2.46.0")
NEW_IMAGE = "rayproject/ray:2.60.0"
RESOURCES = {
    "requests": {"cpu": "100m", "memory": "256Mi"},
    "limits": {"cpu": "1", "memory": "2Gi"},
}
PATIENCE = {"name": "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT", "value": "180"}
"""Ray's dashboard gives up after 30 s of starting, for good, and the head never gets ready."""
EVERY_NODE = Path(__file__).parents[2] / "scripts/every_node.py"
START = timedelta(minutes=4)
"""For a head and its workers, on a busy machine of two cores."""


def ray_cluster(
    name: str = "raycluster",
    *,
    workers: int = 1,
    head: dict[str, Any] | None = None,
    groups: list[dict[str, Any]] | None = None,
    **spec: Any,
) -> clusters.Json:
    """Return a RayCluster; `head` and `spec` override, `groups` replaces the one worker group."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": name},
        "spec": {
            "rayVersion": "2.46.0",
            "headGroupSpec": {
                "rayStartParams": {},
                "template": pod_template("ray-head"),
                **(head or {}),
            },
            "workerGroupSpecs": [worker_group(replicas=workers)] if groups is None else groups,
            **spec,
        },
    }


def worker_group(name: str = "workers", *, replicas: int = 1, **fields: Any) -> clusters.Json:
    """Return a worker group; `fields` override."""
    return {
        "groupName": name,
        "replicas": replicas,
        "minReplicas": 0,
        "maxReplicas": 5,
        "rayStartParams": {},
        "template": pod_template("ray-worker"),
        **fields,
    }


def pod_template(container: str, **fields: Any) -> clusters.Json:
    """Return a Pod template with one small Ray container; `fields` join the Pod's spec."""
    ray = {"name": container, "image": IMAGE, "resources": RESOURCES, "env": [PATIENCE]}
    return {"spec": {"containers": [ray], **fields}}


def pods(
    cluster: clusters.Cluster, namespace: str, name: str, **labels: str
) -> list[clusters.Json]:
    """Return the Ray cluster's Pods that stay; `node_type` and `group` select among them."""
    wanted = {"cluster": name, **labels}
    selector = ",".join(f"ray.io/{key.replace('_', '-')}={value}" for key, value in wanted.items())
    found = cluster.list("pods", namespace, labels=selector)
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def head(cluster: clusters.Cluster, namespace: str, name: str) -> str:
    """Name the head Pod."""
    (pod,) = pods(cluster, namespace, name, node_type="head")
    return str(pod["metadata"]["name"])


def wait_ready(
    cluster: clusters.Cluster,
    namespace: str,
    name: str,
    *,
    workers: int,
    within: timedelta = START,
) -> clusters.Json:
    """Wait until the status says ready for the spec of now, and so many workers; return it."""

    def is_ready() -> clusters.Json | None:
        found = cluster.get("rayclusters", namespace, name) or {}
        status: clusters.Json = found.get("status", {})
        current = status.get("observedGeneration") == found.get("metadata", {}).get("generation")
        ready = condition(status, "RayClusterReady").get("status") == "True"
        counted = status.get("readyWorkerReplicas") == workers
        # The status may be of before a Pod went whose successor is there already.
        there = pods(cluster, namespace, name)
        up = [each for each in there if condition(each["status"], "Ready").get("status") == "True"]
        complete = len(there) == len(up) == 1 + workers
        return status if current and ready and counted and complete else None

    what = f"RayCluster {name} ready with {workers} workers"
    return cluster.wait(is_ready, within=within, what=what, namespace=namespace)


def condition(status: clusters.Json, type_: str) -> clusters.Json:
    """Return the condition of that type, empty when there is none."""
    found: list[clusters.Json] = status.get("conditions", [])
    return next((item for item in found if item["type"] == type_), {})


def on_head(
    cluster: clusters.Cluster,
    namespace: str,
    name: str,
    *command: str,
    stdin: str = "",
    within: timedelta = timedelta(minutes=2),
) -> str:
    """Run a command in the head; return what it printed."""
    where = ("-n", namespace, "exec", "-i", head(cluster, namespace, name), "-c", "ray-head", "--")
    return cluster.kubectl(*where, *command, stdin=stdin, within=within)


def python(cluster: clusters.Cluster, namespace: str, name: str, program: str) -> str:
    """Run a program with the head's Python; return what it printed."""
    return on_head(cluster, namespace, name, "python", "-", stdin=program)


def wait_tasks(
    cluster: clusters.Cluster,
    namespace: str,
    name: str,
    *,
    within: timedelta = timedelta(minutes=3),
) -> None:
    """Run a task on every Ray node, until the nodes are exactly the Pods.

    Ray itself takes some seconds to see that a worker has gone.
    """

    def agrees() -> bool:
        wanted = {pod["metadata"]["name"] for pod in pods(cluster, namespace, name)}
        return hosts(cluster, namespace, name) == wanted

    what = "a Ray task's host for every Pod, and no other"
    cluster.wait(agrees, within=within, what=what, namespace=namespace)


def hosts(cluster: clusters.Cluster, namespace: str, name: str) -> set[str]:
    """Run a task on every Ray node, with a fresh nonce; return the hosts it ran on."""
    nonce = uuid.uuid4().hex
    program = EVERY_NODE.read_text()
    output = on_head(cluster, namespace, name, "python", "-", nonce, stdin=program)
    lines = [line.split() for line in output.splitlines() if line.startswith(nonce)]
    return {host for _, _, host in lines}
