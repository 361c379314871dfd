"""Who scales a cluster's workers, and what Pods are told of it.

Owns: the one decision between Ray's sidecar and the operator, and what follows from Ray's
autoscaler being of version 2. Does not own: the sidecar (`sidecar`) or its rights (`rbac`).
Invariant: a mode that this operator can't carry out is never the answer.
"""

import enum
from typing import Any

from ray_operator import names
from ray_operator.api import options, ray_version
from ray_operator.api import raycluster as api
from ray_operator.api.validation import autoscaling, groups

VARIABLE = autoscaling.V2_SWITCH
V2_SINCE = (2, 48, 0)
"""From here on Ray chooses its autoscaler v2 by itself under an operator."""
IN_PLACE_RESIZE_ANNOTATION = "ray.io/ippr"


class Mode(enum.StrEnum):
    """Who scales; the values are those of the annotation."""

    OFF = "off"
    SIDECAR = "sidecar"
    OPERATOR = "operator"


BUILT = frozenset({Mode.OFF, Mode.SIDECAR})
"""What this operator can carry out; the sidecar stands in for the rest."""


def mode(cluster: api.RayCluster) -> Mode:
    """Tell who scales the cluster's workers."""
    found = preferred(cluster)
    return found if found in BUILT else Mode.SIDECAR


def preferred(cluster: api.RayCluster) -> Mode:
    """Tell who would scale if every mode were built: the first condition that holds decides."""
    if not cluster.spec.enable_in_tree_autoscaling:
        return Mode.OFF
    stated = cluster.metadata.annotations.get(names.AUTOSCALER_ANNOTATION, "")
    if stated in {Mode.SIDECAR, Mode.OPERATOR}:
        return Mode(stated)
    given = cluster.spec.autoscaler_options or options.AutoscalerOptions()
    resizes = IN_PLACE_RESIZE_ANNOTATION in cluster.metadata.annotations
    # Only a container can honour these.
    if given.image or given.command or given.args or given.version == "v1" or resizes:
        return Mode.SIDECAR
    return Mode.OPERATOR


def has_sidecar(cluster: api.RayCluster) -> bool:
    """Tell whether Ray's own autoscaler runs beside the head."""
    return mode(cluster) is Mode.SIDECAR


def variables(cluster: api.RayCluster, *, is_head: bool) -> list[dict[str, Any]]:
    """Return what tells Ray the version of its autoscaler, if the user chose one."""
    given = cluster.spec.autoscaler_options
    if not is_head or mode(cluster) is Mode.OFF or given is None or not given.version:
        return []
    return [{"name": VARIABLE, "value": "true" if given.version == "v2" else "false"}]


def restart_policy(cluster: api.RayCluster, group: api.GroupSpec) -> str | None:
    """Return the restart policy that the group's Pods must have; None leaves it to the template.

    A worker that restarts in place is not understood by the autoscaler v2. Where Ray chooses v2
    by itself, what the template says stays.
    """
    if mode(cluster) is Mode.OFF:
        return None
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
