"""The state machine of a RayJob: one step from what is written and seen.

Owns: the transitions, counters and retries. Does not own: verdicts on a job that runs (`verdict`),
removing (`removal`, `retention`) or writing (`status`). Invariant: total over all phases; what a
step does before its state is written may be done again by the next one without harm; nothing is
submitted before the head that it goes to is written.
Source: KubeRay 1.7, states of a RayJob.
"""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime

from ray_operator import actions, names, records
from ray_operator.raycluster import head as cluster_head
from ray_operator.raycluster import idleness, reach
from ray_operator.raycluster import observed as cluster_seen
from ray_operator.rayjob import (
    attempt,
    children,
    cluster,
    head_service,
    hearsay,
    removal,
    retention,
    submitter_job,
    verdict,
)
from ray_operator.rayjob import state as states
from ray_operator.rayjob.case import Case, Step
from ray_operator.rayjob.state import FAILED, FINISHED, STOPPED, SUCCEEDED, Phase, Reason, State

NO_RETRY = frozenset({Reason.DEADLINE_EXCEEDED, Reason.CHECK_TIMED_OUT})


def decide(case: Case) -> Step:
    """Return what this pass comes to."""
    step = _STEPS[case.state.phase](case)
    return dataclasses.replace(step, state=_settled(case, step.state))


def refused(case: Case) -> Step:
    """Return what a pass comes to while the spec is invalid and nothing runs under an older one."""
    return Step(state=dataclasses.replace(case.state, phase=Phase.INVALID))


def _settled(case: Case, state: State) -> State:
    """Count what has ended, and choose between its end and another attempt."""
    before, now = case.state.phase, case.now.replace(microsecond=0)
    if state.phase is before:
        return state
    if state.phase is Phase.COMPLETE:
        won = state.job_status == SUCCEEDED
        return dataclasses.replace(state, ended_at=now, succeeded=state.succeeded + won)
    if state.phase is Phase.FAILED:
        state = dataclasses.replace(state, failed=state.failed + 1)
        if state.failed <= case.spec.backoff_limit and state.reason not in NO_RETRY:
            return dataclasses.replace(state, phase=Phase.RETRYING, teardown_since=now)
        return dataclasses.replace(state, ended_at=now)
    if state.phase is Phase.SUSPENDING:
        return dataclasses.replace(state, teardown_since=now)
    return state


def _new(case: Case) -> Step:
    return Step(state=attempt.begun(case))


def _invalid(case: Case) -> Step:
    """Go on once the spec is valid again; a queue has let go of what never had a cluster."""
    state = case.state
    if state.cluster:
        is_waiting = case.mode == "InteractiveMode" and not state.job_id
        ready = Phase.WAITING if is_waiting else Phase.RUNNING
        phase = ready if state.dashboard_url else Phase.INITIALIZING
        return Step(state=dataclasses.replace(state, phase=phase, reason="", message=""))
    if names.KUEUE_QUEUE_LABEL in case.job.metadata.labels:
        return Step(state=state)
    return Step(state=dataclasses.replace(state, phase=Phase.NEW, reason="", message=""))


def _initializing(case: Case) -> Step:
    state = hearsay.heard(case)
    if case.spec.suspend:
        return _to(state, Phase.SUSPENDING)
    if _may_have_run(case):
        return Step(state=_addressed(case, hearsay.identified(case, state), Phase.RUNNING))
    if over := _overdue(case, state):
        return Step(state=over)
    if not case.owns_cluster() and (redirected := attempt.redirected(case)) != case.state:
        return Step(state=redirected)
    return _approaching(case, state)


def _approaching(case: Case, state: State) -> Step:
    """Make, wake or wait for the cluster, and go on once it is ready."""
    asleep = case.observed.cluster
    if asleep is not None and asleep.spec.idle_suspend and case.selects_cluster:
        deadline = case.until(case.active_deadline(), case.pre_running_deadline())
        return Step(state=state, todo=(idleness.wake(asleep),), wait=deadline)
    if case.observed.is_cluster_ready() and not case.observed.is_cluster_going():
        return _on_cluster(case, state)
    is_missing = case.observed.cluster is None and not case.selects_cluster
    return Step(
        state=state,
        todo=_create_cluster(case) if is_missing else (),
        wait=case.until(case.active_deadline(), case.pre_running_deadline()),
    )


