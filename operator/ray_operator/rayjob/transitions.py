"""The events that a change of a RayJob's status is worth.

Owns: which changes are told. Does not own: events of single actions (`actions`). Invariant: each
follows from two statuses, so that it is told once.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ray_operator import actions, conditions
from ray_operator.api import job_vocabulary as vocabulary
from ray_operator.api import rayjob as api
from ray_operator.rayjob import plan, retention
from ray_operator.rayjob import state as states
from ray_operator.rayjob.state import FINISHED, Phase, State

Type = vocabulary.JobCondition
Told = vocabulary.JobReason


def events(job: api.RayJob, written: Mapping[str, Any]) -> Sequence[actions.Event]:
    """Return what is to be told of the status that was written."""
    last = written.get(plan.LAST_VALID_SPEC)
    spec = api.RayJobSpec.model_validate(last) if last else job.spec
    before, after = states.read(job.status), states.read(written)
    found = [*_missing_cluster(spec, job.status, written)]
    return [*found, *_events(spec, before, after)]


def _missing_cluster(
    spec: api.RayJobSpec, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[actions.Event]:
    """Tell of a selected cluster that isn't there (any more)."""
    was, now = (
        conditions.find(conditions.read(each.get("conditions", ())), Type.CLUSTER_READY)
        for each in (before, after)
    )
    is_told = was is not None and was.reason == Told.CLUSTER_NOT_FOUND
    if spec.cluster_selector and now and now.reason == Told.CLUSTER_NOT_FOUND and not is_told:
        yield _event("Warning", Told.CLUSTER_NOT_FOUND, "Validate", now.message)


def _events(spec: api.RayJobSpec, before: State, after: State) -> Iterator[actions.Event]:
    if before.unanswered_since is None and after.unanswered_since is not None:
        yield _event("Warning", "RayUnreachable", "Check", "Ray doesn't answer for the job")
    if before.phase is after.phase:
        return
    if after.phase is Phase.COMPLETE:
        text = f"The job {after.job_id} is {after.job_status}"
        yield _event("Normal", "RayJobComplete", "Complete", text)
    if after.phase is Phase.FAILED:
        text = f"{after.reason}: {after.message}"
        yield _event("Warning", "RayJobFailed", "Fail", text)
    if after.phase is Phase.RETRYING:
        most = spec.backoff_limit + 1
        text = f"Attempt {after.failed} of {most} failed, {after.reason}: {after.message}"
        yield _event("Warning", "RayJobRetrying", "Retry", text)
    if after.phase is Phase.SUSPENDED:
        yield _event("Normal", "RayJobSuspended", "Suspend", "The attempt was removed")
    if after.phase in FINISHED and retention.is_unmatched(spec, after):
        text = (
            "Nothing is deleted: no deletion rule is for jobStatus"
            f" {after.job_status or 'empty'} and jobDeploymentStatus {after.phase}"
        )
        yield _event("Warning", "NoDeletionRuleMatched", "Delete", text)


def _event(type_: str, reason: str, action: str, message: str) -> actions.Event:
    return actions.Event(type=type_, reason=reason, action=action, message=message)
