"""The flags of `ray start`: what the user gave, completed, and the command line made of them.

Owns: defaults of flags, the head's address and the rendering. Does not own: the flags that tell
Ray's logical resources (`logical_resources`) and the container that runs the command
(`containers`). Invariant: nothing computed here is ever written back to the resource.
Source: KubeRay 1.7, rayStartParams.
"""

from collections.abc import Mapping

from ray_operator import names, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import fault_tolerance, logical_resources

Params = dict[str, str]

GCS_PORT = 6379
DASHBOARD_PORT = 8265
AGENT_PORT = 52365
METRICS_PORT = 8080

_ALWAYS_WITH_VALUE = {"log-color", "include-dashboard", "include-log-monitor"}


def completed(
    cluster: api.RayCluster, group: api.GroupSpec, *, settings: settings.Settings
) -> Params:
    """Complete a group's rayStartParams: the user's, its labels and resources, and defaults."""
    params = {**group.ray_start_params, **logical_resources.flags(group)}
    if group.labels:
        params["labels"] = ",".join(f"{key}={value}" for key, value in sorted(group.labels.items()))
    defaults = {
        "metrics-export-port": str(METRICS_PORT),
        "dashboard-agent-listen-port": str(AGENT_PORT),
    }
    if isinstance(group, api.HeadGroupSpec):
        defaults["dashboard-host"] = "0.0.0.0"  # probes and clients come from outside
        if cluster.spec.enable_in_tree_autoscaling:
            params["no-monitor"] = "true"
        params |= fault_tolerance.flags(cluster)
    else:
        defaults["address"] = gcs_address(cluster, settings=settings)
    return {**defaults, **params, "block": "true"}


def gcs_port(cluster: api.RayCluster) -> str:
    """Return the port of the GCS as text: users may give an expression for the shell."""
    return cluster.spec.head_group_spec.ray_start_params.get("port", str(GCS_PORT))


def head_fqdn(cluster: api.RayCluster, *, settings: settings.Settings) -> str:
    """Name the head for DNS."""
    service = head_service_name(cluster)
    return names.fqdn(service, cluster.metadata.namespace, settings.cluster_domain)


def head_service_name(cluster: api.RayCluster) -> str:
    """Name the head Service: as the user says, else after the cluster."""
    given = cluster.spec.head_group_spec.head_service or {}
    name: str | None = (given.get("metadata") or {}).get("name")
    return name or names.head_service(cluster.metadata.name)


def gcs_address(cluster: api.RayCluster, *, settings: settings.Settings) -> str:
    """Return where workers find the GCS, `host:port`."""
    return f"{head_fqdn(cluster, settings=settings)}:{gcs_port(cluster)}"


def port(params: Mapping[str, str], key: str, default: int) -> int:
    """Read a port flag; expressions and nonsense read as the default."""
    text = params.get(key, "").strip()
    value = int(text) if text.isascii() and text.isdecimal() else default
    return value if 0 < value < 2**16 else default


def start_command(params: Mapping[str, str], *, is_head: bool) -> str:
    """Write the `ray start` command: flags sorted, each with a space on both sides."""
    start = "ray start --head " if is_head else "ray start "
    return start + "".join(_flag(key, value) for key, value in sorted(params.items()))


def _flag(key: str, value: str) -> str:
    lowered = value.lower()
    if key in _ALWAYS_WITH_VALUE or lowered not in {"true", "false"}:
        return f" --{key}={value} "
    return f" --{key} " if lowered == "true" else ""
