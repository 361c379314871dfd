"""GCS fault tolerance: what head and workers are told of it.

Owns: its variables, flags and annotations. Does not own: cleaning Redis up (`cleanup`), or the
volume of the embedded store (`storage`). Invariant: the storage namespace
of a cluster stays the same for its life, or the head would find nothing after a restart.
Source: KubeRay 1.7, GCS fault tolerance.
"""

from typing import Any

from ray_operator import names
from ray_operator.api import options
from ray_operator.api import raycluster as api
from ray_operator.raycluster import storage

RECONNECT_SECONDS = "600"
"""How long workers wait for a head that comes back."""
ADDRESS = "RAY_REDIS_ADDRESS"
NAMESPACE = "RAY_external_storage_namespace"
USERNAME = "REDIS_USERNAME"
PASSWORD = "REDIS_PASSWORD"

Entry = dict[str, Any]


def is_on(cluster: api.RayCluster) -> bool:
    """Tell whether the head's state survives a restart: by the options or the old annotation."""
    annotation = cluster.metadata.annotations.get(names.FT_ENABLED_ANNOTATION, "")
    return cluster.spec.gcs_fault_tolerance_options is not None or annotation.lower() == "true"


def uses_redis(cluster: api.RayCluster) -> bool:
    """Tell whether the state is kept in Redis."""
    given = cluster.spec.gcs_fault_tolerance_options
    return is_on(cluster) and (given is None or given.backend != "rocksdb")


def storage_namespace(cluster: api.RayCluster) -> str:
    """Return the prefix of the cluster's keys in Redis."""
    given = cluster.spec.gcs_fault_tolerance_options
    named = given.external_storage_namespace if given else None
    annotation = cluster.metadata.annotations.get(names.FT_NAMESPACE_ANNOTATION)
    return named or annotation or cluster.metadata.uid


def always(cluster: api.RayCluster, *, is_head: bool) -> list[Entry]:
    """Return the variables that the options decide, whatever the template says."""
    given = cluster.spec.gcs_fault_tolerance_options
    if not is_head or given is None or not uses_redis(cluster):
        return []
    address = {"name": ADDRESS, "value": given.redis_address or ""}
    credentials = ((USERNAME, given.redis_username), (PASSWORD, given.redis_password))
    return [address, *(_credential(name, each) for name, each in credentials if each is not None)]


def if_absent(cluster: api.RayCluster, *, is_head: bool) -> list[Entry]:
    """Return the variables that the template may set itself."""
    if not is_on(cluster):
        return []
    if not is_head:
        name = "RAY_gcs_rpc_server_reconnect_timeout_s"
        return [{"name": name, "value": RECONNECT_SECONDS}]
    if not uses_redis(cluster):
        return storage.variables()
    found = [{"name": NAMESPACE, "value": storage_namespace(cluster)}]
    flag = cluster.spec.head_group_spec.ray_start_params.get("redis-password")
    if cluster.spec.gcs_fault_tolerance_options is None and flag:
        found.append({"name": PASSWORD, "value": flag})
    return found


def flags(cluster: api.RayCluster) -> dict[str, str]:
    """Return the head's flags; the shell puts the values in."""
    given = cluster.spec.gcs_fault_tolerance_options
    if given is None or not uses_redis(cluster):
        return {}
    credentials = (
        ("redis-username", USERNAME, given.redis_username),
        ("redis-password", PASSWORD, given.redis_password),
    )
    return {flag: f"${name}" for flag, name, each in credentials if each is not None}


def _credential(name: str, given: options.RedisCredential) -> Entry:
    if given.value_from is not None:
        return {"name": name, "valueFrom": given.value_from}
    return {"name": name, "value": given.value or ""}
