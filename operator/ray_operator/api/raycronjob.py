"""The RayCronJob models: a RayJob made again and again by a schedule.

Owns: the fields of `ray.io/v1` RayCronJob. Does not own: the schedule's language (`schedule`) and
rules across fields (`validation.raycronjob`). Source: KubeRay 1.7, `ray.io/v1`; what it lacks is
batch/v1 CronJob's, and does what KubeRay does when it isn't given, but never a run for each of
many missed times.
"""

from typing import Literal

from pydantic import Field

from ray_operator.api.base import Int64, Model, NonNegative, Resource, Time, list_map, one_of
from ray_operator.api.raycluster_status import Condition
from ray_operator.api.rayjob import RayJobSpec

CONCURRENCY_POLICIES = ("Allow", "Forbid", "Replace")


class RayCronJobSpec(Model):
    """What shall run, and when."""

    schedule: str = Field(json_schema_extra={"minLength": 1, "maxLength": 1024})
    """When: five cron fields, a macro such as @daily, or @every with a duration."""
    job_template: RayJobSpec
    """Spec of the RayJobs to make."""
    time_zone: str | None = Field(None, json_schema_extra={"minLength": 1, "maxLength": 256})
    """IANA name of the schedule's time zone; when unset the operator's own, which its environment
    variable TZ names, else UTC."""
    suspend: bool | None = None
    """Whether to make no further RayJobs. What comes due meanwhile is not made up for."""
    concurrency_policy: str = Field("Allow", json_schema_extra=one_of(*CONCURRENCY_POLICIES))
    """What to do while a RayJob of an earlier time goes on: run beside it (Allow), wait for its end
    and then run once for the latest time (Forbid), or delete it (Replace)."""
    starting_deadline_seconds: NonNegative | None = None
    """Seconds after its time until which a RayJob may still be made. When unset there is no such
    end, but of all times that were missed only the latest is made up for."""
    successful_jobs_history_limit: NonNegative | None = None
    """How many RayJobs that succeeded to keep; all when unset, since nothing is deleted unasked. A
    RayJob that neither shuts its cluster down nor is deleted keeps its cluster running."""
    failed_jobs_history_limit: NonNegative | None = None
    """How many RayJobs that failed or were stopped to keep; all when unset, likewise."""


class RunReference(Model):
    """A RayJob, as core/v1 ObjectReference."""

    api_version: str | None = None
    """ray.io/v1."""
    kind: str | None = None
    """RayJob."""
    namespace: str | None = None
    """Its namespace."""
    name: str | None = None
    """Its name."""
    uid: str | None = None
    """Its UID."""


class ObservedSchedule(Model):
    """By what the times of RayJobs were last counted, to tell when that changes."""

    schedule: str
    """As in the spec."""
    time_zone: str | None = None
    """As in the spec."""
    suspend: bool = False
    """Whether no RayJobs were made, by the spec or since the feature gate was off."""
    since: Time | None = None
    """Up to here nothing is made up for: since then it is so, or what was due came too late."""


class RayCronJobStatus(Model):
    """What was last done."""

    last_schedule_time: Time | None = None
    """The instant of the schedule that the last RayJob was made for."""
    last_successful_time: Time | None = None
    """When a RayJob last succeeded."""
    active: list[RunReference] = Field(
        default_factory=list, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The RayJobs that haven't ended."""
    observed_schedule: ObservedSchedule | None = None
    """By what times were last counted."""
    conditions: list[Condition] = Field(default_factory=list, json_schema_extra=list_map("type"))
    """Aspects of the state."""
    observed_generation: Int64 | None = None
    """The generation of the spec that this status answers."""


class RayCronJob(Resource):
    """A RayJob made again and again by a schedule."""

    kind: Literal["RayCronJob"] = "RayCronJob"
    spec: RayCronJobSpec
