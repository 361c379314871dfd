"""The table of transitions: each state and what is seen in it, and what follows."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from ray_operator import actions, conditions, names, ray_records, records, settings
from ray_operator.rayjob import decide, observed, plan, removal
from ray_operator.rayjob import state as states
from ray_operator.rayjob.case import Step
from ray_operator.rayjob.state import Head, Phase, Reason, State
from tests.unit import builders
from tests.unit.rayjob import given

NOW, STARTED = given.NOW, given.STARTED
SECOND = timedelta(seconds=1)
RUNNING, INITIALIZING, UNSEEN = given.RUNNING, given.begun(), given.UNSEEN
OVER, EXCEEDED = given.OVER, given.EXCEEDED
HEAD = Head(pod_uid="uid-head", session=given.SESSION)
RECORDED = given.begun(head=HEAD, dashboard_url=given.DASHBOARD)
UP = given.seen(submitter=None, service=None, ray=ray_records.JobAnswer())
ANSWERING = given.seen(submitter=None, service=None, ray=given.answer())
DOOMED = given.cluster(metadata={"deletionTimestamp": "2026-01-01T12:00:00Z"})
SELECTED: dict[str, Any] = {
    "clusterSelector": {names.CLUSTER_LABEL: given.CLUSTER},
    "rayClusterSpec": None,
}


# New


def test_an_attempt_begins_with_names_and_nothing_else() -> None:
    step = given.step(State(), observed.Observed(), now=NOW + timedelta(milliseconds=700))
    cluster, job_id = step.state.cluster, step.state.job_id
    assert step.state == State(
        phase=Phase.INITIALIZING, cluster=cluster, job_id=job_id, started_at=NOW
    )
    assert step.todo == ()
    assert cluster != job_id
    for name in (cluster, job_id):
        stem, _, suffix = name.rpartition("-")
        assert (stem, len(suffix)) == ("job", 5)
        assert set(suffix) <= set(names.SUFFIX_ALPHABET)


def test_names_are_the_users_where_there_are_any() -> None:
    step = given.step(State(), observed.Observed(), jobId="mine", **SELECTED)
    assert (step.state.cluster, step.state.job_id) == (given.CLUSTER, "mine")


def test_names_that_another_operator_chose_stay() -> None:
    step = given.step(State(cluster="job-x", job_id="job-y"), observed.Observed())
    assert (step.state.cluster, step.state.job_id) == ("job-x", "job-y")


def test_each_attempt_has_names_of_its_own() -> None:
    first = given.step(State(), observed.Observed())
    retried = given.step(State(failed=1), observed.Observed())
    resumed = given.step(State(), observed.Observed(), now=NOW + SECOND)
    assert len({each.state.cluster for each in (first, retried, resumed)}) == 3
    assert len({each.state.job_id for each in (first, retried, resumed)}) == 3


def test_the_user_says_which_job_to_follow() -> None:
    step = given.step(
        State(), observed.Observed(), submissionMode="InteractiveMode", jobId="already"
    )
    assert step.state.job_id == ""


# Initializing


def test_a_missing_cluster_is_made() -> None:
    step = given.step(INITIALIZING, observed.Observed())
    assert step.state == INITIALIZING
    assert given.made(step) == [("Create", "RayCluster")]


def test_a_selected_cluster_is_waited_for() -> None:
    assert given.step(INITIALIZING, observed.Observed(), **SELECTED) == Step(state=INITIALIZING)


def test_a_selector_that_is_edited_counts_for_an_attempt_that_runs_nowhere() -> None:
    selector = {"clusterSelector": {names.CLUSTER_LABEL: "another"}, "rayClusterSpec": None}
    theirs = given.cluster(ready=False, metadata={"ownerReferences": []})
    for cluster in (None, theirs):
        around = observed.Observed(cluster=cluster)
        step = given.step(RECORDED, around, **selector)
        assert step == Step(state=given.begun(cluster="another"))
    around = given.seen(cluster=theirs, ray=given.answer())
    assert given.step(RECORDED, around, **selector).state.cluster == given.CLUSTER


def test_a_selector_that_is_removed_leaves_the_cluster_to_its_owner() -> None:
    step = given.step(given.begun(cluster="shared"), observed.Observed(is_taken=True))
    assert given.made(step) == []
    assert step.state.cluster.startswith("job-")
    again = given.step(step.state, observed.Observed())
    assert given.made(again) == [("Create", "RayCluster")]


def test_a_cluster_that_is_not_ready_or_goes_is_waited_for() -> None:
    for cluster in (given.cluster(ready=False), DOOMED):
        around = given.seen(cluster=cluster, submitter=None, ray=ray_records.JobAnswer())
        assert given.step(INITIALIZING, around) == Step(state=INITIALIZING)


def test_the_wait_ends_with_the_first_deadline() -> None:
    step = given.step(
        INITIALIZING,
        observed.Observed(cluster=given.cluster(ready=False)),
        activeDeadlineSeconds=300,
        preRunningDeadlineSeconds=90,
    )
    assert step == Step(state=INITIALIZING, wait=timedelta(seconds=30))


def test_nothing_is_submitted_before_the_head_is_known() -> None:
    step = given.step(INITIALIZING, UP)
    assert step.state == given.after(INITIALIZING, dashboard_url=given.DASHBOARD)
    assert step.todo == ()


def test_the_head_is_recorded_before_anything_is_submitted() -> None:
    step = given.step(INITIALIZING, ANSWERING)
    assert (step.state, step.todo) == (RECORDED, ())


def test_where_the_status_cannot_hold_the_head_an_annotation_does() -> None:
    """CRDs of KubeRay's stay when its operator is replaced."""
    around = dataclasses.replace(ANSWERING, keeps_head=False)
    step = given.step(INITIALIZING, around)
    assert step.state == given.after(RECORDED, head=None)
    (patch,) = step.todo
    assert isinstance(patch, actions.Patch)
    annotations = {"ray-operator.io/head": f"{given.CLUSTER}/uid-head/{given.SESSION}"}
    assert patch.change == {"metadata": {"annotations": annotations}}
    status = states.manifest(step.state)
    job = given.rayjob(metadata={"annotations": annotations}, status=status)
    assert states.of(job) == RECORDED
    assert given.made(given.step(states.of(job), around)) == [("Create", "Job")]
    later = given.rayjob(
        metadata={"annotations": annotations}, status={**status, "rayClusterName": "another"}
    )
    assert states.of(later).head is None


