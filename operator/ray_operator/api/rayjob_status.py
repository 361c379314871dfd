"""The status of a RayJob as a type, for the CRD and for users who read it.

Owns: its fields. Does not own: computing them (`rayjob.status`). Source: KubeRay 1.7, `ray.io/v1`
RayJobStatus.
"""

from pydantic import Field

from ray_operator.api import kubernetes
from ray_operator.api.base import Int32, Int64, Json, Model, Time, list_map
from ray_operator.api.raycluster_status import Condition, RayClusterStatus


class RayJobInfo(Model):
    """What Ray says of the job."""

    start_time: Time | None = None
    """When Ray started it."""
    end_time: Time | None = None
    """When Ray saw it end."""


class RayJobHead(Model):
    """The head that an attempt belongs to."""

    pod_uid: str | None = Field(None, alias="podUID")
    """UID of its Pod."""
    session: str | None = None
    """Name of Ray's session: the life of Ray that gets the job, and no other."""


class RayJobStatus(Model):
    """What the operator last saw of the job."""

    job_id: str | None = None
    """Submission id of the present attempt."""
    ray_cluster_name: str | None = None
    """Cluster of the present attempt."""
    dashboard_url: str | None = Field(None, alias="dashboardURL")
    """Host and port of the cluster's dashboard."""
    job_status: str | None = None
    """Ray's view: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
    job_deployment_status: str | None = None
    """The operator's view: Initializing, Waiting, Running, Complete, Failed and others."""
    reason: str | None = None
    """Why it failed, in one word for machines."""
    message: str | None = None
    """Why, for people."""
    start_time: Time | None = None
    """When the present attempt began."""
    end_time: Time | None = None
    """When the last attempt ended."""
    succeeded: Int32 = 0
    """Attempts that succeeded."""
    failed: Int32 = 0
    """Attempts that failed."""
    conditions: list[Condition] = Field(default_factory=list, json_schema_extra=list_map("type"))
    """Aspects of the state."""
    ray_cluster_status: RayClusterStatus | None = None
    """Copy of the cluster's status."""
    ray_job_info: RayJobInfo | None = None
    """What Ray says of the job."""
    job_status_check_failure_start_time: Time | None = None
    """Since when Ray hasn't answered for the job."""
    head: RayJobHead | None = None
    """The head of the present attempt, recorded before anything is submitted to it."""
    last_valid_spec: Json | None = Field(None, json_schema_extra=kubernetes.OPEN)
    """The newest spec that was valid, without templates: what the attempt runs under."""
    teardown_start_time: Time | None = None
    """Since when the present attempt is being removed."""
    used_job_id: str | None = None
    """In InteractiveMode, the job of an earlier attempt, which isn't followed again."""
    observed_generation: Int64 | None = None
    """The generation of the spec that this status answers."""
