"""A RayCluster runs on a real cluster, with real Ray, as its spec says."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SharedRayCluster
from tests.support import cluster as clusters
from tests.support import operators, ray

SAMPLE = Path(__file__).parents[2] / "samples/ray-cluster.sample.yaml"
MINUTE = timedelta(minutes=1)


def names_of(pods: list[clusters.Json]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}


def test_sample_runs_a_task_on_every_node(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    cluster.apply(SAMPLE, namespace)
    status = ray.wait_ready(cluster, namespace, "raycluster-kuberay", workers=1)
    assert status["state"] == "ready"
    ray.wait_tasks(cluster, namespace, "raycluster-kuberay")


def test_status_tells_what_runs(
    cluster: clusters.Cluster, shared_ray_cluster: SharedRayCluster
) -> None:
    namespace, name = shared_ray_cluster
    found = cluster.get("rayclusters", namespace, name)
    assert found is not None
    (head,) = ray.pods(cluster, namespace, name, node_type="head")
    service = cluster.get("services", namespace, f"{name}-head-svc")
    assert service is not None
    address = {"None": head["status"]["podIP"]}.get(
        service["spec"]["clusterIP"], service["spec"]["clusterIP"]
    )
    told = {key: value for key, value in found["status"].items() if not key.startswith("last")}
    conditions = {item["type"]: item["status"] for item in told.pop("conditions")}
    assert conditions["HeadPodReady"] == "True"
    assert conditions["RayClusterProvisioned"] == "True"
    assert told.pop("stateTransitionTimes").keys() == {"ready"}
    assert told == {
        "availableWorkerReplicas": 1,
        "readyWorkerReplicas": 1,
        "updatedWorkerReplicas": 1,
        "desiredWorkerReplicas": 1,
        "minWorkerReplicas": 0,
        "maxWorkerReplicas": 5,
        "desiredCPU": "200m",
        "desiredMemory": "512Mi",
        "desiredGPU": "0",
        "desiredTPU": "0",
        "endpoints": {
            "client": "10001",
            "dashboard": "8265",
            "gcs-server": "6379",
            "metrics": "8080",
            "serve": "8000",
        },
        "head": {
            "podIP": head["status"]["podIP"],
            "podName": head["metadata"]["name"],
            "serviceIP": address,
            "serviceName": f"{name}-head-svc",
        },
        "observedGeneration": found["metadata"]["generation"],
        "state": "ready",
    }


def test_columns_show_the_state(
    cluster: clusters.Cluster, shared_ray_cluster: SharedRayCluster
) -> None:
    namespace, name = shared_ray_cluster
    header, row = cluster.kubectl("-n", namespace, "get", "rayclusters").splitlines()
    assert header.split()[:3] == ["NAME", "DESIRED", "WORKERS"]
    assert row.split()[:7] == [name, "1", "1", "200m", "512Mi", "0", "ready"]


def test_ready_cluster_is_left_alone(
    cluster: clusters.Cluster, operator: operators.Operator, shared_ray_cluster: SharedRayCluster
) -> None:
    """A restarted operator changes nothing: no Pod restarts, no write to the resource."""
    namespace, name = shared_ray_cluster

    def state() -> list[tuple[str, str]]:
        objects = [
            *ray.pods(cluster, namespace, name),
            *cluster.list("services", namespace),
            *cluster.list("rayclusters", namespace),
        ]
        return [(o["metadata"]["uid"], o["metadata"]["resourceVersion"]) for o in objects]

    before = state()
    operator.scale(0)
    operator.scale(1)
    # A cluster made now is ready later than the operator has looked at the old one.
    cluster.apply(ray.ray_cluster("younger", groups=[]), namespace)
    try:
        ray.wait_ready(cluster, namespace, "younger", workers=0)
    finally:
        cluster.kubectl("-n", namespace, "delete", "raycluster", "younger")
    cluster.wait(
        lambda: not ray.pods(cluster, namespace, "younger") and len(state()) == len(before),
        within=MINUTE,
        what="the younger cluster gone",
        namespace=namespace,
    )
    assert state() == before


def test_replicas_go_up_and_down(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    name = "raycluster"
    cluster.apply(ray.ray_cluster(name, workers=1), namespace)
    ray.wait_ready(cluster, namespace, name, workers=1)
    first = names_of(ray.pods(cluster, namespace, name))
    replicas = {"op": "replace", "path": "/spec/workerGroupSpecs/0/replicas"}

    cluster.patch("rayclusters", namespace, name, [{**replicas, "value": 3}])
    ray.wait_ready(cluster, namespace, name, workers=3)
    assert names_of(ray.pods(cluster, namespace, name)) > first
    ray.wait_tasks(cluster, namespace, name)

    cluster.patch("rayclusters", namespace, name, [{**replicas, "value": 1}])
    ray.wait_ready(cluster, namespace, name, workers=1)
    ray.wait_tasks(cluster, namespace, name)


def test_deleted_pods_come_back(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    name = "raycluster"
    cluster.apply(ray.ray_cluster(name), namespace)
    ray.wait_ready(cluster, namespace, name, workers=1)
    head, worker = (
        names_of(ray.pods(cluster, namespace, name, node_type=kind)) for kind in ("head", "worker")
    )

    cluster.delete("pods", namespace, *worker)
    ray.wait_ready(cluster, namespace, name, workers=1)
    assert names_of(ray.pods(cluster, namespace, name, node_type="head")) == head
    assert names_of(ray.pods(cluster, namespace, name, node_type="worker")) != worker
    ray.wait_tasks(cluster, namespace, name)

    cluster.delete("pods", namespace, *head)
    status = ray.wait_ready(cluster, namespace, name, workers=1)
    assert {status["head"]["podName"]} != head
    ray.wait_tasks(cluster, namespace, name, within=4 * MINUTE)


def test_nobody_answers_for_a_pod_that_is_gone(
    cluster: clusters.Cluster, is_local: bool, shared_ray_cluster: SharedRayCluster
) -> None:
    """Ray takes whoever answers at a head's former address for the head."""
    if not is_local:
        pytest.skip("the network of this cluster isn't the tests' to judge")
    namespace, name = shared_ray_cluster
    pods = ray.pods(cluster, namespace, name)
    free = re.sub(r"\d+$", "254", pods[0]["status"]["podIP"])
    connect = f"import socket; socket.create_connection(({free!r}, 6379), timeout=10)"
    with pytest.raises(clusters.CommandFailed, match=r"No route to host|timed out"):
        ray.on_head(cluster, namespace, name, "python", "-c", connect)