def _on_cluster(case: Case, state: State) -> Step:
    if case.mode == "InteractiveMode":
        return Step(state=_addressed(case, state, Phase.WAITING))
    return _submitting(case, state)


def _submitting(case: Case, state: State) -> Step:
    """Record the head, then have somebody submit to it.

    As long as nobody was told to submit, a head that is another one by now will do.
    """
    answer = case.observed.ray
    if not hearsay.is_own_life(case, state):
        state = dataclasses.replace(state, head=None)
    state = hearsay.identified(case, state)
    state = _addressed(case, state, state.phase)
    if state.head is None:
        if answer.error and answer.in_vain >= case.options.rayjob_status_timeout:
            return Step(state=verdict.unanswered(case, state))
        return Step(state=state, wait=verdict.look_again(case, state))
    if noted := _note_head(case, state):
        return Step(state=dataclasses.replace(state, head=None), todo=noted)
    if case.mode != "K8sJobMode":
        return _to(state, Phase.RUNNING)
    is_recorded = case.state.head == state.head
    return Step(state=state, todo=_create_submitter(case, state) if is_recorded else ())


def _note_head(case: Case, state: State) -> tuple[actions.Action, ...]:
    """Write a new head down where the status can't hold it; that wakes the next pass."""
    if case.observed.keeps_head or case.state.head == state.head:
        return ()
    metadata = case.job.metadata
    noted = actions.Patch(
        resource=records.RAYJOBS,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        change={"metadata": {"annotations": {names.HEAD_ANNOTATION: states.annotation(state)}}},
        reasons=children.HEAD_NOTED,
    )
    return (noted,)


def _waiting(case: Case) -> Step:
    state = case.state
    if case.spec.suspend:
        return _to(state, Phase.SUSPENDING)
    if over := _overdue(case, state):
        return Step(state=over)
    if case.mode != "InteractiveMode":
        return Step(state=attempt.begun(case))  # on the cluster that waits
    if case.spec.job_id and case.spec.job_id != state.used_job_id:
        followed = dataclasses.replace(state, job_id=case.spec.job_id)
        return _to(followed, Phase.RUNNING)
    if case.observed.is_cluster_going():  # as far as is known nothing ran on it
        return _to(dataclasses.replace(state, head=None), Phase.INITIALIZING)
    return Step(state=state, wait=case.until(case.active_deadline(), case.pre_running_deadline()))


def _running(case: Case) -> Step:
    state = hearsay.heard(case)
    if case.mode != "InteractiveMode" or state.job_status:
        state = hearsay.identified(case, state)
    if case.spec.suspend and not state.is_ended:
        return _to(state, Phase.SUSPENDING)
    if (over := verdict.end(case, state)) is not None:
        return Step(state=over)
    todo = _note_head(case, state)
    if not case.selects_cluster:
        todo += head_service.plan(case.job, case.observed, options=case.options)
    if case.mode == "K8sJobMode" and _is_submitter_missed(case, state):
        todo += _create_submitter(case, state)
    return Step(state=state, todo=todo, wait=verdict.look_again(case, state))


def _finished(case: Case) -> Step:
    """Delete what is to be deleted; a job that was told to stop may yet be seen to do so."""
    step = retention.step(case)
    if _may_submit_late(case):
        doomed = removal.delete_submitter(case, "the RayJob has failed, and it could still submit")
        step = dataclasses.replace(step, todo=(*step.todo, *doomed))
    info = case.observed.ray.info
    is_told = case.state.reason == Reason.DEADLINE_EXCEEDED and not case.state.is_ended
    if is_told and info and info.status in {STOPPED, FAILED}:
        return dataclasses.replace(
            step, state=dataclasses.replace(step.state, job_status=info.status)
        )
    return step


def _may_submit_late(case: Case) -> bool:
    """Tell whether a submitter lives that could yet start a job of which nobody would know.

    Ours knows the head that it may submit to; one with the user's command doesn't.
    """
    job, state = case.observed.submitter, case.state
    if state.phase is not Phase.FAILED or state.is_ended or job is None or job.is_finished:
        return False
    if case.observed.submitter_ended_at() is not None:
        return False  # what it printed says why, and its Job is about to be told
    is_lost = state.reason == Reason.APP_FAILED and submitter_job.has_own_command(case.spec)
    return not state.job_status or is_lost