def test_a_sidecar_s_deadline_waits_for_rays_word() -> None:
    """The sidecar submits while the cluster is not ready yet, and no operator may have looked."""
    running = records.Container(names.SUBMITTER, ready=True, state="running")
    around = given.seen(
        cluster=given.cluster(ready=False), pods=(given.beside(running),), submitter=None
    )
    late = STARTED + timedelta(minutes=5)
    spec: dict[str, Any] = {"submissionMode": "SidecarMode", "preRunningDeadlineSeconds": 30}
    silent = dataclasses.replace(around, ray=ray_records.JobAnswer())
    step = given.step(INITIALIZING, silent, now=late, **spec)
    assert (step.state.phase, step.wait) == (Phase.INITIALIZING, timedelta(seconds=1))
    told = dataclasses.replace(around, ray=given.answer(answered_at=late))
    end = given.step(INITIALIZING, told, now=late, **spec).state
    assert end.reason == Reason.PRE_RUNNING_DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("ray", "beside", "phase"),
    [
        ("waiting", "waiting", "Pending"),
        ("waiting", "running", "Pending"),
        ("terminated", "running", "Running"),
    ],
)
@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("activeDeadlineSeconds", Reason.DEADLINE_EXCEEDED),
        ("preRunningDeadlineSeconds", Reason.PRE_RUNNING_DEADLINE_EXCEEDED),
    ],
)
def test_no_deadline_waits_for_the_word_of_a_head_in_which_ray_does_not_run(
    ray: str, beside: str, phase: str, limit: str, reason: Reason
) -> None:
    """Such as one whose image, or a Secret of its, can't be had: nobody asks it anything."""
    containers = (
        records.Container("ray-head", state=ray),
        records.Container(names.SUBMITTER, state=beside),
    )
    head = given.head(phase=phase, ip="10.0.0.9", containers=containers, restart_policy="Never")
    around = given.seen(
        cluster=given.cluster(ready=False),
        pods=(head,),
        submitter=None,
        ray=ray_records.JobAnswer(),
    )
    spec: dict[str, Any] = {"submissionMode": "SidecarMode", limit: 60}
    assert given.step(INITIALIZING, around, now=NOW - SECOND, **spec).state == INITIALIZING
    end = given.step(INITIALIZING, around, **spec).state
    assert (end.phase, end.reason) == (Phase.FAILED, reason)


