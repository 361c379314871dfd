"""Environment variables that Ray containers find beside the user's own.

Owns: names, values and who wins. Does not own: where a list is put (`containers`). Invariant: no
name comes twice because of us: an entry that must hold replaces the user's in its place, since
duplicates draw warnings from the API server and break server-side apply.
Source: KubeRay 1.7, environment of Ray containers.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ray_operator import names, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import auth, autoscaling, fault_tolerance, metadata, rayparams

Entry = dict[str, Any]

_SERVE_TUNING = {
    "RAY_timeout_ms_task_wait_for_death_info": "0",
    "RAY_gcs_server_request_timeout_seconds": "5",
    "RAY_SERVE_KV_TIMEOUT_S": "5",
    "RAY_core_worker_rpc_server_reconnect_timeout_s": "1",
}
"""The last one isn't KubeRay's: Ray 2.46 asks only after 60 s whether a proxy is gone that a
replica is to answer, and the replica stands still meanwhile (`termination`). Newer Ray has a base
and a maximum instead, under other names."""


def merged(
    given: Iterable[Mapping[str, Any]],
    *,
    always: Iterable[Entry] = (),
    if_absent: Iterable[Entry] = (),
) -> list[Entry]:
    """Add to the given entries: `always` replaces one of its name, `if_absent` yields to it.

    Of several entries of one name in `if_absent`, the first counts.
    """
    merged = [dict(entry) for entry in given]
    wanted = {entry["name"]: entry for entry in always}
    merged = [wanted.get(entry.get("name", ""), entry) for entry in merged]
    present = {entry.get("name") for entry in merged}
    merged += [entry for name, entry in wanted.items() if name not in present]
    present |= wanted.keys()
    defaults: dict[str, Entry] = {}
    for entry in if_absent:
        defaults.setdefault(entry["name"], entry)
    return merged + [entry for name, entry in defaults.items() if name not in present]


def head_address(cluster: api.RayCluster, *, settings: settings.Settings) -> list[Entry]:
    """Tell where the head is: every init container and the workers' Ray containers have these."""
    fqdn = rayparams.head_fqdn(cluster, settings=settings)
    return [value("FQ_RAY_IP", fqdn), value("RAY_IP", fqdn.partition(".")[0])]


def ray_container(
    cluster: api.RayCluster,
    given: Iterable[Mapping[str, Any]],
    *,
    is_head: bool,
    start_command: str,
    settings: settings.Settings,
) -> list[Entry]:
    """Complete the Ray container's environment."""
    port = rayparams.gcs_port(cluster)
    worker_address = rayparams.gcs_address(cluster, settings=settings)
    kind = metadata.creator_kind(cluster)
    always = [
        *autoscaling.variables(cluster, settings, is_head=is_head),
        *([] if is_head else head_address(cluster, settings=settings)),
        field("RAY_CLUSTER_NAME", f"metadata.labels['{names.CLUSTER_LABEL}']"),
        field("RAY_CLUSTER_NAMESPACE", "metadata.namespace"),
        field("RAY_CLOUD_INSTANCE_ID", "metadata.name"),
        field("RAY_NODE_TYPE_NAME", f"metadata.labels['{names.GROUP_LABEL}']"),
        value(names.START_COMMAND_VARIABLE, start_command),
        *fault_tolerance.always(cluster, is_head=is_head),
    ]
    if is_head:
        tags = f"kuberay_version={settings.version};kuberay_crd={kind}"
        always.append(value("RAY_USAGE_STATS_EXTRA_TAGS", tags))
    tuning = _SERVE_TUNING if kind == "RayService" else {}
    defaults = {
        "RAY_PORT": port,
        **tuning,
        "RAY_ADDRESS": f"127.0.0.1:{port}" if is_head else worker_address,
        "RAY_USAGE_STATS_KUBERAY_IN_USE": "1",
        "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE": "1",
    }
    return merged(
        given,
        always=always,
        if_absent=[
            *fault_tolerance.if_absent(cluster, is_head=is_head),
            *auth.variables(cluster),
            *settings.additions.env,
            *(value(name, text) for name, text in defaults.items()),
        ],
    )


def value(name: str, text: str) -> Entry:
    """Return a variable with that value."""
    return {"name": name, "value": text}


def field(name: str, path: str) -> Entry:
    """Return a variable that holds a field of its Pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
