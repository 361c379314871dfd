"""Accelerators: Ray is told of what the node gives, by capacity that was written by hand."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray

NAME = "raycluster"
GIVEN = {"nvidia.com/gpu": "1", "google.com/tpu": "4"}
NODES = """
import json, ray
ray.init(log_to_driver=False)
print("nodes:", json.dumps({n["NodeManagerHostname"]: n["Resources"] for n in ray.nodes()}))
"""


@contextmanager
def accelerators(cluster: clusters.Cluster, node: str) -> Iterator[None]:
    """Let the node claim to have them, as a device plugin would."""
    keys = [name.replace("/", "~1") for name in GIVEN]

    def patch(*changes: dict[str, Any]) -> None:
        flags = ("--subresource=status", "--type=json", "-p", json.dumps(changes))
        cluster.kubectl("patch", "node", node, *flags)

    def lacks(what: str) -> bool:
        (found,) = (n for n in cluster.list("nodes", None) if n["metadata"]["name"] == node)
        return any(found["status"][what].get(name) != count for name, count in GIVEN.items())

    patch(
        *(
            {"op": "add", "path": f"/status/capacity/{key}", "value": count}
            for key, count in zip(keys, GIVEN.values(), strict=True)
        )
    )
    try:
        cluster.wait(
            lambda: not lacks("allocatable"),
            within=timedelta(minutes=1),
            what="accelerators to allocate",
            namespace="default",
        )
        yield
    finally:
        patch(
            *(
                {"op": "remove", "path": f"/status/{part}/{key}"}
                for part in ("capacity", "allocatable")
                for key in keys
            )
        )


@pytest.mark.full
def test_ray_has_the_accelerators_of_the_limits(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    node = ray_node(cluster)
    template = ray.pod_template("ray-worker")
    container = template["spec"]["containers"][0]
    limits = {**container["resources"]["limits"], **GIVEN}
    container["resources"] = {**container["resources"], "limits": limits}
    with accelerators(cluster, node):
        manifest = ray.ray_cluster(NAME, groups=[ray.worker_group(template=template)])
        cluster.apply(manifest, namespace)
        ray.wait_ready(cluster, namespace, NAME, workers=1)
        (worker,) = ray.pods(cluster, namespace, NAME, node_type="worker")
        assert worker["spec"]["nodeName"] == node
        status = (cluster.get("rayclusters", namespace, NAME) or {})["status"]
        assert (status["desiredGPU"], status["desiredTPU"]) == ("1", "4")
        head = ray.head(cluster, namespace, NAME)
        where = ("-n", namespace, "exec", "-i", head, "-c", "ray-head", "--", "python", "-")
        output = cluster.kubectl(*where, stdin=NODES)
        (line,) = (each for each in output.splitlines() if each.startswith("nodes: "))
        nodes = json.loads(line.removeprefix("nodes: "))
        found = nodes[worker["metadata"]["name"]]
        assert (found["GPU"], found["TPU"]) == (1.0, 4.0)
        assert "GPU" not in nodes[head]
    assert operator.pods()


def ray_node(cluster: clusters.Cluster) -> str:
    """Name a node on which Ray Pods may run."""
    return str(
        next(
            node["metadata"]["name"]
            for node in cluster.list("nodes", None)
            if not any(t["effect"] != "PreferNoSchedule" for t in node["spec"].get("taints", ()))
        )
    )
