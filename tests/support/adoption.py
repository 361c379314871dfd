"""Ray clusters as another operator left them: its objects, made anew, and what became of them.

Owns: bringing manifests of `tests/golden` and `tests/adoption` to an API server, and comparing.
Invariant: nothing here comes from the operator's own builders.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support import cluster as clusters

Json = clusters.Json

MANAGER = "manager"
"""KubeRay's name among field managers: that of its program."""
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
ELIDED = "<script elided, see the specs>"
NOW = "2026-01-01T00:00:00Z"
KINDS = ("pods", "services", "secrets", "ingresses", "roles", "rolebindings", "serviceaccounts")


def read(path: Path) -> tuple[Json, list[Json]]:
    """Return the RayCluster of a file and its children."""
    documents = [each for each in yaml.safe_load_all(path.read_text()) if each]
    (cluster,) = (each for each in documents if each["kind"] == "RayCluster")
    for each in documents:
        each.setdefault("apiVersion", "v1")
    return cluster, [each for each in documents if each is not cluster]


def leave(
    api: clusters.Cluster,
    namespace: str,
    cluster: Json,
    children: Iterable[Json],
    *,
    runs: bool = False,
) -> None:
    """Make the cluster and its children as the other operator would have left them, at work.

    Where nothing `runs`, Pods are given the status that a kubelet would give them.
    """
    at = f"{clusters.API['rayclusters']}/namespaces/{namespace}/rayclusters"
    status = cluster.pop("status")
    cluster["apiVersion"] = "ray.io/v1"
    made = api.send("POST", at, cluster, manager="kubectl")
    meta = made["metadata"]
    where = f"{at}/{meta['name']}/status"
    merge = "merge-patch+json"
    status["observedGeneration"] = meta["generation"]
    api.send("PATCH", where, {"status": status}, manager=MANAGER, form=merge)
    for number, recorded in enumerate(children):
        child = _completed(recorded, meta)
        plural = f"{child['kind'].lower()}{'es' if child['kind'] == 'Ingress' else 's'}"
        path = f"{clusters.API[plural]}/namespaces/{namespace}/{plural}"
        api.send("POST", path, child, manager=MANAGER)
        if child["kind"] == "Pod" and not runs:
            name = child["metadata"]["name"]
            now = {"status": running(child, f"10.244.0.{number + 5}")}
            api.send("PATCH", f"{path}/{name}/status", now, manager="kubelet", form=merge)


def _completed(child: Json, owner: Mapping[str, Any]) -> Json:
    """Put back what the records leave out."""
    meta = child["metadata"]
    meta["ownerReferences"] = [
        {
            "apiVersion": "ray.io/v1",
            "kind": "RayCluster",
            "name": owner["name"],
            "uid": owner["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    if child["kind"] == "Secret":
        child.pop("data", None)
        return child | {"stringData": {"auth_token": "secret"}}
    if child["kind"] == "Service" and child["spec"].get("clusterIP") == "<ip>":
        del child["spec"]["clusterIP"], child["spec"]["clusterIPs"]
    found: Json = _mended(child, owner["uid"])
    return found


def _mended(node: Any, uid: str) -> Any:
    if isinstance(node, dict):
        return {key: _mended(each, uid) for key, each in node.items()}
    if isinstance(node, list):
        return [_mended(each, uid) for each in node]
    if isinstance(node, str) and UUID.fullmatch(node):
        return uid  # the namespace in Redis
    return "true" if node == ELIDED else node


def running(pod: Json, address: str) -> Json:
    """Return the status of a Pod that a kubelet runs, ready."""
    statuses = [
        {
            "name": each["name"],
            "image": each["image"],
            "imageID": "",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": NOW}},
        }
        for each in pod["spec"]["containers"]
    ]
    types = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": NOW,
        "conditions": [
            {"type": type_, "status": "True", "lastTransitionTime": NOW} for type_ in types
        ],
        "containerStatuses": statuses,
    }


def seen(api: clusters.Cluster, namespace: str) -> dict[tuple[str, str], Json]:
    """Return all children, by kind and name."""
    return {
        (kind, each["metadata"]["name"]): each
        for kind in KINDS
        for each in api.list(kind, namespace)
        if each["metadata"].get("ownerReferences")
    }


def fixed(child: Json) -> Json:
    """Return what must stay: identity, and everything but the metadata."""
    meta = child["metadata"]
    kept = {key: meta.get(key) for key in ("uid", "generation", "creationTimestamp")}
    return {key: each for key, each in child.items() if key != "metadata"} | {"metadata": kept}


def lost(before: Json, after: Json) -> dict[str, str]:
    """Return the labels and annotations that another has taken away or changed."""
    return {
        key: value
        for part in ("labels", "annotations")
        for key, value in before["metadata"].get(part, {}).items()
        if after["metadata"].get(part, {}).get(key) != value
        and key not in {"ray.io/kuberay-version", "ray.io/upgrade-strategy-recreate-hash"}
    }
