"""Who scales a cluster's workers, and what Pods are told of it.

Owns: the one decision between Ray's sidecar and the operator, and what follows from Ray's
autoscaler being of version 2. Does not own: the sidecar (`sidecar`) or its rights (`rbac`), or
scaling (`autoscaler`). Invariant: never two: what a head was made for holds as long as it lives,
so its Pod says who scales.
"""

import enum
from typing import Any

from ray_operator import actions, names, records, settings
from ray_operator.api import options as api_options
from ray_operator.api import ray_version
from ray_operator.api import raycluster as api
from ray_operator.api.validation import autoscaling, groups

VARIABLE = autoscaling.V2_SWITCH
V2_SINCE = (2, 48, 0)
"""From here on Ray chooses its autoscaler v2 by itself under an operator."""
TLS_VARIABLE = "RAY_USE_TLS"
DISREGARDED = "AutoscalerOptionsDisregarded"
CONTAINER = "autoscaler"
"""Of Ray's own, beside the head."""


class Mode(enum.StrEnum):
    """Who scales; the values are those of the annotation."""

    OFF = "off"
    SIDECAR = "sidecar"
    OPERATOR = "operator"


class Knob(enum.StrEnum):
    """Variables of Ray's own autoscaler that have a meaning without it."""

    CONSERVES_GPUS = "AUTOSCALER_CONSERVE_GPU_NODES"
    INTERVAL = "AUTOSCALER_UPDATE_INTERVAL_S"
    MOST_LAUNCHES = "AUTOSCALER_MAX_CONCURRENT_LAUNCHES"
    PENDING_TIMEOUT = "RAY_AUTOSCALER_PENDING_NODE_IDLE_TIMEOUT_S"
    RECOVERY = "RAY_AUTOSCALER_AVAILABILITY_RECOVERY_S"


def events(
    cluster: api.RayCluster, head: records.Pod | None, options: settings.Settings
) -> tuple[actions.Event, ...]:
    """Tell once a generation what is said of a sidecar that there is none of."""
    answered = cluster.status.get("observedGeneration") == cluster.metadata.generation
    is_ours = mode(cluster, options) is Mode.OPERATOR
    lives = controller(cluster, head) is Mode.SIDECAR
    found = disregarded(cluster) if is_ours and not lives and not answered else []
    if not found:
        return ()
    message = (
        f"autoscalerOptions: {', '.join(found)} mean nothing, since the operator scales; for Ray's"
        f" own autoscaler annotate the RayCluster with {names.AUTOSCALER_ANNOTATION}=sidecar"
    )
    return (actions.Event(type="Normal", reason=DISREGARDED, action="Validate", message=message),)


def disregarded(cluster: api.RayCluster) -> list[str]:
    """Return what is said of the sidecar and means nothing without one."""
    given = cluster.spec.autoscaler_options
    if given is None:
        return []
    fields = {
        "resources": given.resources,
        "securityContext": given.security_context,
        "imagePullPolicy": given.image_pull_policy,
        "envFrom": given.env_from,
        "volumeMounts": given.volume_mounts,
    }
    variables = [str(each.get("name")) for each in given.env if each.get("name") not in set(Knob)]
    return [
        *(name for name, value in fields.items() if value),
        *(f"env {each}" for each in variables),
    ]


def mode(cluster: api.RayCluster, options: settings.Settings) -> Mode:
    """Tell who is to scale the workers under a new head: the first condition that holds decides."""
    if not cluster.spec.enable_in_tree_autoscaling:
        return Mode.OFF
    stated = cluster.metadata.annotations.get(names.AUTOSCALER_ANNOTATION, "")
    if stated in {Mode.SIDECAR, Mode.OPERATOR}:
        return Mode(stated)
    if needs_sidecar(cluster, options) or options.autoscaler_default == Mode.SIDECAR:
        return Mode.SIDECAR
    return Mode.OPERATOR


