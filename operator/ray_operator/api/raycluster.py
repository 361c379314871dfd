"""The RayCluster models: a head, groups of workers, and what the operator reports of them.

Owns: the fields of `ray.io/v1` RayCluster and their defaults. Does not own: rules across fields
(`validate`) and CRD packaging (`crds`). Invariant: Pod templates stay plain JSON, so the operator
drops no field that Kubernetes knows. Source: KubeRay 1.7, `ray.io/v1`.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from ray_operator import names
from ray_operator.api import kubernetes, options
from ray_operator.api.base import (
    INT32_MAX,
    Int32,
    Json,
    Model,
    NonNegative,
    Resource,
    list_map,
    one_of,
)

LabelValue = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 63,
            "pattern": "^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$",
        }
    ),
]
GROUP_NAME: Json = {
    "minLength": 1,
    "maxLength": 63,
    "pattern": "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$",
}
"""A label value, since it becomes one."""
MANAGED_BY = one_of(names.MANAGED_BY_US, names.MANAGED_BY_KUEUE)


class GroupSpec(Model):
    """What the head and worker groups have in common."""

    template: kubernetes.RayPodTemplate
    """Template of the group's Pods; its first container runs Ray."""
    ray_start_params: dict[str, str] = Field(default_factory=dict)
    """Flags of `ray start`, without the leading dashes."""
    resources: dict[str, str] = Field(default_factory=dict)
    """Logical Ray resources of each Pod, as quantities; doesn't touch the container's."""
    labels: dict[str, LabelValue] = Field(
        default_factory=dict, json_schema_extra={"maxProperties": 256}
    )
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
    head_service: kubernetes.Service | None = None
    """A Service to make the head Service of; selector and namespace are the operator's."""
    enable_ingress: bool | None = None
    """Whether an Ingress (on OpenShift a Route) exposes the dashboard."""
    ingress_options: options.IngressOptions | None = None
    """How the Ingress exposes it."""


MOST_HOSTS = 10_000
"""More than any accelerator spans; a replica is made whole, so all of it is in memory at once."""


class ScaleStrategy(Model):
    """Which workers go first."""

    workers_to_delete: list[str] = Field(default_factory=list)
    """Names of Pods that the autoscaler wants gone."""


class WorkerGroupSpec(GroupSpec):
    """A group of equal workers."""

    model_config = ConfigDict(
        json_schema_extra={"required": ["groupName", "maxReplicas", "minReplicas", "template"]}
    )

    group_name: str = Field(json_schema_extra=GROUP_NAME)
    """Name of the group, unique within the cluster; a valid label value."""
    replicas: Int32 = 0
    """How many replicas to run, held between the bounds; the autoscaler's to write."""
    min_replicas: NonNegative = 0
    """Never fewer replicas than this."""
    max_replicas: NonNegative = INT32_MAX
    """Never more replicas than this."""
    num_of_hosts: Annotated[Int32, Field(json_schema_extra={"maximum": MOST_HOSTS})] = 1
    """Pods of each replica."""
    scale_strategy: ScaleStrategy | None = None
    """Which workers go first; the autoscaler's to write."""
    idle_timeout_seconds: NonNegative | None = None
    """Seconds without work after which a worker of this group is removed."""
    priority: Int32 = 0
    """Groups of higher priority are scaled up first."""
    suspend: bool | None = None
    """Whether the group runs no Pods; RayJob's to write."""


class RayClusterSpec(Model):
    """What a Ray cluster shall be."""

    head_group_spec: HeadGroupSpec
    """The head."""
    worker_group_specs: list[WorkerGroupSpec] = Field(
        default_factory=list, json_schema_extra=list_map("groupName", max_items=options.GROUPS)
    )
    """The groups of workers; the autoscaler addresses them by index."""
    ray_version: str | None = Field(None, json_schema_extra={"maxLength": 256})
    """Version of Ray in the images."""
    suspend: bool | None = None
    """Whether to keep no Pods."""
    managed_by: str | None = Field(None, json_schema_extra=MANAGED_BY)
    """Who reconciles this resource; unset means this operator."""
    enable_in_tree_autoscaling: bool | None = None
    """Whether workers are scaled by the demand for resources."""
    autoscaler_options: options.AutoscalerOptions | None = None
    """How they are scaled."""
    idle_termination_options: options.IdleTerminationOptions | None = None
    """What happens to the cluster when nobody uses it."""
    idle_suspend: bool | None = None
    """Whether the cluster is suspended because nobody uses it; the operator's to write. False, or
    the annotation ray-operator.io/wake, wakes it, as does a RayJob that selects it."""
    head_service_annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the head Service."""
    gcs_fault_tolerance_options: options.GcsFaultToleranceOptions | None = None
    """Where the head's state survives a restart; giving the block switches it on."""
    upgrade_strategy: options.UpgradeStrategy | None = None
    """What a change of this spec does to running Pods."""
    auth_options: options.AuthOptions | None = None
    """How callers of Ray authenticate."""
    network_policy: options.NetworkPolicyOptions | None = None
    """Which traffic of the cluster's Pods is denied. Not built yet: refused."""
    tls_options: options.TlsOptions | None = None
    """Mutual TLS between the nodes. Not built yet: refused."""
    history_server_options: options.HistoryServerOptions | None = None
    """What is kept of the cluster for the history server. Not built yet: refused."""


class RayCluster(Resource):
    """A Ray cluster."""

    kind: Literal["RayCluster"] = "RayCluster"
    spec: RayClusterSpec
