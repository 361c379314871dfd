"""Decide what to do about one RayJob now.

Owns: whose it is, whether its spec counts, its finalizer, and its deletion. Does not own: the state
machine (`decide`). Invariant: a RayJob that is being deleted is let go in bounded time, whatever
becomes of its head.
Source: KubeRay 1.7, RayJob controller.
"""

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

from ray_operator import actions, finalizers, names, records, settings, validity
from ray_operator.api import job_vocabulary
from ray_operator.api import rayjob as api
from ray_operator.api.rules import FieldError
from ray_operator.api.validation import rayjob as rules
from ray_operator.rayjob import children, decide
from ray_operator.rayjob import state as states
from ray_operator.rayjob.case import Case, Step
from ray_operator.rayjob.observed import Observed
from ray_operator.rayjob.state import Phase, Reason

FINALIZER = "ray.io/rayjob-finalizer"
FAREWELL = timedelta(seconds=10)
"""How long a RayJob that goes waits for Ray, which answers, to take the order to stop its job."""
MOMENT = timedelta(seconds=1)
"""Until it is seen whether the head of one that went while no operator ran has been asked."""
DEAF = timedelta(seconds=4)
"""After so long without an answer none is expected."""
STOPS_WITHIN = timedelta(minutes=10)
"""How long a job that took too long is told to stop, as long as it doesn't."""
LAST_VALID_SPEC = "lastValidSpec"
_KEPT_ELSEWHERE = ("rayClusterSpec", "submitterPodTemplate")
"""Large, and of use only for an attempt that is yet to begin, which needs a valid spec."""


def plan(
    job: api.RayJob, observed: Observed, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Return the actions of one pass; nothing for a foreign RayJob."""
    if not is_ours(job):
        return actions.Plan()
    if job.metadata.deletion_timestamp:
        return _farewell(job, observed, now)
    invalid = tuple(rules.errors(job, options.feature_gates))
    events = validity.events(
        job, job_vocabulary.JobCondition.SPEC_VALID, invalid=invalid, warnings=()
    )
    if not invalid and FINALIZER not in job.metadata.finalizers:
        added = finalizers.added(job, FINALIZER, of=records.RAYJOBS, reasons=children.FINALIZER)
        return actions.Plan(actions=(added,), requeue_after=timedelta())
    step = taken(job, observed, options=options, now=now, invalid=invalid)
    return actions.Plan(
        actions=step.todo,
        requeue_after=step.wait,
        invalid=invalid,
        events=(*events, *step.events),
        asks_ray=_is_to_stop(states.of(job), now),
    )


def taken(
    job: api.RayJob,
    observed: Observed,
    *,
    options: settings.Settings,
    now: datetime,
    invalid: Sequence[FieldError],
) -> Step:
    """Take one step, by the last valid spec if the present one is not."""
    case = Case(
        job=job,
        spec=spec_in_force(job, invalid),
        state=states.of(job),
        observed=observed,
        options=options,
        now=now,
    )
    is_begun = case.state.phase not in {Phase.NEW, Phase.INVALID}
    return decide.decide(case) if is_begun or not invalid else decide.refused(case)


def spec_in_force(job: api.RayJob, invalid: Sequence[FieldError]) -> api.RayJobSpec:
    """Return the spec that an attempt runs under: the newest one that was valid."""
    last = job.status.get(LAST_VALID_SPEC)
    return api.RayJobSpec.model_validate(last) if invalid and last else job.spec


def to_keep(job: api.RayJob) -> dict[str, object]:
    """Return what of a valid spec is kept in the status, for the time when it no longer is."""
    return {key: each for key, each in job.spec.dump().items() if key not in _KEPT_ELSEWHERE}


def is_ours(job: api.RayJob) -> bool:
    """Tell whether this operator is to reconcile the RayJob."""
    return job.spec.managed_by in {None, names.MANAGED_BY_US}


def is_to_be_stopped(job: api.RayJob) -> bool:
    """Tell whether a RayJob that goes leaves a job behind that may still run."""
    state = states.of(job)
    is_known = bool(state.dashboard_url and state.job_id)
    return is_known and not state.is_ended and FINALIZER in job.metadata.finalizers


def _is_to_stop(state: states.State, now: datetime) -> bool:
    is_overdue = state.phase is Phase.FAILED and state.reason == Reason.DEADLINE_EXCEEDED
    is_fresh = state.ended_at is not None and now < state.ended_at + STOPS_WITHIN
    return is_overdue and is_fresh and not state.is_ended


def _farewell(job: api.RayJob, observed: Observed, now: datetime) -> actions.Plan:
    """Let the RayJob go once Ray was told to stop the job, or can't be told."""
    gone_at = job.metadata.deletion_timestamp
    if FINALIZER not in job.metadata.finalizers or gone_at is None:
        return actions.Plan()
    left = gone_at + FAREWELL - now
    is_deaf = bool(observed.ray.error) and observed.ray.in_vain >= DEAF
    is_heard = observed.ray.is_stopped or is_deaf
    waits = is_to_be_stopped(job) and not observed.is_cluster_going() and not is_heard
    is_answered = observed.ray.answered_at is not None and not observed.ray.error
    if waits and (left > timedelta() or not is_answered):
        return actions.Plan(requeue_after=max(left, MOMENT))
    release = finalizers.removed(job, FINALIZER, of=records.RAYJOBS, reasons=children.RELEASE)
    plan = actions.Plan(actions=(release,))
    if observed.ray.error and is_to_be_stopped(job):
        return dataclasses.replace(plan, events=(_not_stopped(job, observed),))
    return plan


def _not_stopped(job: api.RayJob, observed: Observed) -> actions.Event:
    state = states.of(job)
    message = (
        f"Ray couldn't be told to stop the job {state.job_id} on RayCluster {state.cluster}:"
        f" {observed.ray.error}"
    )
    return actions.Event(
        type="Warning", reason="FailedToStopRayJob", action="Delete", message=message
    )
