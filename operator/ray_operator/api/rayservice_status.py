"""The status of a RayService as a type, for the CRD and for users who read it.

Owns: its fields. Does not own: computing them (`rayservice.status`). Source: KubeRay 1.7,
`ray.io/v1` RayServiceStatuses.
"""

from pydantic import Field

from ray_operator.api.base import Int32, Int64, Model, Time, list_map
from ray_operator.api.raycluster_status import Condition, RayClusterStatus


class DeploymentStatus(Model):
    """State of a Serve deployment."""

    status: str | None = None
    """Serve's word for it."""
    message: str | None = None
    """Why, for people."""
    health_last_update_time: Time | None = None
    """No longer written; kept for old clients."""


class ApplicationStatus(Model):
    """State of a Serve application."""

    status: str | None = None
    """Serve's word for it."""
    message: str | None = None
    """Why, for people."""
    health_last_update_time: Time | None = None
    """No longer written; kept for old clients."""
    serve_deployment_statuses: dict[str, DeploymentStatus] = Field(default_factory=dict)
    """Its deployments by name."""


class ServingClusterStatus(Model):
    """State of one of the two clusters."""

    ray_cluster_name: str | None = None
    """The cluster; unset means there is none."""
    ray_cluster_status: RayClusterStatus | None = None
    """Copy of its status."""
    application_statuses: dict[str, ApplicationStatus] = Field(default_factory=dict)
    """Its applications by name."""
    target_capacity: Int32 | None = None
    """Serve capacity that it was last told to have, in percent."""
    traffic_routed_percent: Int32 | None = None
    """Share of the traffic that it gets, in percent."""
    last_traffic_migrated_time: Time | None = None
    """When that share last changed."""


class RayServiceStatus(Model):
    """What the operator last saw of the service."""

    service_status: str | None = None
    """Running, or unset. Conditions say more."""
    num_serve_endpoints: Int32 | None = None
    """Ready Pods behind the serve Service."""
    conditions: list[Condition] = Field(default_factory=list, json_schema_extra=list_map("type"))
    """Aspects of the state."""
    active_service_status: ServingClusterStatus | None = None
    """The cluster that serves."""
    pending_service_status: ServingClusterStatus | None = None
    """The cluster that gets ready to serve."""
    last_update_time: Time | None = None
    """When this status was written."""
    observed_generation: Int64 | None = None
    """The generation of the spec that this status answers."""
