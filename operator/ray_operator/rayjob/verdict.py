"""The verdict on a job that was, or is being, submitted: it goes on, or how it has ended.

Owns: the order in which endings are considered. Does not own: what is known (`hearsay`), or whether
another attempt follows (`decide`). Invariant: Ray's own word comes first; no time that passes ends
a job before Ray was asked after it, or is proven lost, or was asked in vain for long enough.

KubeRay fails a job 30 s after its submitter ended, whatever Ray says, so that a head or an operator
that is out of reach at the wrong time turns success into failure.
Source: KubeRay 1.7, timers A, D, E and F of a running RayJob.
"""

import dataclasses
from datetime import datetime, timedelta

from ray_operator.rayjob import hearsay
from ray_operator.rayjob.case import Case
from ray_operator.rayjob.sidecar import may_restart
from ray_operator.rayjob.state import FAILED, Phase, Reason, State, failed

SUBMITTER_GRACE = timedelta(seconds=30)
"""Of the reference's rule, which is off unless an administrator wants it back."""
SIDECAR_RESTARTS = 2
ROUNDING = timedelta(seconds=1)
"""Kubernetes cuts times to whole seconds."""


def end(case: Case, state: State) -> State | None:
    """Return the state in which the attempt has ended; None while it goes on."""
    if state.is_ended:
        return _ended(case, state)
    considered = (each(case, state) for each in (_lost, _overdue, _unanswered, _left, _unknown))
    return next((each for each in considered if each is not None), None)


def overdue(case: Case, state: State) -> State:
    """End an attempt that took too long."""
    seconds, started = case.spec.active_deadline_seconds, state.started_at
    text = f"The attempt began at {started:%FT%TZ} and exceeds activeDeadlineSeconds, {seconds}"
    return failed(state, Reason.DEADLINE_EXCEEDED, text)


def unanswered(case: Case, state: State) -> State:
    """End an attempt whose head was asked for too long."""
    answer, since = case.observed.ray, state.unanswered_since
    limit = case.options.rayjob_status_timeout.total_seconds()
    text = f"Ray has not answered since {since:%FT%TZ}, longer than {limit:.0f} s: {answer.error}"
    return failed(state, Reason.CHECK_TIMED_OUT, text)


def look_again(case: Case, state: State) -> timedelta | None:
    """Return when the passing of time could end the attempt; None when it can't."""
    moments: list[datetime | None] = [case.active_deadline()]
    if state.is_ended:
        moments.append(_grace(case, state))
    if case.observed.ray.error:
        left = case.options.rayjob_status_timeout - case.observed.ray.in_vain
        moments.append(case.now + left)
    if case.mode == "InteractiveMode" and not state.job_status:
        moments.append(case.pre_running_deadline())
    ended_at = _gave_up_at(case) if case.has_submitter and not state.is_ended else None
    if ended_at is not None and not state.job_status:
        moments.append(ended_at + ROUNDING)  # an answer that says the same again wakes nobody
    if ended_at is not None and case.options.rayjob_trusts_submitter:
        moments.append(ended_at + SUBMITTER_GRACE)
    return case.until(*moments)


def _ended(case: Case, state: State) -> State | None:
    """Finish as Ray says, once the output is shown; None until then."""
    deadline, ended_at = case.active_deadline(), state.ray_ended_at
    if deadline is not None and ended_at is not None and ended_at > deadline:
        return overdue(case, state)
    if not _is_shown(case):
        grace = _grace(case, state)
        if grace is None or case.now < grace:
            return None
        return _finished(
            state,
            Reason.GRACE_EXCEEDED,
            "The submitter did not end in time after the job"
            + (f": {state.message}" if state.message else ""),
        )
    return _finished(state, Reason.APP_FAILED, state.message)


def _finished(state: State, reason: Reason, message: str) -> State:
    if state.job_status == FAILED:
        return failed(state, reason, message)
    return dataclasses.replace(state, phase=Phase.COMPLETE, reason="", message=message)


def _is_shown(case: Case) -> bool:
    """Tell whether nobody copies the output any more."""
    if case.mode == "K8sJobMode":
        gone = case.observed.submitter is None and not case.observed.submitter_pods
        return gone or case.observed.submitter_ended_at() is not None
    if case.mode == "SidecarMode":
        container = case.observed.submitter_container()
        return container is None or container.state == "terminated"
    return True


def _grace(case: Case, state: State) -> datetime | None:
    ended_at = state.ray_ended_at
    return ended_at + case.options.rayjob_transition_grace if ended_at else None


def _lost(case: Case, state: State) -> State | None:
    gone = _loss(case, state)
    return failed(state, Reason.APP_FAILED, gone) if gone else None


