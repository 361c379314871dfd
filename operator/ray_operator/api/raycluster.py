"""The RayCluster models: a head, groups of workers, and what the operator reports of them.

Owns: the fields of `ray.io/v1` RayCluster and their defaults. Does not own: rules across fields
(`validate`) and CRD packaging (`crds`). Invariant: Pod templates stay plain JSON, so the operator
drops no field that Kubernetes knows. Source: KubeRay 1.7, `ray.io/v1`.
"""

from typing import Any

from pydantic import ConfigDict, Field

from ray_operator import names
from ray_operator.api import options
from ray_operator.api.base import (
    INT32_MAX,
    Int32,
    Json,
    Metadata,
    Model,
    PodTemplate,
    ServiceTemplate,
)

_MANAGED_BY: dict[str, Any] = {
    "x-kubernetes-validations": [
        {
            "rule": f"self in ['{names.MANAGED_BY_US}', '{names.MANAGED_BY_KUEUE}']",
            "message": f"managedBy must be {names.MANAGED_BY_US} or {names.MANAGED_BY_KUEUE}",
        },
        {"rule": "self == oldSelf", "message": "managedBy can't be changed"},
    ]
}
_GROUP_RULES: dict[str, Any] = {
    "required": ["groupName", "maxReplicas", "minReplicas", "template"],
    "x-kubernetes-validations": [
        {
            "rule": "self.minReplicas <= self.maxReplicas",
            "message": "minReplicas must be at most maxReplicas",
        }
    ],
}


class GroupSpec(Model):
    """What the head and worker groups have in common."""

    template: PodTemplate
    """Template of the group's Pods; its first container runs Ray."""
    ray_start_params: dict[str, str] = Field(default_factory=dict)
    """Flags of `ray start`, without the leading dashes."""
    resources: dict[str, str] = Field(default_factory=dict)
    """Logical Ray resources of each Pod, as quantities; doesn't touch the container's."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Ray node labels, which are Pod labels too."""

    @property
    def ray_container(self) -> Json:
        """The container that runs Ray: the first one, whatever its name."""
        return self.containers[0]

    @property
    def containers(self) -> list[Json]:
        """The template's containers; empty when it has none (which is invalid)."""
        containers: list[Json] = (self.template.get("spec") or {}).get("containers") or []
        return containers


class HeadGroupSpec(GroupSpec):
    """The single head of the cluster."""

    service_type: str | None = None
    """Type of the head Service, and of Serve Services; ClusterIP when unset."""
    head_service: ServiceTemplate | None = None
    """A Service to make the head Service of; selector and namespace are the operator's."""
    enable_ingress: bool | None = None
    """Whether an Ingress (on OpenShift a Route) exposes the dashboard."""
    ingress_options: options.IngressOptions | None = None
    """How the Ingress exposes it."""


class ScaleStrategy(Model):
    """Which workers go first."""

    workers_to_delete: list[str] = Field(default_factory=list)
    """Names of Pods that the autoscaler wants gone."""


class WorkerGroupSpec(GroupSpec):
    """A group of equal workers."""

    model_config = ConfigDict(json_schema_extra=_GROUP_RULES)

    group_name: str
    """Name of the group, unique within the cluster; a valid label value."""
    replicas: Int32 = 0
    """How many replicas to run, held between the bounds; the autoscaler's to write."""
    min_replicas: options.NonNegative = 0
    """Never fewer replicas than this."""
    max_replicas: options.NonNegative = INT32_MAX
    """Never more replicas than this."""
    num_of_hosts: Int32 = 1
    """Pods of each replica."""
    scale_strategy: ScaleStrategy | None = None
    """Which workers go first; the autoscaler's to write."""
    idle_timeout_seconds: options.NonNegative | None = None
    """Seconds without work after which a worker of this group is removed."""
    priority: Int32 = 0
    """Groups of higher priority are scaled up first."""
    suspend: bool | None = None
    """Whether the group runs no Pods; RayJob's to write."""


class RayClusterSpec(Model):
    """What a Ray cluster shall be."""

    head_group_spec: HeadGroupSpec
    """The head."""
    worker_group_specs: list[WorkerGroupSpec] = Field(default_factory=list)
    """The groups of workers; the autoscaler addresses them by index."""
    ray_version: str | None = None
    """Version of Ray in the images."""
    suspend: bool | None = None
    """Whether to keep no Pods."""
    managed_by: str | None = Field(None, json_schema_extra=_MANAGED_BY)
    """Who reconciles this resource; unset means this operator."""
    enable_in_tree_autoscaling: bool | None = None
    """Whether workers are scaled by the demand for resources."""
    autoscaler_options: options.AutoscalerOptions | None = None
    """How they are scaled."""
    head_service_annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the head Service."""
    gcs_fault_tolerance_options: options.GcsFaultToleranceOptions | None = None
    """Where the head's state survives a restart; giving the block switches it on."""
    upgrade_strategy: options.UpgradeStrategy | None = None
    """What a change of this spec does to running Pods."""
    auth_options: options.AuthOptions | None = None
    """How callers of Ray authenticate."""
    network_policy: options.NetworkPolicyOptions | None = None
    """Which traffic of the cluster's Pods is denied."""
    tls_options: options.TlsOptions | None = None
    """Mutual TLS between the nodes."""
    history_server_options: options.HistoryServerOptions | None = None
    """What is kept of the cluster for the history server."""


class RayCluster(Model):
    """A Ray cluster."""

    api_version: str = "ray.io/v1"
    kind: str = "RayCluster"
    metadata: Metadata = Field(default_factory=Metadata)
    spec: RayClusterSpec
    status: Json = Field(default_factory=dict)
    """What was last reported, as stored; `raycluster_status` types it."""

    def manifest(self) -> Json:
        """Render for `kubectl apply` or a client: what was given, no defaults, no nulls."""
        return {"apiVersion": self.api_version, "kind": self.kind, **self.dump()}
