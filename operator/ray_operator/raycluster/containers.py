"""The Ray container and the container that makes workers wait for the head.

Owns: commands, ports, mounts and resources of these two, and the volumes of the mounts. Does not
own: their environment and probes (`environment`, `probes`). Invariant: a container is returned
anew, the template's is never changed, and what the user wrote stays unless the reference contract
says otherwise.
Source: KubeRay 1.7, Pod construction.
"""

from collections.abc import Mapping
from typing import Any

from ray_operator import names, quantity, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import (
    auth,
    autoscaling,
    environment,
    probes,
    rayparams,
    resources,
    storage,
    termination,
)

Container = dict[str, Any]

SHARED_MEMORY = "shared-mem"
LOGS = "ray-logs"
LOGS_PATH = "/tmp/ray"
WAIT_GCS_READY = "wait-gcs-ready"

LAST_WORDS = {"terminationMessagePolicy": "FallbackToLogsOnError"}
"""What crashes says why in its status, so that nobody needs the right to read logs."""
_ULIMIT = "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; "
_WAIT_COPIES = ("image", "imagePullPolicy", "securityContext", "env", "envFrom", "volumeMounts")
_WAIT_LIMITS = {"cpu": "1", "memory": "1Gi"}
_WAIT_REQUESTS = {"cpu": "200m", "memory": "256Mi"}

# `ray health-check` imports all of Ray (some 2 s of CPU), and where nothing answers it only gives
# up after more than 30 s; hence it is asked once the port is open. Looking for that costs
# milliseconds, so it is done each second while a head is likely to come up. Messages are held back
# for as long as waiting is normal.
_WAIT_SCRIPT = """\
host={host} port={port}
until timeout 5 bash -c ': < "/dev/tcp/$0/$1"' "$host" "$port" 2>/dev/null; do
  ((SECONDS < 120)) || echo "waiting for the GCS of the head at $host:$port since $SECONDS s"
  sleep $((SECONDS < 120 ? 0 : 4)).3
done
"""
"""Where the port is open, `ray start` does the rest, and says more of what is wrong. Asking by `ray
health-check` besides costs over two seconds of CPU a worker, while the head needs them to start."""


def shell(settings: settings.Settings) -> list[str]:
    """Return the command that runs its one argument in bash."""
    return ["/bin/bash", "-cl" if settings.login_shell else "-c", "--"]


def ray_container(
    cluster: api.RayCluster,
    group: api.GroupSpec,
    *,
    keeps_command: bool,
    settings: settings.Settings,
) -> Container:
    """Complete the container that runs Ray; `keeps_command` leaves its command to the user."""
    is_head = isinstance(group, api.HeadGroupSpec)
    given = group.ray_container
    params = rayparams.completed(cluster, group, settings=settings)
    start = rayparams.start_command(params, is_head=is_head)
    container = {
        **LAST_WORDS,
        **given,
        **({} if keeps_command else _command(given, start, settings=settings)),
        "env": environment.ray_container(
            cluster,
            given.get("env") or [],
            is_head=is_head,
            start_command=start,
            settings=settings,
        ),
        "ports": [*(given.get("ports") or []), *metrics_ports(group)],
        "lifecycle": termination.lifecycle(cluster, group),
    }
    container["volumeMounts"] = _mounts(cluster, group, settings=settings)
    if settings.inject_probes:
        ours = probes.probes(cluster, group, params=params)
        container |= {key: probe for key, probe in ours.items() if not given.get(key)}
    return {key: value for key, value in container.items() if value or key in given}


def _mounts(
    cluster: api.RayCluster, group: api.GroupSpec, *, settings: settings.Settings
) -> list[dict[str, Any]]:
    mounts = list(group.ray_container.get("volumeMounts") or [])
    if needs_shared_memory(group):
        mounts.append({"name": SHARED_MEMORY, "mountPath": "/dev/shm"})
    if auth.needs_volume(cluster.spec):
        mounts.append(auth.MOUNT)
    if isinstance(group, api.HeadGroupSpec):
        logs = logs_mount(group)
        if autoscaling.has_sidecar(cluster, settings) and logs not in mounts:
            mounts.append(logs)
        if storage.is_on(cluster):
            mounts.append(storage.mount(cluster))
    return mounts