def _overdue(case: Case, state: State) -> State | None:
    deadline = case.active_deadline()
    is_over = deadline is not None and case.now >= deadline and case.has_answer_since(deadline)
    return overdue(case, state) if is_over else None


def _unanswered(case: Case, state: State) -> State | None:
    answer = case.observed.ray
    is_over = bool(answer.error) and answer.in_vain >= case.options.rayjob_status_timeout
    return unanswered(case, state) if is_over else None


def _left(case: Case, state: State) -> State | None:
    """Fail as the reference does, if an administrator wants that."""
    ended_at = _completed_at(case) if case.has_submitter else None
    is_wanted = case.options.rayjob_trusts_submitter
    if not is_wanted or ended_at is None or case.now < ended_at + SUBMITTER_GRACE:
        return None
    limit = SUBMITTER_GRACE.total_seconds()
    text = (
        f"The submitter finished at {ended_at:%FT%TZ}, but the job did not reach terminal state"
        f" within {limit:.0f} s"
    )
    told = dataclasses.replace(state, job_status=FAILED)
    return failed(told, Reason.GRACE_EXCEEDED, text)


def _loss(case: Case, state: State) -> str:
    """Say what proves that the job is lost."""
    if not case.selects_cluster and case.observed.is_cluster_going():
        return f"RayCluster {state.cluster} was deleted while the job ran on it"
    told = hearsay.loss(case, state)
    if not told and case.mode == "SidecarMode" and case.observed.head() is None:
        return "the head Pod, in which the job was, is not found"
    return told


def _unknown(case: Case, state: State) -> State | None:
    """Judge by an answer that Ray doesn't know the job."""
    answer = case.observed.ray
    if answer.error or answer.answered_at is None or answer.info is not None:
        return None
    if state.job_status:
        return failed(state, Reason.APP_FAILED, f"Ray no longer knows the job {state.job_id}")
    if case.mode == "HTTPMode":
        refusal = answer.refusal
        return failed(state, Reason.SUBMISSION_FAILED, refusal) if refusal else None
    if case.mode == "InteractiveMode":
        limit = case.pre_running_deadline()
        is_over = limit is not None and case.now >= limit and case.has_answer_since(limit)
        return pre_running_overdue(case, state) if is_over else None
    return _unsubmitted(case, state, answer.answered_at)


def _unsubmitted(case: Case, state: State, asked_at: datetime) -> State | None:
    """Judge when Ray doesn't know a job that something else than the operator submits."""
    ended_at = _gave_up_at(case)
    if ended_at is None or asked_at < ended_at + ROUNDING:
        return None  # it may have submitted since Ray was asked
    if text := _submission_failure(case):
        return failed(state, Reason.SUBMISSION_FAILED, text)
    text = f"The submitter has completed, but Ray doesn't know the job {state.job_id}"
    return failed(state, Reason.APP_FAILED, text)


def pre_running_overdue(case: Case, state: State) -> State:
    """End an attempt that didn't come to running in time."""
    seconds, started = case.spec.pre_running_deadline_seconds, state.started_at
    text = (
        f"The attempt began at {started:%FT%TZ} and did not come to running within"
        f" preRunningDeadlineSeconds, {seconds}"
    )
    return failed(state, Reason.PRE_RUNNING_DEADLINE_EXCEEDED, text)


def _submission_failure(case: Case) -> str:
    """Say why nobody will submit any more; `""` when somebody may."""
    words = "; ".join(dict.fromkeys(w.error for _, w in hearsay.last_words(case) if w.error))
    if case.mode == "K8sJobMode":
        job = case.observed.submitter
        return f"{job.failure}: {words}".rstrip(": ") if job is not None and job.failure else ""
    container = case.observed.submitter_container()
    if container is None or container.ended is None:
        return ""
    may_go_on = may_restart(case.options) and container.restarts < SIDECAR_RESTARTS
    has_failed = container.state == "terminated" and container.ended.exit_code != 0
    if may_go_on or not (has_failed or container.restarts >= SIDECAR_RESTARTS):
        return ""
    ended = container.ended
    return f"{container.name} ended with exit code {ended.exit_code}, {ended.reason}: {words}"


def _gave_up_at(case: Case) -> datetime | None:
    """Return when what submits ended, for good or as far as is known; None while it may submit."""
    if case.mode == "SidecarMode" and _submission_failure(case):
        container = case.observed.submitter_container()
        return container.ended.finished_at if container and container.ended else None
    return _completed_at(case)


def _completed_at(case: Case) -> datetime | None:
    if case.mode == "K8sJobMode":
        return case.observed.submitter_ended_at()
    container = case.observed.submitter_container()
    ended = container is not None and container.state == "terminated"
    return container.ended.finished_at if container and container.ended and ended else None
