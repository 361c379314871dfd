"""The RayService models: Serve applications and the clusters that serve them.

Owns: the fields of `ray.io/v1` RayService and their defaults. Does not own: rules across fields
(`validation.rayservice`). Source: KubeRay 1.7, `ray.io/v1`.
"""

from typing import Literal

from pydantic import Field

from ray_operator.api import kubernetes
from ray_operator.api.base import (
    Int32,
    Model,
    NonNegative,
    Resource,
    one_of,
)
from ray_operator.api.raycluster import MANAGED_BY, RayClusterSpec

UPGRADE_TYPES = ("NewCluster", "None", "NewClusterWithIncrementalUpgrade")


class ClusterUpgradeOptions(Model):
    """How traffic moves to a new cluster, step by step."""

    max_surge_percent: Int32 | None = 100
    """Serve capacity beyond the full one while both clusters serve, in percent."""
    step_size_percent: Int32
    """Traffic that moves at each step, in percent."""
    interval_seconds: Int32
    """Seconds between two steps."""
    gateway_class_name: str
    """Gateway class that splits the traffic."""


class RayServiceUpgradeStrategy(Model):
    """What a change of the cluster's spec does."""

    type: str | None = Field(None, json_schema_extra=one_of(*UPGRADE_TYPES))
    """NewCluster (also when unset) switches to a new one once it serves; None changes nothing."""
    cluster_upgrade_options: ClusterUpgradeOptions | None = None
    """How traffic moves, for NewClusterWithIncrementalUpgrade."""


class RayServiceSpec(Model):
    """What shall be served, and on what."""

    ray_cluster_config: RayClusterSpec
    """The cluster that serves."""
    serve_config_v2: str = Field("", alias="serveConfigV2")
    """Applications in the YAML of Ray Serve's configuration files."""
    serve_service: kubernetes.Service | None = None
    """A Service to make the serve Service of."""
    upgrade_strategy: RayServiceUpgradeStrategy | None = None
    """What a change of the cluster's spec does."""
    ray_cluster_deletion_delay_seconds: NonNegative | None = None
    """Seconds that a replaced cluster stays; 60 when unset."""
    exclude_head_pod_from_serve_svc: bool | None = None
    """Whether the head gets no requests."""
    suspend: bool | None = None
    """Whether to keep no cluster and serve nothing."""
    managed_by: str | None = Field(None, json_schema_extra=MANAGED_BY)
    """Who reconciles this resource; unset means this operator."""
    service_unhealthy_second_threshold: Int32 | None = None
    """Deprecated and without effect."""
    deployment_unhealthy_second_threshold: Int32 | None = None
    """Deprecated and without effect."""


class RayService(Resource):
    """Serve applications on Ray."""

    kind: Literal["RayService"] = "RayService"
    spec: RayServiceSpec