def test_a_failed_attempt_leaves_no_submitter_that_could_still_submit() -> None:
    lost = given.state(Phase.FAILED, reason=Reason.DEADLINE_EXCEEDED, ended_at=given.NOW)
    unseen = given.after(lost, job_status="")
    around = given.seen()
    assert given.made(given.step(unseen, around)) == [("Delete", "Job")]
    assert given.made(given.step(lost, around)) == []
    over = given.seen(submitter=given.submitter(ended_at=given.NOW, is_finished=True))
    assert given.made(given.step(unseen, over)) == []
    own = {"spec": {"containers": [{"name": "mine", "command": ["ray", "job", "submit"]}]}}
    gone = given.after(lost, reason=Reason.APP_FAILED)
    step = given.step(gone, around, submitterPodTemplate=own)
    assert given.made(step) == [("Delete", "Job")]


def test_a_submitter_that_is_done_stays_with_what_it_printed() -> None:
    """Its container has ended; that its Job has, too, is told a little later."""
    unseen = given.after(given.state(Phase.FAILED, reason=Reason.APP_FAILED), job_status="")
    done = given.seen(submitter=given.submitter(ended_at=given.NOW))
    assert given.made(given.step(unseen, done)) == []
    assert given.made(given.step(unseen, given.seen())) == [("Delete", "Job")]


