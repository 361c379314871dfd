"""The account of Ray's own autoscaler and what it may do.

Owns: manifests of ServiceAccount, Role and RoleBinding. Does not own: when they are made
(`children`). Invariant: they allow what the autoscaler does and no more, on this one RayCluster;
`permissions` grants the operator the same, without which the API server would refuse the Role.
Source: KubeRay 1.7, autoscaler RBAC; Ray, the requests of its autoscaler.
"""

from typing import Any

from ray_operator import names
from ray_operator.api import raycluster as api
from ray_operator.raycluster import metadata, sidecar

API_GROUP = "rbac.authorization.k8s.io"
API_VERSION = f"{API_GROUP}/v1"


def service_account(cluster: api.RayCluster) -> dict[str, Any] | None:
    """Return the ServiceAccount, None when the user gave one."""
    if sidecar.given_account(cluster):
        return None
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(cluster)}


def role(cluster: api.RayCluster) -> dict[str, Any]:
    """Return the Role."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Role",
        "metadata": _metadata(cluster),
        "rules": [
            _rule("", "pods", "get", "list", "watch", "patch"),
            _rule("", "pods/resize", "patch"),
            {
                **_rule("ray.io", "rayclusters", "get", "patch"),
                "resourceNames": [cluster.metadata.name],
            },
        ],
    }


def role_binding(cluster: api.RayCluster) -> dict[str, Any]:
    """Return the RoleBinding; the API server refuses it as long as its Role is missing."""
    subject = {
        "kind": "ServiceAccount",
        "name": sidecar.account(cluster),
        "namespace": cluster.metadata.namespace,
    }
    reference = {"apiGroup": API_GROUP, "kind": "Role", "name": _name(cluster)}
    return {
        "apiVersion": API_VERSION,
        "kind": "RoleBinding",
        "metadata": _metadata(cluster),
        "roleRef": reference,
        "subjects": [subject],
    }


def _name(cluster: api.RayCluster) -> str:
    return names.legacy(cluster.metadata.name)


def _metadata(cluster: api.RayCluster) -> dict[str, Any]:
    labels = {
        names.CLUSTER_LABEL: cluster.metadata.name,
        names.APP_NAME_LABEL: names.APP_NAME,
        names.CREATED_BY_LABEL: names.CREATED_BY,
    }
    return metadata.child(cluster, {"name": _name(cluster)}, labels=labels, annotations={})


def _rule(group: str, resource: str, *verbs: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
