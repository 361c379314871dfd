"""Valid records and resources by default; a test overrides what it is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ray_operator import features, names, records, settings
from ray_operator.api import raycluster as api

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
SETTINGS = settings.Settings(
    version="test", feature_gates=features.DEFAULT | {features.Feature.EMBEDDED_STORAGE}
)
UID = "11111111-1111-1111-1111-111111111111"


def template(name: str) -> dict[str, Any]:
    resources = {"limits": {"cpu": "1", "memory": "2Gi"}}
    container = {"name": name, "image": "rayproject/ray:2.46.0", "resources": resources}
    return {"spec": {"containers": [container]}}


def group(name: str = "small", **fields: Any) -> dict[str, Any]:
    given = {"replicas": 1, "minReplicas": 0, "maxReplicas": 5}
    return {"groupName": name, "template": template("ray-worker")} | given | fields


def raycluster(
    *,
    groups: list[dict[str, Any]] | None = None,
    metadata: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> api.RayCluster:
    manifest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "demo", "namespace": "ns1", "uid": UID, "generation": 1}
        | (metadata or {}),
        "spec": {
            "rayVersion": "2.46.0",
            "headGroupSpec": {"rayStartParams": {}, "template": template("ray-head")},
            "workerGroupSpecs": [group()] if groups is None else groups,
        }
        | spec,
        "status": status or {},
    }
    return api.RayCluster.model_validate_json(msgspec.json.encode(manifest))


def pod(
    name: str = "demo-head-aaaaa", *, node_type: str = names.HEAD, **fields: Any
) -> records.Pod:
    """Build a running, ready Pod that the cluster of `raycluster()` controls."""
    group_name = fields.pop("group", names.HEAD_GROUP if node_type == names.HEAD else "small")
    labels = {
        names.CLUSTER_LABEL: "demo",
        names.NODE_TYPE_LABEL: node_type,
        names.GROUP_LABEL: group_name,
    }
    if "index" in fields:
        labels[names.REPLICA_INDEX_LABEL] = str(fields.pop("index"))
    given: dict[str, Any] = {
        "uid": f"uid-{name}",
        "resource_version": "1",
        "labels": labels,
        "owner": records.Owner("RayCluster", "demo", UID),
        "created_at": NOW - timedelta(minutes=5),
        "ray_container": "ray-head" if node_type == names.HEAD else "ray-worker",
        "phase": "Running",
        "ready": True,
        "ip": "10.0.0.1",
        "node": "node-1",
        "annotations": {names.VERSION_ANNOTATION: "test"} if node_type == names.HEAD else {},
    }
    return records.Pod(namespace="ns1", name=name, **(given | fields))


def worker(name: str = "demo-small-worker-aaaaa", **fields: Any) -> records.Pod:
    return pod(name, node_type=names.WORKER, **fields)


def head_service(**fields: Any) -> records.Service:
    given: dict[str, Any] = {
        "uid": "uid-svc",
        "resource_version": "1",
        "labels": {names.CLUSTER_LABEL: "demo", names.NODE_TYPE_LABEL: names.HEAD},
        "owner": records.Owner("RayCluster", "demo", UID),
        "cluster_ip": "None",
        "ports": (
            records.ServicePort("dashboard", 8265, 8265),
            records.ServicePort("gcs-server", 6379, 6379),
        ),
    }
    return records.Service(namespace="ns1", name="demo-head-svc", **(given | fields))
