"""The status of a RayCluster as a type, for the CRD and for users who read it.

Owns: its fields. Does not own: computing them (`raycluster.status`, which writes plain JSON).
Source: KubeRay 1.7, `ray.io/v1` RayClusterStatus.
"""

from pydantic import Field

from ray_operator.api.base import Int32, Int64, Model, Quantity, Time, list_map, one_of


class HeadInfo(Model):
    """Where the head is."""

    pod_ip: str | None = Field(None, alias="podIP")
    """Address of the head Pod."""
    pod_name: str | None = None
    """Name of the head Pod."""
    service_ip: str | None = Field(None, alias="serviceIP")
    """Address of the head Service; the head Pod's when the Service is headless."""
    service_name: str | None = None
    """Name of the head Service."""


class Condition(Model):
    """One aspect of the cluster's state, as metav1.Condition."""

    type: str
    """The aspect."""
    status: str = Field(json_schema_extra=one_of("True", "False", "Unknown"))
    """Whether it holds."""
    reason: str
    """Why, in one word for machines."""
    message: str
    """Why, for people."""
    last_transition_time: Time
    """When the status last flipped."""
    observed_generation: Int64 | None = None
    """The generation of the spec that this was said of."""


class GroupScale(Model):
    """How a worker group stands that the operator scales, in replicas."""

    name: str
    """The group."""
    desired: Int32
    """How many there shall be now."""
    pending: Int32
    """How many of them Ray can't use yet."""
    running: Int32
    """How many it can."""
    idle: Int32
    """How many of those have no work."""


class UnmetDemand(Model):
    """A request for resources that no node has room for, nor any on its way."""

    request: str
    """What it asks for."""
    count: Int32
    """How often."""
    reason: str
    """What is in its way."""


class AutoscalerStatus(Model):
    """How the workers are scaled."""

    mode: str = Field(json_schema_extra=one_of("operator", "sidecar"))
    """Who scales; sidecar is Ray's own autoscaler, which tells no more than that."""
    worker_groups: list[GroupScale] = Field(
        default_factory=list, json_schema_extra=list_map("name")
    )
    """How each group stands."""
    last_decision: str | None = None
    """What was changed last, and why."""
    last_decision_time: Time | None = None
    """When."""
    unmet_demand: list[UnmetDemand] = Field(default_factory=list)
    """The requests that get no node, ten at most."""
    unmet_requests: Int32 | None = None
    """How many these are, together."""


class RayClusterStatus(Model):
    """What the operator last saw of the cluster."""

    state: str | None = None
    """ready or suspended; stays until the other is reached. Conditions say more."""
    reason: str | None = None
    """Why the cluster isn't ready, in one word; empty while it is. Conditions say more."""
    conditions: list[Condition] = Field(default_factory=list, json_schema_extra=list_map("type"))
    """Aspects of the state."""
    desired_cpu: Quantity | None = Field(None, alias="desiredCPU")
    """CPU that all desired Pods ask for."""
    desired_memory: Quantity | None = None
    """Memory that all desired Pods ask for."""
    desired_gpu: Quantity | None = Field(None, alias="desiredGPU")
    """GPUs that all desired Pods ask for."""
    desired_tpu: Quantity | None = Field(None, alias="desiredTPU")
    """TPUs that all desired Pods ask for."""
    desired_worker_replicas: Int32 | None = None
    """Worker Pods that should run."""
    min_worker_replicas: Int32 | None = None
    """Fewest worker Pods that may run."""
    max_worker_replicas: Int32 | None = None
    """Most worker Pods that may run."""
    ready_worker_replicas: Int32 | None = None
    """Worker Pods that are ready."""
    available_worker_replicas: Int32 | None = None
    """Worker Pods that run."""
    updated_worker_replicas: Int32 | None = None
    """Worker Pods of the present template."""
    endpoints: dict[str, str] = Field(default_factory=dict)
    """Ports of the head Service by name."""
    idle_since: Time | None = None
    """Since when nothing has gone on in it; only where that leads to something."""
    autoscaler: AutoscalerStatus | None = None
    """How the workers are scaled; only where the spec wants that."""
    head: HeadInfo | None = None
    """Where the head is."""
    last_update_time: Time | None = None
    """When this status was written."""
    state_transition_times: dict[str, Time] = Field(default_factory=dict)
    """When each state was last entered."""
    observed_generation: Int64 | None = None
    """The generation of the spec that this status answers."""
