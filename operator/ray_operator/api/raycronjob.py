"""The RayCronJob models: a RayJob made again and again by a schedule.

Owns: the fields of `ray.io/v1` RayCronJob. Does not own: the schedule's language (`schedule`) and
rules across fields (`validation.raycronjob`). Source: KubeRay 1.7, `ray.io/v1`.
"""

from typing import Literal

from pydantic import Field

from ray_operator.api.base import Model, Resource, Time
from ray_operator.api.rayjob import RayJobSpec


class RayCronJobSpec(Model):
    """What shall run, and when."""

    schedule: str = Field(json_schema_extra={"minLength": 1, "maxLength": 1024})
    """When: five cron fields, a macro such as @daily, or @every with a duration."""
    job_template: RayJobSpec
    """Spec of the RayJobs to make."""
    time_zone: str | None = Field(None, json_schema_extra={"minLength": 1, "maxLength": 256})
    """IANA name of the schedule's time zone; the operator's own when unset."""
    suspend: bool | None = None
    """Whether to make no further RayJobs."""


class RayCronJobStatus(Model):
    """What was last done."""

    last_schedule_time: Time | None = None
    """The instant of the schedule that the last RayJob was made for."""


class RayCronJob(Resource):
    """A RayJob made again and again by a schedule."""

    kind: Literal["RayCronJob"] = "RayCronJob"
    spec: RayCronJobSpec
