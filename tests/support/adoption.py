"""Ray clusters as another operator left them: its objects, made anew, and what became of them.

Owns: bringing manifests of `tests/golden` and `tests/adoption` to an API server, and comparing.
Invariant: nothing here comes from the operator's own builders.
"""

import re
from collections.abc import Iterable
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
KINDS = (
    *("pods", "services", "secrets", "ingresses", "roles", "rolebindings", "serviceaccounts"),
    *("jobs", "rayclusters"),
)
OURS = ("RayCluster", "RayJob", "RayService")
OWNERS = ("RayCluster", "Job")
"""Children that have children."""


def read(path: Path) -> tuple[Json, list[Json]]:
    """Return the resource of a file that no other one owns, and what was made of it."""
    documents = [each for each in yaml.safe_load_all(path.read_text()) if each]
    (resource,) = (
        each
        for each in documents
        if each["kind"] in OURS and "ownerReferences" not in each["metadata"]
    )
    for each in documents:
        each.setdefault("apiVersion", "v1")
    return resource, [each for each in documents if each is not resource]


def leave(
    api: clusters.Cluster,
    namespace: str,
    resource: Json,
    children: Iterable[Json],
    *,
    runs: bool = False,
) -> None:
    """Make the resource and its children as the other operator would have left them, at work.

    Where nothing `runs`, Pods are given the status that a kubelet would give them.
    """
    resource["apiVersion"] = "ray.io/v1"
    owners = {resource["kind"]: _put(api, namespace, resource, manager="kubectl")}
    for number, recorded in enumerate(sorted(children, key=_depth)):
        references = recorded["metadata"].get("ownerReferences") or [{"kind": resource["kind"]}]
        child = _completed(recorded, owners[references[0]["kind"]])
        kind = child["kind"]
        if kind == "Pod" and not runs:
            child["status"] = running(child, f"10.244.0.{number + 5}")
        made = _put(api, namespace, child, manager=MANAGER)
        if kind in OWNERS:
            owners[kind] = made


def _depth(child: Json) -> int:
    """Return what comes first: who owns others."""
    kind = child["kind"]
    return OWNERS.index(kind) if kind in OWNERS else len(OWNERS)


def _put(api: clusters.Cluster, namespace: str, manifest: Json, *, manager: str) -> Json:
    """Make an object and, if it has one, give it its status; return it."""
    status = manifest.pop("status", None)
    kind = manifest["kind"]
    plural = f"{kind.lower()}{'es' if kind == 'Ingress' else 's'}"
    path = f"{clusters.API[plural]}/namespaces/{namespace}/{plural}"
    made: Json = api.send("POST", path, manifest, manager=manager)
    if status is not None:
        if "observedGeneration" in status:
            status["observedGeneration"] = made["metadata"]["generation"]
        where = f"{path}/{made['metadata']['name']}/status"
        writer = "kubelet" if kind == "Pod" else MANAGER
        form = "merge-patch+json"
        api.send("PATCH", where, {"status": status}, manager=writer, form=form)
    return made


def _completed(child: Json, owner: Json) -> Json:
    """Put back what the records leave out, and leave out what a server gives."""
    meta, uid = child["metadata"], owner["metadata"]["uid"]
    meta["ownerReferences"] = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    if child["kind"] == "Secret":
        child.pop("data", None)
        return child | {"stringData": {"auth_token": "secret"}}
    if child["kind"] == "Service" and child["spec"].get("clusterIP") == "<ip>":
        del child["spec"]["clusterIP"], child["spec"]["clusterIPs"]
    if child["kind"] == "Job":
        del child["spec"]["selector"], child["spec"]["template"]["metadata"]["labels"]
    found: Json = _mended(child, uid)
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