def volumes(
    cluster: api.RayCluster, group: api.GroupSpec, *, settings: settings.Settings
) -> list[dict[str, Any]]:
    """Return the volumes of a group's Pods: the template's, and ours of names not taken."""
    given = (group.template.get("spec") or {}).get("volumes") or []
    is_head = isinstance(group, api.HeadGroupSpec)
    shares_logs = is_head and autoscaling.has_sidecar(cluster, settings)
    added = [
        *([shared_memory(group)] if needs_shared_memory(group) else []),
        *([auth.volume()] if auth.needs_volume(cluster.spec) else []),
        *([{"name": LOGS, "emptyDir": {}}] if shares_logs and _adds_logs(group) else []),
        *([storage.volume(cluster)] if is_head and storage.is_on(cluster) else []),
    ]
    taken = {each.get("name") for each in given}
    return [*given, *(each for each in added if each["name"] not in taken)]


def logs_mount(group: api.GroupSpec) -> dict[str, Any]:
    """Return the mount of Ray's directory: the one that the Ray container has already, or ours."""
    mounts = group.ray_container.get("volumeMounts") or []
    own = (each for each in mounts if (each.get("mountPath") or "").rstrip("/") == LOGS_PATH)
    return dict(next(own, {"name": LOGS, "mountPath": LOGS_PATH}))


def _adds_logs(group: api.GroupSpec) -> bool:
    return logs_mount(group) == {"name": LOGS, "mountPath": LOGS_PATH}


def metrics_ports(group: api.GroupSpec) -> list[dict[str, Any]]:
    """Return the port for metrics to add: none when its name or number is declared already."""
    number = rayparams.port(group.ray_start_params, "metrics-export-port", rayparams.METRICS_PORT)
    declared = group.ray_container.get("ports") or []
    taken = any(each.get("name") == "metrics" or _is_tcp(each, number) for each in declared)
    return [] if taken else [{"name": "metrics", "containerPort": number}]


def needs_shared_memory(group: api.GroupSpec) -> bool:
    """Tell whether the object store lacks a place that the user provided."""
    mounts = group.ray_container.get("volumeMounts") or []
    mounted = any((each.get("mountPath") or "").rstrip("/") == "/dev/shm" for each in mounts)
    return not mounted and "plasma-directory" not in group.ray_start_params


def shared_memory(group: api.GroupSpec) -> dict[str, Any]:
    """Return the volume of the object store, as large as the Ray container's memory.

    It is memory of the container: what the store holds counts against the same limit.
    """
    container = group.ray_container
    size = next(
        (
            listed["memory"]
            for listed in (resources.limits(container), resources.requests(container))
            if resources.amount(listed, "memory")
        ),
        None,
    )
    bound = {} if size is None else {"sizeLimit": size}
    return {"name": SHARED_MEMORY, "emptyDir": {"medium": "Memory", **bound}}


def wait_gcs_ready(
    cluster: api.RayCluster, group: api.GroupSpec, *, settings: settings.Settings
) -> Container:
    """Return the init container in which a worker waits, without end, for the head's GCS."""
    script = _WAIT_SCRIPT.format(
        host=rayparams.head_fqdn(cluster, settings=settings), port=rayparams.gcs_port(cluster)
    )
    given = group.ray_container
    mounts = [*(given.get("volumeMounts") or []), auth.MOUNT]
    return {
        "name": WAIT_GCS_READY,
        **LAST_WORDS,
        **{key: given[key] for key in _WAIT_COPIES if given.get(key)},
        "env": environment.merged(given.get("env") or [], if_absent=auth.variables(cluster)),
        **({"volumeMounts": mounts} if auth.needs_volume(cluster.spec) else {}),
        "command": shell(settings),
        "args": [script],
        "resources": settings.wait_resources or _wait_resources(given),
    }


def _wait_resources(container: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Bound the waiting container so that it never needs more than the Ray container may use."""

    def capped(wanted: Mapping[str, str]) -> dict[str, str]:
        allowed = {name: resources.amount(resources.limits(container), name) for name in wanted}
        return {
            name: str(min((quantity.parse(text), allowed[name]), key=lambda each: each.value))
            if allowed[name]
            else text
            for name, text in wanted.items()
        }

    return {"limits": capped(_WAIT_LIMITS), "requests": capped(_WAIT_REQUESTS)}


def _command(container: Mapping[str, Any], start: str, *, settings: settings.Settings) -> Container:
    """Run the user's command, if any, then Ray; a user who starts Ray keeps the command."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    user = "".join(f" {word} " for word in words)
    if "ray start" in user:
        return {}
    script = _ULIMIT + start
    return {"command": shell(settings), "args": [f"{user} && {script}" if user else script]}


def keeps_command(annotations: Mapping[str, str]) -> bool:
    """Tell whether the user wants the Ray container's command left alone."""
    return annotations.get(names.OVERWRITE_COMMAND_ANNOTATION, "").lower() == "true"


def _is_tcp(port: Mapping[str, Any], number: int) -> bool:
    return port.get("containerPort") == number and port.get("protocol", "TCP") == "TCP"