def test_deletion_leaves_nothing(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    listed = cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name")
    kinds = [kind for kind in listed.split() if not kind.startswith("events")]

    def objects() -> set[str]:
        return set(cluster.kubectl("-n", namespace, "get", ",".join(kinds), "-o", "name").split())

    cluster.wait(
        lambda: "serviceaccount/default" in objects() and "configmap/kube-root-ca.crt" in objects(),
        within=MINUTE,
        what="what every namespace has",
        namespace=namespace,
    )
    before = objects()
    cluster.apply(ray.ray_cluster(), namespace)
    ray.wait_ready(cluster, namespace, "raycluster", workers=1)
    assert objects() > before

    cluster.kubectl("-n", namespace, "delete", "raycluster", "raycluster")
    cluster.wait(
        lambda: objects() == before,
        within=2 * MINUTE,
        what="all objects of the cluster gone",
        namespace=namespace,
    )


def test_no_field_of_a_pod_template_is_dropped(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    """The CRD must not prune what a newer Kubernetes than the cluster's knows."""
    template: dict[str, Any] = {
        "metadata": {"labels": {"team": "red"}, "annotations": {"note": "kept"}},
        "spec": {
            "containers": [
                {
                    "name": "ray-head",
                    "image": ray.IMAGE,
                    "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
                    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                    "env": [
                        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
                    ],
                    "startupProbe": {"exec": {"command": ["true"]}, "failureThreshold": 3},
                }
            ],
            "volumes": [
                {
                    "name": "scratch",
                    "ephemeral": {
                        "volumeClaimTemplate": {
                            "spec": {
                                "accessModes": ["ReadWriteOnce"],
                                "resources": {"requests": {"storage": "1Gi"}},
                            }
                        }
                    },
                }
            ],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"team": "red"}},
                }
            ],
            "affinity": {"podAntiAffinity": {}},
            "schedulingGroup": {"podGroupName": "newer-than-this-cluster"},
        },
    }
    manifest = ray.ray_cluster(head={"template": template})
    text = json.dumps(manifest)
    where = ("-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-")
    stored = json.loads(cluster.kubectl(*where, stdin=text))
    assert stored["spec"]["headGroupSpec"]["template"] == template