def _suspended(case: Case) -> Step:
    if case.spec.suspend:
        return Step(state=case.state)
    return _to(dataclasses.replace(case.state, ended_at=None), Phase.NEW)


_STEPS: Mapping[Phase, Callable[[Case], Step]] = {
    Phase.NEW: _new,
    Phase.INITIALIZING: _initializing,
    Phase.WAITING: _waiting,
    Phase.RUNNING: _running,
    Phase.COMPLETE: _finished,
    Phase.FAILED: _finished,
    Phase.SUSPENDING: removal.step,
    Phase.RETRYING: removal.step,
    Phase.SUSPENDED: _suspended,
    Phase.INVALID: _invalid,
}
assert _STEPS.keys() > FINISHED


def _to(state: State, phase: Phase) -> Step:
    return Step(state=dataclasses.replace(state, phase=phase))


def _overdue(case: Case, state: State) -> State | None:
    """End an attempt that takes too long before anything was submitted."""
    active, before = case.active_deadline(), case.pre_running_deadline()
    if active is not None and case.now >= active and not _is_to_be_asked(case, active):
        return verdict.overdue(case, state)
    if before is not None and case.now >= before and not _is_to_be_asked(case, before):
        return verdict.pre_running_overdue(case, state)
    return None


def _is_to_be_asked(case: Case, deadline: datetime) -> bool:
    """Tell whether Ray may know of a job that a sidecar submitted, and wasn't asked since.

    A head in which Ray doesn't run isn't asked: it has no job yet, or has lost it.
    """
    answer, head = case.observed.ray, case.observed.head()
    is_deaf = answer.error and answer.in_vain >= case.options.rayjob_status_timeout
    is_up = head is not None and cluster_seen.has_ray(head)
    is_beside = case.mode == "SidecarMode" and case.observed.submitter_container() is not None
    return is_beside and is_up and not is_deaf and not case.has_answer_since(deadline)


def _may_have_run(case: Case) -> bool:
    """Tell whether somebody was told to submit, so that only Ray knows how the attempt ends.

    A sidecar doesn't wait until the cluster is ready, and its job may have ended, or been lost with
    the head, before; a Job may have been made by an operator that ended before it could say so.
    """
    seen = case.observed
    if case.mode == "SidecarMode":
        container = seen.submitter_container()
        has_ended = container is not None and container.state == "terminated"
        was_up = seen.cluster is not None and cluster_head.was_up(seen.cluster)
        return has_ended or seen.ray.info is not None or (was_up and seen.head() is None)
    return case.mode == "K8sJobMode" and case.observed.submitter is not None


def _addressed(case: Case, state: State, phase: Phase) -> State:
    """Note where the dashboard is, as host and port."""
    found = case.observed.cluster
    if found is None or state.dashboard_url:
        return dataclasses.replace(state, phase=phase)
    address = reach.dashboard(found, options=case.options)
    return dataclasses.replace(state, phase=phase, dashboard_url=address)


def _create_cluster(case: Case) -> tuple[actions.Action, ...]:
    if case.job.spec.ray_cluster_spec is None or case.spec is not case.job.spec:
        return ()  # of an invalid spec none is made
    return (
        actions.Create(
            resource=records.RAYCLUSTERS,
            manifest=cluster.manifest(case.job, name=case.state.cluster, options=case.options),
            reasons=children.CLUSTER,
        ),
    )


def _is_submitter_missed(case: Case, state: State) -> bool:
    """Tell whether somebody removed the submitter of a job that Ray hasn't got."""
    answer = case.observed.ray
    is_unknown = answer.answered_at is not None and not answer.error and answer.info is None
    is_gone = case.observed.submitter is None and not case.observed.submitter_pods
    return is_gone and is_unknown and not state.job_status


def _create_submitter(case: Case, state: State) -> tuple[actions.Action, ...]:
    found = case.observed.cluster
    if found is None or case.spec is not case.job.spec:
        return ()  # of an invalid spec none is made: its template isn't kept
    manifest = submitter_job.manifest(
        case.job, case.spec, state, cluster=found, options=case.options
    )
    return (actions.Create(resource=records.JOBS, manifest=manifest, reasons=children.SUBMITTER),)