def needs_sidecar(cluster: api.RayCluster, options: settings.Settings) -> str:
    """Say what only a container beside the head can do; empty when there is nothing."""
    given = cluster.spec.autoscaler_options or api_options.AutoscalerOptions()
    resize = names.IN_PLACE_RESIZE_ANNOTATION
    reasons = {
        "autoscalerOptions.image": given.image,
        "autoscalerOptions.command": given.command,
        "autoscalerOptions.args": given.args,
        "autoscalerOptions.version v1": given.version == "v1",
        resize: resize in cluster.metadata.annotations,
        # Nothing but HTTP goes through the API server, and only the Pods have Ray's certificates.
        "--use-kubernetes-proxy": options.use_kubernetes_proxy,
        TLS_VARIABLE: _has_tls(cluster.spec),
        # Drivers then ask for resources where only Ray's autoscaler looks.
        f"{VARIABLE} off": _is_switched_off(cluster.spec),
    }
    return next((name for name, holds in reasons.items() if holds), "")


def _is_switched_off(spec: api.RayClusterSpec) -> bool:
    switch = groups.variable(spec.head_group_spec, VARIABLE)
    return switch is not None and "value" in switch and switch["value"] not in {"1", "true"}


def _has_tls(spec: api.RayClusterSpec) -> bool:
    switch = groups.variable(spec.head_group_spec, TLS_VARIABLE)
    is_ours = spec.tls_options is not None and spec.tls_options.enabled
    return bool(is_ours or (switch is not None and switch.get("value") != "0"))


def has_sidecar(cluster: api.RayCluster, options: settings.Settings) -> bool:
    """Tell whether Ray's own autoscaler is to run beside the head."""
    return mode(cluster, options) is Mode.SIDECAR


def annotations(cluster: api.RayCluster, options: settings.Settings) -> dict[str, str]:
    """Return what a head Pod says of who scales."""
    is_ours = mode(cluster, options) is Mode.OPERATOR
    return {names.AUTOSCALER_ANNOTATION: Mode.OPERATOR.value} if is_ours else {}


def controller(cluster: api.RayCluster, head: records.Pod | None) -> Mode:
    """Tell who scales now: what the head was made for, whatever the spec says by now."""
    if not cluster.spec.enable_in_tree_autoscaling or head is None:
        return Mode.OFF
    if any(each.name == CONTAINER for each in head.containers):
        return Mode.SIDECAR
    is_ours = head.annotations.get(names.AUTOSCALER_ANNOTATION) == Mode.OPERATOR
    return Mode.OPERATOR if is_ours else Mode.OFF


def variables(
    cluster: api.RayCluster, options: settings.Settings, *, is_head: bool
) -> list[dict[str, Any]]:
    """Return what tells Ray the version of its autoscaler.

    Drivers ask for resources in another way, and `ray status` looks elsewhere, in each of them.
    The operator understands v2's.
    """
    chosen = mode(cluster, options)
    given = cluster.spec.autoscaler_options
    version = given.version if given else None
    if not is_head or chosen is Mode.OFF:
        return []
    is_open = not groups.variable(cluster.spec.head_group_spec, VARIABLE)
    if chosen is Mode.OPERATOR and not version and is_open:
        version = "v2"
    return [{"name": VARIABLE, "value": "true" if version == "v2" else "false"}] if version else []


def restart_policy(
    cluster: api.RayCluster, group: api.GroupSpec, options: settings.Settings
) -> str | None:
    """Return the restart policy that the group's Pods must have; None leaves it to the template.

    A worker that restarts in place is not understood by the autoscaler v2, and not by ours: a
    drained node would come back. Where Ray chooses v2 by itself, what the template says stays.
    """
    chosen = mode(cluster, options)
    if chosen is Mode.OFF:
        return None
    if chosen is Mode.OPERATOR:
        is_open = not (group.template.get("spec") or {}).get("restartPolicy")
        return "Never" if is_open or isinstance(group, api.WorkerGroupSpec) else None
    given = cluster.spec.autoscaler_options
    if given is not None and given.version:
        return "Never" if given.version == "v2" else None
    is_open = not (group.template.get("spec") or {}).get("restartPolicy")
    return "Never" if is_open and _ray_chooses_v2(cluster.spec) else None


def _ray_chooses_v2(spec: api.RayClusterSpec) -> bool:
    switch = groups.variable(spec.head_group_spec, VARIABLE)
    if switch is not None:
        return switch.get("value") in {"1", "true"}
    if spec.ray_version:
        version = ray_version.parse(spec.ray_version)
    else:
        version = ray_version.of_image(spec.head_group_spec.ray_container.get("image") or "")
    return version is not None and version >= V2_SINCE