def test_the_recorded_head_gets_a_submitter_of_its_own() -> None:
    step = given.step(RECORDED, ANSWERING)
    assert step.state == RECORDED
    assert given.made(step) == [("Create", "Job")]
    (create,) = step.todo
    assert isinstance(create, actions.Create)
    container = create.manifest["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "RAY_JOB_SESSION", "value": given.SESSION} in container["env"]


def test_the_head_is_the_pod_that_was_asked() -> None:
    another = dataclasses.replace(ANSWERING, pods=(given.head("uid-another"),))
    assert given.step(INITIALIZING, another).state == RECORDED


def test_as_long_as_nobody_submitted_another_head_is_as_good() -> None:
    ray = given.answer(session="session_2", pod_uid="uid-head-2")
    around = given.seen(submitter=None, pods=(given.head("uid-head-2"),), ray=ray)
    step = given.step(RECORDED, around)
    assert step.state.head == Head(pod_uid="uid-head-2", session="session_2")
    assert step.todo == ()


def test_once_there_is_a_submitter_the_attempt_runs() -> None:
    step = given.step(RECORDED, given.seen(ray=given.answer()))
    assert (step.state, step.todo) == (given.after(RECORDED, phase=Phase.RUNNING), ())


def test_no_deadline_ends_an_attempt_of_which_only_ray_knows_the_end() -> None:
    """The operator made the Job and ended, and comes back after the deadline."""
    late = STARTED + timedelta(hours=1)
    around = given.seen(ray=ray_records.JobAnswer())
    spec: dict[str, Any] = {"activeDeadlineSeconds": 60, "preRunningDeadlineSeconds": 30}
    assert given.step(RECORDED, around, now=late, **spec).state.phase is Phase.RUNNING


def test_a_submitter_beside_the_head_may_be_faster_than_the_cluster() -> None:
    around = given.seen(
        cluster=given.cluster(ready=False),
        pods=(given.beside(given.ended_container()),),
        submitter=None,
        ray=ray_records.JobAnswer(),
    )
    step = given.step(INITIALIZING, around, submissionMode="SidecarMode")
    assert step.state == given.after(
        INITIALIZING, phase=Phase.RUNNING, dashboard_url=given.DASHBOARD
    )


def test_a_sidecar_s_job_that_runs_before_the_cluster_is_ready_is_followed() -> None:
    """And is lost with its head: another one would run it again."""
    cluster = given.cluster(ready=False)
    around = given.seen(cluster=cluster, submitter=None, ray=given.answer("RUNNING"))
    step = given.step(INITIALIZING, around, submissionMode="SidecarMode")
    assert (step.state.phase, step.state.job_status) == (Phase.RUNNING, "RUNNING")
    status = {**cluster.status, "head": {"podIP": "10.0.0.1"}}
    lost = given.seen(
        cluster=cluster.model_copy(update={"status": status}),
        pods=(),
        submitter=None,
        ray=ray_records.JobAnswer(),
    )
    step = given.step(INITIALIZING, lost, submissionMode="SidecarMode")
    assert step.state.phase is Phase.RUNNING
    end = given.step(step.state, lost, submissionMode="SidecarMode").state
    assert (end.phase, end.reason) == (Phase.FAILED, Reason.APP_FAILED)
    assert end.message == "the head Pod, in which the job was, is not found"


@pytest.mark.parametrize("mode", ["HTTPMode", "SidecarMode"])
def test_without_a_job_the_recorded_head_is_enough(mode: str) -> None:
    step = given.step(INITIALIZING, ANSWERING, submissionMode=mode)
    assert (step.state, step.todo) == (given.after(RECORDED, phase=Phase.RUNNING), ())


def test_an_interactive_job_waits_for_the_user() -> None:
    step = given.step(INITIALIZING, UP, submissionMode="InteractiveMode")
    assert step.state == given.after(
        INITIALIZING, phase=Phase.WAITING, dashboard_url=given.DASHBOARD
    )


@pytest.mark.parametrize(
    ("spec", "reason", "text"),
    [
        (
            {"activeDeadlineSeconds": 60},
            Reason.DEADLINE_EXCEEDED,
            "The attempt began at 2026-01-01T11:59:00Z and exceeds activeDeadlineSeconds, 60",
        ),
        (
            {"preRunningDeadlineSeconds": 60},
            Reason.PRE_RUNNING_DEADLINE_EXCEEDED,
            (
                "The attempt began at 2026-01-01T11:59:00Z and did not come to running within"
                " preRunningDeadlineSeconds, 60"
            ),
        ),
    ],
)
def test_an_attempt_that_comes_to_nothing_ends_in_time(
    spec: dict[str, Any], reason: Reason, text: str
) -> None:
    around = given.seen(cluster=given.cluster(ready=False), submitter=None)
    around = dataclasses.replace(around, ray=ray_records.JobAnswer())
    assert given.step(INITIALIZING, around, **spec).state == given.failed(
        INITIALIZING, reason, text
    )
    sooner = given.step(INITIALIZING, around, now=NOW - SECOND, **spec)
    assert sooner.state == INITIALIZING


def test_a_head_that_never_answers_ends_the_attempt() -> None:
    around = dataclasses.replace(UP, ray=given.silence(300, session="", answered_at=None))
    step = given.step(INITIALIZING, around)
    assert (step.state.phase, step.state.reason) == (Phase.FAILED, Reason.CHECK_TIMED_OUT)
    assert step.state.message == (
        "Ray has not answered since 2026-01-01T11:55:00Z, longer than 300 s: no answer"
    )


# Waiting


WAITING = given.state(Phase.WAITING, job_status="", job_id="", head=None)
INTERACTIVE: dict[str, Any] = {"submissionMode": "InteractiveMode"}


@pytest.mark.parametrize(
    ("spec", "phase", "job_id"),
    [
        ({}, Phase.WAITING, ""),
        ({"jobId": "mine"}, Phase.RUNNING, "mine"),
        ({"jobId": "used"}, Phase.WAITING, ""),
        (
            {"jobId": "mine", "suspend": True, "shutdownAfterJobFinishes": True},
            Phase.SUSPENDING,
            "",
        ),
        ({"jobId": "mine", "activeDeadlineSeconds": 60}, Phase.FAILED, ""),
        ({"preRunningDeadlineSeconds": 60}, Phase.FAILED, ""),
    ],
)
def test_waiting_ends_with_the_users_word_or_a_deadline(
    spec: dict[str, Any], phase: Phase, job_id: str
) -> None:
    step = given.step(given.after(WAITING, used_job_id="used"), UP, **INTERACTIVE, **spec)
    assert (step.state.phase, step.state.job_id) == (phase, job_id)


def test_a_cluster_that_goes_while_the_user_is_waited_for_is_made_again() -> None:
    for around in (observed.Observed(), given.seen(cluster=DOOMED)):
        step = given.step(WAITING, around, **INTERACTIVE)
        assert step == Step(state=given.after(WAITING, phase=Phase.INITIALIZING))
    assert given.made(given.step(step.state, observed.Observed(), **INTERACTIVE)) == [
        ("Create", "RayCluster")
    ]
    # What the user has submitted to it meanwhile is lost.
    told = given.step(WAITING, observed.Observed(), jobId="mine", **INTERACTIVE).state
    assert (told.phase, told.job_id) == (Phase.RUNNING, "mine")


def test_a_job_that_the_user_is_yet_to_submit_is_waited_for() -> None:
    before = given.after(WAITING, phase=Phase.RUNNING, job_id="mine")
    step = given.step(before, ANSWERING, **INTERACTIVE)
    assert step.state == before
    bounded = given.step(before, ANSWERING, preRunningDeadlineSeconds=60, **INTERACTIVE)
    assert bounded.state.reason == Reason.PRE_RUNNING_DEADLINE_EXCEEDED


# Running


def test_an_attempt_that_runs_is_left_alone() -> None:
    assert given.step(RUNNING) == Step(state=RUNNING)


def test_a_selector_that_is_edited_changes_nothing_of_what_runs() -> None:
    theirs = given.seen(cluster=given.cluster(metadata={"ownerReferences": []}), service=None)
    selector = {names.CLUSTER_LABEL: "another"}
    step = given.step(RUNNING, theirs, clusterSelector=selector, rayClusterSpec=None)
    assert step == Step(state=RUNNING)


@pytest.mark.parametrize(
    ("owner", "selected", "status", "is_meant"),
    [
        ([], "another", {"dashboardURL": given.DASHBOARD}, True),
        ([], "another", {}, False),
        ([], given.CLUSTER, {}, True),
        (given.OWNERS, "another", {}, True),
    ],
)
def test_the_cluster_that_an_attempt_has_reached_is_its_own(
    owner: list[Any], selected: str, status: dict[str, Any], *, is_meant: bool
) -> None:
    job = given.rayjob(status=status, clusterSelector={names.CLUSTER_LABEL: selected})
    cluster = given.cluster(metadata={"ownerReferences": owner})
    assert observed.is_meant(cluster, job) is is_meant


def test_a_job_that_another_operator_had_running_gets_its_head_noted() -> None:
    before = given.after(RUNNING, job_status="", head=None)
    around = dataclasses.replace(ANSWERING, keeps_head=False, service=given.service())
    (patch,) = given.step(before, around, submissionMode="HTTPMode").todo
    assert isinstance(patch, actions.Patch)
    assert list(patch.change["metadata"]["annotations"]) == [names.HEAD_ANNOTATION]
    keeping = dataclasses.replace(around, keeps_head=True)
    assert given.step(before, keeping, submissionMode="HTTPMode").todo == ()


def test_the_head_service_follows_the_attempt() -> None:
    assert given.made(given.step(RUNNING, given.seen(service=None))) == [("Apply", "Service")]
    assert given.made(given.step(RUNNING, given.seen(service=given.service("job-old")))) == [
        ("Apply", "Service")
    ]
    assert given.made(given.step(RUNNING, given.seen(service=None), **SELECTED)) == []


def test_suspending_takes_effect_at_once_but_not_on_a_job_that_has_ended() -> None:
    suspend: dict[str, Any] = {"suspend": True, "shutdownAfterJobFinishes": True}
    step = given.step(RUNNING, **suspend)
    assert step.state == given.after(RUNNING, phase=Phase.SUSPENDING, teardown_since=NOW)
    done = given.step(
        RUNNING,
        given.seen(submitter=given.submitter(ended_at=NOW), ray=given.ended("SUCCEEDED")),
        **suspend,
    )
    assert done.state.phase is Phase.COMPLETE


# Counters and retry


@pytest.mark.parametrize(
    ("limit", "before", "phase"),
    [(0, 0, Phase.FAILED), (1, 0, Phase.RETRYING), (2, 1, Phase.RETRYING), (2, 2, Phase.FAILED)],
)
def test_a_failed_attempt_is_followed_by_as_many_as_allowed(
    limit: int, before: int, phase: Phase
) -> None:
    around = given.seen(submitter=given.submitter(ended_at=NOW), ray=given.ended("FAILED"))
    step = given.step(given.after(RUNNING, failed=before), around, backoffLimit=limit)
    is_last = phase is Phase.FAILED
    assert (step.state.phase, step.state.failed) == (phase, before + 1)
    assert step.state.ended_at == (NOW if is_last else None)
    assert step.state.teardown_since == (None if is_last else NOW)
    assert step.state.reason == Reason.APP_FAILED


def test_deadline_and_silence_are_never_retried() -> None:
    silent = given.seen(ray=given.silence(300))
    for step in (
        given.step(RUNNING, backoffLimit=2, **OVER),
        given.step(RUNNING, silent, backoffLimit=2),
    ):
        assert (step.state.phase, step.state.failed) == (Phase.FAILED, 1)


def test_a_late_start_is_retried() -> None:
    around = observed.Observed(cluster=given.cluster(ready=False))
    step = given.step(INITIALIZING, around, backoffLimit=1, preRunningDeadlineSeconds=60)
    assert step.state.phase is Phase.RETRYING


# Suspending, retrying


GOING = [Phase.SUSPENDING, Phase.RETRYING]
AFTER = {Phase.SUSPENDING: Phase.SUSPENDED, Phase.RETRYING: Phase.NEW}


@pytest.mark.parametrize("phase", GOING)
def test_all_of_an_attempt_is_removed_before_it_is_forgotten(phase: Phase) -> None:
    before = given.state(phase, failed=1, teardown_since=NOW)
    step = given.step(before, given.seen(ray=ray_records.JobAnswer()))
    assert step.state == before
    assert given.made(step) == [("Delete", "RayCluster"), ("Delete", "Job")]
    pods = given.seen(cluster=None, submitter=None, pods=(given.head(),))
    step = given.step(before, pods)
    assert step == Step(state=before, wait=removal.PATIENCE)
    gone = observed.Observed(service=given.service())
    assert given.step(before, gone) == Step(
        state=State(phase=AFTER[phase], started_at=STARTED, failed=1)
    )


def test_what_goes_already_is_not_deleted_again() -> None:
    before = given.state(Phase.RETRYING, teardown_since=NOW)
    around = given.seen(
        cluster=given.cluster(metadata={"deletionTimestamp": "2026-01-01T12:00:00Z"}),
        submitter=given.submitter(deletion_at=NOW),
    )
    step = given.step(before, around)
    assert (step.state, step.todo) == (before, ())


def test_pods_that_do_not_go_are_left_behind_in_time_and_told_of() -> None:
    before = given.state(Phase.RETRYING, teardown_since=NOW - removal.PATIENCE)
    pods = (given.submitter_pod("job-1"), given.submitter_pod("job-2"))
    step = given.step(before, observed.Observed(submitter_pods=pods))
    assert step.state.phase is Phase.NEW
    (event,) = step.events
    assert (event.type, event.reason) == ("Warning", "PodsLeftBehind")
    assert event.message.endswith("job-1, job-2")


def test_patience_ends_too_where_another_operator_began_to_remove() -> None:
    before = given.state(Phase.RETRYING)
    stuck = observed.Observed(pods=(given.head(),))
    first = given.step(before, stuck).state
    assert first == given.after(before, teardown_since=NOW)
    later = given.step(first, stuck, now=NOW + removal.PATIENCE)
    assert later.state.phase is Phase.NEW


def pruned(state: State) -> State:
    """Return the state as it is read where KubeRay's CRDs are served."""
    kept = {key: each for key, each in states.manifest(state).items() if key != "teardownStartTime"}
    return states.read(kept)


@pytest.mark.parametrize("phase", GOING)
def test_patience_ends_too_where_the_status_cannot_hold_since_when(phase: Phase) -> None:
    """CRDs of KubeRay's stay when its operator is replaced."""
    asked_at, grace = NOW - timedelta(minutes=1), timedelta(minutes=2)
    sooner = given.head("uid-1", deletion_at=NOW - timedelta(minutes=9))
    later = given.submitter_pod(deletion_at=asked_at + grace, grace=grace)
    stuck = observed.Observed(pods=(sooner,), submitter_pods=(later,))
    before, due = given.state(phase), asked_at + removal.PATIENCE
    for now in (NOW, due - SECOND):
        step = given.step(before, stuck, now=now)
        assert (step.state.phase, step.wait) == (phase, due - now)
        before = pruned(step.state)
    step = given.step(before, stuck, now=due)
    assert (step.state.phase, len(step.events)) == (AFTER[phase], 1)


def test_a_pod_has_the_time_that_it_asks_for_though_the_removal_began_long_ago() -> None:
    before = given.state(Phase.RETRYING, teardown_since=NOW - timedelta(hours=1))
    grace = timedelta(minutes=10)
    going = given.head(deletion_at=NOW + grace, grace=grace)
    around = observed.Observed(pods=(going,))
    step = given.step(before, around)
    assert (step.state.phase, step.wait) == (Phase.RETRYING, grace + removal.SLACK)
    over = given.step(before, around, now=NOW + grace + removal.SLACK)
    assert (over.state.phase, len(over.events)) == (Phase.NEW, 1)
    shorter = given.head(deletion_at=NOW + SECOND, grace=SECOND)
    step = given.step(before, observed.Observed(pods=(shorter,)))
    assert step.wait == removal.PATIENCE


def test_pods_that_nobody_has_told_to_go_yet_are_not_left_behind() -> None:
    told = given.head("uid-1", deletion_at=NOW - timedelta(hours=1))
    around = observed.Observed(pods=(told, given.head("uid-2")))
    step = given.step(given.state(Phase.RETRYING), around)
    assert (step.state.phase, step.wait) == (Phase.RETRYING, removal.PATIENCE)


def test_somebody_elses_cluster_is_never_deleted() -> None:
    before = given.state(Phase.RETRYING, teardown_since=NOW)
    theirs = given.cluster(metadata={"ownerReferences": []})
    around = observed.Observed(cluster=theirs)
    assert given.made(given.step(before, around)) == []
    assert given.step(before, around).state.phase is Phase.NEW
    assert given.step(before, given.seen(submitter=None), **SELECTED).todo == ()


def test_a_suspension_that_has_begun_is_finished_first() -> None:
    before = given.state(Phase.SUSPENDING, teardown_since=NOW)
    assert given.step(before, observed.Observed()).state.phase is Phase.SUSPENDED


def test_a_suspended_job_rests_until_it_is_resumed() -> None:
    before = State(phase=Phase.SUSPENDED, started_at=STARTED, ended_at=NOW, failed=1)
    spec: dict[str, Any] = {"suspend": True, "shutdownAfterJobFinishes": True}
    assert given.step(before, observed.Observed(), **spec) == Step(state=before)
    assert given.step(before, observed.Observed()) == Step(
        state=State(started_at=STARTED, failed=1)
    )


def test_a_job_made_suspended_comes_to_rest_without_a_cluster() -> None:
    spec: dict[str, Any] = {"suspend": True, "shutdownAfterJobFinishes": True}
    phases, current = [], State()
    for _ in range(3):
        step = given.step(current, observed.Observed(), **spec)
        assert step.todo == ()
        current = step.state
        phases.append(current.phase)
    assert phases == [Phase.INITIALIZING, Phase.SUSPENDING, Phase.SUSPENDED]


def test_after_a_resume_the_job_that_was_followed_is_not_followed_again() -> None:
    before = given.state(Phase.SUSPENDING, job_id="mine", teardown_since=NOW)
    step = given.step(before, observed.Observed(), **INTERACTIVE)
    assert step.state.used_job_id == "mine"


# After the end


@pytest.mark.parametrize("status", ["STOPPED", "FAILED"])
def test_a_job_that_was_stopped_for_its_deadline_is_seen_to_end(status: str) -> None:
    before = given.failed(RUNNING, Reason.DEADLINE_EXCEEDED, EXCEEDED)
    step = given.step(before, given.seen(ray=given.answer(status, is_stopped=True)))
    assert step == Step(state=given.after(before, job_status=status))


def test_what_ray_says_later_changes_no_other_end() -> None:
    late = given.seen(ray=given.answer("SUCCEEDED"))
    for reason in (Reason.APP_FAILED, Reason.DEADLINE_EXCEEDED):
        before = given.failed(RUNNING, reason, "")
        assert given.step(before, late).state == before


def test_suspending_a_job_that_has_ended_does_nothing() -> None:
    before = given.state(Phase.COMPLETE, job_status="SUCCEEDED", ended_at=NOW)
    step = given.step(
        before, suspend=True, shutdownAfterJobFinishes=True, ttlSecondsAfterFinished=9
    )
    assert step.state == before


# Validity


def test_a_new_job_that_is_invalid_waits_for_a_valid_spec() -> None:
    case = given.case(State(), observed.Observed(), backoffLimit=-1)
    assert decide.refused(case) == Step(state=State(phase=Phase.INVALID))
    refused = State(phase=Phase.INVALID, reason=Reason.VALIDATION_FAILED, message="is -1")
    assert given.step(refused, observed.Observed()).state == State()


@pytest.mark.parametrize(
    ("fields", "phase"),
    [
        ({"dashboard_url": given.DASHBOARD}, Phase.RUNNING),
        ({"dashboard_url": ""}, Phase.INITIALIZING),
    ],
)
def test_an_attempt_that_another_operator_gave_up_goes_on(
    fields: dict[str, Any], phase: Phase
) -> None:
    before = given.state(Phase.INVALID, reason="ValidationFailed", message="bad", **fields)
    expected = given.after(before, phase=phase, reason="", message="")
    assert given.step(before).state == expected


def test_a_queue_has_let_go_of_what_was_invalid() -> None:
    before = State(phase=Phase.INVALID, reason=Reason.VALIDATION_FAILED, message="bad")
    job = given.rayjob(metadata={"labels": {names.KUEUE_QUEUE_LABEL: "q"}})
    assert given.step(before, observed.Observed(), job=job).state == before
    begun = given.after(before, cluster=given.CLUSTER)
    assert given.step(begun, observed.Observed(), job=job).state.phase is Phase.INITIALIZING


def planned(
    before: State, around: observed.Observed, *, last: dict[str, Any], **spec: Any
) -> actions.Plan:
    """Plan for a job whose spec is invalid, and was `last` valid."""
    status = states.manifest(before) | {
        plan.LAST_VALID_SPEC: plan.to_keep(given.rayjob(**last)),
        "conditions": [
            {"type": "SpecValid", "status": "False", "observedGeneration": 1, "message": "-"}
        ],
    }
    job = given.rayjob(status=status, **(last | spec))
    return plan.plan(job, around, builders.SETTINGS, NOW)


def test_an_invalid_edit_leaves_the_last_valid_spec_in_force() -> None:
    around = given.seen(submitter=given.submitter(ended_at=NOW), ray=given.ended("SUCCEEDED"))
    done = given.state(Phase.COMPLETE, job_status="SUCCEEDED", ended_at=NOW - timedelta(seconds=10))
    last = {"shutdownAfterJobFinishes": True, "ttlSecondsAfterFinished": 10}
    decided = planned(done, around, last=last, backoffLimit=-1, ttlSecondsAfterFinished=9999)
    assert [each.path for each in decided.invalid] == ["spec.backoffLimit"]
    (delete,) = decided.actions
    assert isinstance(delete, actions.Delete)
    assert delete.name == given.CLUSTER
    (event,) = decided.events
    assert (event.type, event.reason) == ("Warning", "InvalidRayJobSpec")


def test_of_an_invalid_spec_nothing_is_made() -> None:
    template = {"spec": {"containers": [{"name": "s", "command": ["/submitter"]}]}}
    last = {"submitterPodTemplate": template, "entrypoint": ""}
    bad = {"backoffLimit": -1}
    assert planned(INITIALIZING, observed.Observed(), last=last, **bad).actions == ()
    assert planned(RECORDED, ANSWERING, last=last, **bad).actions == ()
    assert (
        planned(UNSEEN, given.seen(submitter=None, ray=given.answer()), last=last, **bad).actions
        == ()
    )


# The state itself


def test_a_state_survives_being_written_and_read() -> None:
    whole = given.state(
        Phase.RETRYING,
        reason=Reason.APP_FAILED,
        message="m",
        ended_at=NOW,
        succeeded=1,
        failed=2,
        ray_started_at=NOW,
        ray_ended_at=NOW,
        unanswered_since=NOW,
        teardown_since=NOW,
        used_job_id="u",
    )
    assert all(getattr(whole, each.name) for each in dataclasses.fields(whole))
    assert states.read(states.manifest(whole)) == whole
    assert states.read({}) == State()
    assert states.read({"jobDeploymentStatus": "Unheard of"}) == State()


def test_moments_of_decisions_are_whole_seconds() -> None:
    around = given.seen(submitter=given.submitter(ended_at=NOW), ray=given.ended("SUCCEEDED"))
    step = given.step(RUNNING, around, now=NOW + timedelta(milliseconds=999))
    assert step.state.ended_at == NOW
    assert conditions.timestamp(NOW) == "2026-01-01T12:00:00Z"


def test_the_limits_are_the_administrators() -> None:
    patient = dataclasses.replace(
        builders.SETTINGS,
        rayjob_status_timeout=timedelta(seconds=900),
        rayjob_transition_grace=timedelta(seconds=1),
    )
    assert isinstance(patient, settings.Settings)
    silent = given.step(RUNNING, given.seen(ray=given.silence(899)), options=patient)
    assert silent.state.phase is Phase.RUNNING
    shown = given.step(RUNNING, given.seen(ray=given.ended("STOPPED")), options=patient)
    assert shown.state.phase is Phase.COMPLETE
