"""A cluster as it was before anybody installed an operator for Ray.

Owns: taking away the operator in every way in which it can be installed, what it looks after, and
the CRDs. Does not own: installing it again (`operators`). Invariant: as long as somebody else's Ray
resources are there, nothing is touched.
"""

import contextlib
import json
from datetime import timedelta

from tests.support import cluster as clusters
from tests.support import operators

KINDS = ("rayservices", "rayjobs", "raycronjobs", "rayclusters")
GROUP = "ray.io"
CHARTS = ("ray-operator-", "ray-cluster-")
SYSTEM = "ray-system"
CONFIG = operators.CHART.parents[1] / "operator/config"
NAMESPACES = ("ray-cluster", "team", "kuberay")
"""What tests make beside the namespaces of their own, which begin with `e2e-`."""
FIVE_MINUTES = timedelta(minutes=5)


def others(cluster: clusters.Cluster) -> list[str]:
    """Name the Ray resources that no test has made, as `kind namespace/name`."""
    return [
        f"{kind} {meta['namespace']}/{meta['name']}"
        for kind, meta in _resources(cluster)
        if not meta["namespace"].startswith("e2e-") and meta["namespace"] not in NAMESPACES
    ]


def clear(cluster: clusters.Cluster) -> None:
    """Take everything away, and wait until it is gone."""
    for kind in {kind for kind, _ in _resources(cluster)}:
        _delete(cluster, f"{kind}.{GROUP}", "--all", "--all-namespaces", "--timeout=120s")
    _release(cluster)
    for release in json.loads(cluster.helm("list", "--all-namespaces", "--all", "-o", "json")):
        if release["chart"].startswith(CHARTS) or release["namespace"] in NAMESPACES:
            where = (release["name"], "-n", release["namespace"], "--wait")
            cluster.run("helm", "uninstall", *where, within=FIVE_MINUTES)
    for each in ("default", "base", "cluster-scope-resources"):
        _delete(cluster, "-k", str(CONFIG / each), "--timeout=180s")
    for namespace in NAMESPACES:
        _delete(cluster, "namespace", namespace, "--timeout=180s")


def left(cluster: clusters.Cluster) -> list[str]:
    """Name what is there of the CRDs, the operator, its rights, and namespaces of tests'."""
    kinds = "crds,clusterroles,clusterrolebindings,namespaces"
    found = cluster.kubectl("get", kinds, "-o", "name").split()
    kinds = "deployments,services,serviceaccounts"
    found += cluster.kubectl("get", kinds, "--all-namespaces", "-o", "name").split()
    made = tuple(f"namespace/{name}" for name in (*NAMESPACES, SYSTEM))
    ends = (f".{GROUP}", f"/{operators.NAME}", *made)
    return [each for each in found if each.endswith(ends)]


def _resources(cluster: clusters.Cluster) -> list[tuple[str, clusters.Json]]:
    """Return the kind and metadata of every Ray resource; none where there are no CRDs."""
    return [(kind, each["metadata"]) for kind in KINDS for each in cluster.list(kind, None)]


def _release(cluster: clusters.Cluster) -> None:
    """Let go what waits for an operator that isn't there any more."""
    for kind, meta in _resources(cluster):
        if meta.get("deletionTimestamp") and meta.get("finalizers"):
            with contextlib.suppress(clusters.CommandFailed):
                change = {"metadata": {"finalizers": None}}
                cluster.patch(f"{kind}.{GROUP}", meta["namespace"], meta["name"], change)


def _delete(cluster: clusters.Cluster, *what: str) -> None:
    """Delete what is there of it; that it doesn't go in time is left to who looks next."""
    with contextlib.suppress(clusters.CommandFailed):
        cluster.kubectl("delete", *what, "--ignore-not-found", within=FIVE_MINUTES)
