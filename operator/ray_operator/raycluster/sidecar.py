"""The container with Ray's own autoscaler, beside the head's.

Owns: its manifest, the directory it shares with the Ray container, and the account it acts as.
Does not own: when there is one (`autoscaling`) or what it may do (`rbac`). Invariant: what the
user gives in `autoscalerOptions` is the last word. Source: KubeRay 1.7, autoscaler sidecar.
"""

from typing import Any

from ray_operator import names, settings
from ray_operator.api import options
from ray_operator.api import raycluster as api
from ray_operator.api.validation import autoscaling as rules
from ray_operator.raycluster import auth, autoscaling, containers, environment

_COMMAND = (
    "ray kuberay-autoscaler --cluster-name $(RAY_CLUSTER_NAME)"
    " --cluster-namespace $(RAY_CLUSTER_NAMESPACE)"
)
_RESOURCES = {
    "limits": {"cpu": "500m", "memory": "512Mi"},
    "requests": {"cpu": "500m", "memory": "512Mi"},
}


def container(cluster: api.RayCluster, *, settings: settings.Settings) -> dict[str, Any]:
    """Return the sidecar.

    It runs the Ray container's image, so it may do what that one may: its security context is
    taken over, or a namespace with strict Pod security would refuse the whole Pod.
    """
    given = cluster.spec.autoscaler_options or options.AutoscalerOptions()
    ray = cluster.spec.head_group_spec.ray_container
    security = given.security_context or ray.get("securityContext")
    optional = {"securityContext": security, "envFrom": given.env_from}
    return {
        "name": autoscaling.CONTAINER,
        **containers.LAST_WORDS,
        "image": given.image or ray.get("image"),
        "imagePullPolicy": given.image_pull_policy or "IfNotPresent",
        "command": given.command or containers.shell(settings),
        "args": given.args or [_COMMAND],
        "env": environment.merged(_variables(cluster), always=given.env),
        "resources": given.resources or _RESOURCES,
        "volumeMounts": _mounts(cluster, given),
        **{key: value for key, value in optional.items() if value},
    }


def account(cluster: api.RayCluster) -> str:
    """Name the ServiceAccount of the head: the user's as it is, else one after the cluster."""
    return given_account(cluster) or names.legacy(cluster.metadata.name)


def given_account(cluster: api.RayCluster) -> str:
    """Name the ServiceAccount that the user gave the head, ``""`` if none."""
    spec = cluster.spec.head_group_spec.template.get("spec") or {}
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "")


def _variables(cluster: api.RayCluster) -> list[environment.Entry]:
    return [
        environment.field("RAY_CLUSTER_NAME", f"metadata.labels['{names.CLUSTER_LABEL}']"),
        environment.field("RAY_CLUSTER_NAMESPACE", "metadata.namespace"),
        environment.field("RAY_HEAD_POD_NAME", "metadata.name"),
        environment.value("KUBERAY_CRD_VER", "v1"),
        environment.value(rules.COMMAND_VARIABLE, _COMMAND),
        *auth.variables(cluster),
    ]


def _mounts(cluster: api.RayCluster, given: options.AutoscalerOptions) -> list[dict[str, Any]]:
    logs = containers.logs_mount(cluster.spec.head_group_spec)
    taken = {(each.get("mountPath") or "").rstrip("/") for each in given.volume_mounts}
    token = [auth.MOUNT] if auth.needs_volume(cluster.spec) else []
    return [
        *given.volume_mounts,
        *(each for each in (logs, *token) if each["mountPath"].rstrip("/") not in taken),
    ]
