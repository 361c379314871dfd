"""Token authentication: the Secret, and what Ray containers get of it.

Owns: its manifest, variables and volume. Does not own: drawing the token (`apply`). Invariant: a
user's variable of the same name is neither doubled nor replaced. Source: KubeRay 1.7, token
authentication; an empty mode means `token` here, as its documentation promises.
"""

from typing import Any

from ray_operator import names
from ray_operator.api import raycluster as api
from ray_operator.raycluster import metadata

TOKEN_KEY = "auth_token"
VOLUME = "ray-token"
MOUNT = {
    "name": VOLUME,
    "mountPath": "/var/run/secrets/ray.io/serviceaccount",
    "readOnly": True,
}


def is_on(spec: api.RayClusterSpec) -> bool:
    """Tell whether callers of Ray need a token."""
    return spec.auth_options is not None and spec.auth_options.mode != "disabled"


def needs_volume(spec: api.RayClusterSpec) -> bool:
    """Tell whether Pods carry a token of Kubernetes."""
    options = spec.auth_options
    return options is not None and is_on(spec) and bool(options.enable_k8s_token_auth)


def secret_name(cluster: api.RayCluster) -> str:
    """Name the Secret that holds the token; empty where there is none."""
    options = cluster.spec.auth_options
    if options is None or not is_on(cluster.spec) or needs_volume(cluster.spec):
        return ""
    return options.secret_name or names.legacy(cluster.metadata.name)


def variables(cluster: api.RayCluster) -> list[dict[str, Any]]:
    """Return what every Ray container is to know, unless the user says otherwise."""
    if not is_on(cluster.spec):
        return []
    mode = {"name": "RAY_AUTH_MODE", "value": "token"}
    if needs_volume(cluster.spec):
        return [mode, {"name": "RAY_ENABLE_K8S_TOKEN_AUTH", "value": "true"}]
    reference = {"secretKeyRef": {"name": secret_name(cluster), "key": TOKEN_KEY}}
    return [mode, {"name": "RAY_AUTH_TOKEN", "valueFrom": reference}]


def volume() -> dict[str, Any]:
    """Return the volume with a token of Kubernetes, renewed by the kubelet."""
    source = {"serviceAccountToken": {"path": "token"}}
    return {"name": VOLUME, "projected": {"sources": [source]}}


def secret(cluster: api.RayCluster) -> dict[str, Any] | None:
    """Return the Secret to make, without its token; None when the user's or none is used."""
    options = cluster.spec.auth_options
    if options is None or not is_on(cluster.spec):
        return None
    if options.secret_name or options.enable_k8s_token_auth:
        return None
    name = names.legacy(cluster.metadata.name)
    labels = {names.CLUSTER_LABEL: cluster.metadata.name}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": metadata.child(cluster, {"name": name}, labels=labels, annotations={}),
    }
