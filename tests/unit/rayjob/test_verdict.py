"""How a job that runs has ended, or that it goes on: whatever time it is, Ray's word counts."""

import dataclasses
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import ray_records, records
from ray_operator.rayjob.case import Step
from ray_operator.rayjob.state import Phase, Reason
from tests.unit import builders
from tests.unit.rayjob import given

NOW = given.NOW
SECOND = timedelta(seconds=1)
RUNNING, UNSEEN = given.RUNNING, given.UNSEEN
OVER, EXCEEDED = given.OVER, given.EXCEEDED
FT = given.cluster(gcsFaultToleranceOptions={"redisAddress": "redis:6379"})


# Ray's word


def test_what_ray_says_is_passed_on() -> None:
    ray = given.answer(
        info=given.info("PENDING", message="waiting", started_at=NOW + timedelta(milliseconds=5))
    )
    step = given.step(given.after(RUNNING, job_status=""), given.seen(ray=ray))
    assert step.state == given.after(
        RUNNING, job_status="PENDING", message="waiting", ray_started_at=NOW
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("SUCCEEDED", {"phase": Phase.COMPLETE, "succeeded": 1, "message": ""}),
        ("STOPPED", {"phase": Phase.COMPLETE, "succeeded": 0, "message": ""}),
        ("FAILED", {"phase": Phase.FAILED, "failed": 1, "reason": Reason.APP_FAILED}),
    ],
)
@pytest.mark.parametrize("mode", ["HTTPMode", "K8sJobMode", "SidecarMode"])
def test_an_attempt_ends_as_ray_says_once_the_output_is_shown(
    status: str, expected: dict[str, Any], mode: str
) -> None:
    shown = given.seen(
        submitter=given.submitter(ended_at=NOW, is_finished=True) if mode[0] == "K" else None,
        pods=(given.beside(given.ended_container()),),
        ray=given.ended(status),
    )
    step = given.step(RUNNING, shown, submissionMode=mode)
    assert step.state == given.after(
        RUNNING, job_status=status, ray_ended_at=NOW - SECOND, ended_at=NOW, **expected
    )
    assert step.todo == ()


@pytest.mark.parametrize(
    ("status", "reason"), [("SUCCEEDED", ""), ("FAILED", Reason.GRACE_EXCEEDED)]
)
def test_a_submitter_that_never_ends_is_waited_for_so_long(status: str, reason: str) -> None:
    around = given.seen(ray=given.ended(status, at=NOW))
    heard = given.after(RUNNING, job_status=status, ray_ended_at=NOW)
    step = given.step(RUNNING, around)
    assert step == Step(state=heard, wait=timedelta(seconds=300))
    late = given.step(heard, around, now=NOW + timedelta(seconds=300)).state
    assert late.phase is (Phase.FAILED if reason else Phase.COMPLETE)
    assert late.reason == reason
    assert late.message == "The submitter did not end in time after the job"


# Deadlines


def test_a_deadline_ends_a_job_of_which_ray_says_after_it_that_it_runs() -> None:
    assert given.step(RUNNING, **OVER).state == given.failed(
        RUNNING, Reason.DEADLINE_EXCEEDED, EXCEEDED
    )


@pytest.mark.parametrize(
    "ray",
    [
        ray_records.JobAnswer(),
        given.answer("RUNNING", answered_at=NOW - timedelta(milliseconds=1)),
        given.silence(299),
    ],
    ids=["none", "older", "silence"],
)
def test_no_deadline_ends_a_job_of_which_nobody_asked_since(ray: ray_records.JobAnswer) -> None:
    step = given.step(RUNNING, given.seen(ray=ray), now=NOW + timedelta(milliseconds=1), **OVER)
    assert step.state.phase is Phase.RUNNING
    assert step.wait == SECOND


def test_a_job_that_ended_in_time_wins_however_late_it_is_told() -> None:
    around = given.seen(
        submitter=given.submitter(ended_at=NOW), ray=given.ended("SUCCEEDED", at=NOW)
    )
    late = given.step(RUNNING, around, now=NOW + timedelta(hours=1), **OVER)
    assert late.state.phase is Phase.COMPLETE


def test_a_job_that_ended_too_late_has_failed() -> None:
    around = given.seen(
        submitter=given.submitter(ended_at=NOW), ray=given.ended("SUCCEEDED", at=NOW + SECOND)
    )
    late = given.step(RUNNING, around, now=NOW + timedelta(hours=1), **OVER)
    assert late.state.reason == Reason.DEADLINE_EXCEEDED


def test_a_heads_clock_that_is_ahead_makes_no_job_late() -> None:
    ahead = given.ended("SUCCEEDED", at=NOW + timedelta(hours=1))
    around = given.seen(submitter=given.submitter(ended_at=NOW), ray=ahead)
    step = given.step(RUNNING, around, now=NOW, **OVER)
    assert step.state.phase is Phase.COMPLETE
    # Nor does it when the submitter takes until after the deadline to print all.
    waiting = given.step(RUNNING, given.seen(ray=ahead), now=NOW - SECOND, **OVER)
    assert waiting.state.ray_ended_at == NOW - SECOND
    step = given.step(waiting.state, around, now=NOW + timedelta(minutes=1), **OVER)
    assert step.state.phase is Phase.COMPLETE


def test_a_lost_head_ends_a_job_after_its_deadline_too() -> None:
    step = given.step(RUNNING, given.seen(pods=(), ray=given.silence()), **OVER)
    assert step.state.reason == Reason.APP_FAILED


def test_a_deadline_ahead_is_looked_at_in_time() -> None:
    step = given.step(RUNNING, activeDeadlineSeconds=100)
    assert step.wait == timedelta(seconds=40)


# Silence


def test_silence_is_told_and_bounded_by_the_time_spent_asking() -> None:
    around = given.seen(ray=given.silence(2.5))
    step = given.step(RUNNING, around)
    since = given.after(RUNNING, unanswered_since=NOW - timedelta(seconds=3))
    assert step.state.unanswered_since is not None
    assert step.state == given.after(since, unanswered_since=NOW - timedelta(seconds=3))
    assert step.wait == timedelta(seconds=297.5)


def test_time_in_which_nobody_asked_ends_nothing() -> None:
    before = given.after(RUNNING, unanswered_since=NOW - timedelta(hours=5))
    step = given.step(before, given.seen(ray=given.silence(10)))
    assert step.state == before


def test_a_head_that_was_asked_in_vain_for_too_long_ends_the_attempt() -> None:
    before = given.after(RUNNING, unanswered_since=NOW - timedelta(seconds=300))
    step = given.step(before, given.seen(ray=given.silence(300)), backoffLimit=3)
    text = "Ray has not answered since 2026-01-01T11:55:00Z, longer than 300 s: no answer"
    assert step.state == given.failed(before, Reason.CHECK_TIMED_OUT, text)


def test_an_answer_ends_the_silence_even_if_ray_does_not_know_the_job() -> None:
    before = given.after(RUNNING, job_status="", unanswered_since=NOW - SECOND)
    step = given.step(before, given.seen(ray=given.answer()))
    assert step.state == given.after(before, unanswered_since=None)


# The submitter's end


FAILURE = given.submitter(is_finished=True, ended_at=NOW, failure="BackoffLimitExceeded: too often")
FRESH = given.answer(answered_at=NOW + SECOND)


def words(**fields: Any) -> records.Pod:
    """Build a submitter Pod that has ended with these last words."""
    message = msgspec.json.encode(fields).decode()
    return given.submitter_pod(
        phase="Succeeded", containers=(given.ended_container(message=message),)
    )


def test_a_submitter_that_gave_up_before_ray_knew_the_job_has_failed() -> None:
    pod = given.submitter_pod(
        containers=(given.ended_container(message='{"error": "401"}', exit_code=1),)
    )
    around = given.seen(submitter=FAILURE, submitter_pods=(pod,), ray=FRESH)
    text = "BackoffLimitExceeded: too often: 401"
    assert given.step(UNSEEN, around).state == given.failed(UNSEEN, Reason.SUBMISSION_FAILED, text)


def test_what_ray_said_before_the_submitter_ended_proves_nothing() -> None:
    for job in (FAILURE, given.submitter(is_finished=True, ended_at=NOW)):
        around = given.seen(submitter=job, ray=given.answer(answered_at=NOW))
        assert given.step(UNSEEN, around) == Step(state=UNSEEN, wait=SECOND)


def test_a_job_that_runs_needs_no_submitter() -> None:
    for job in (FAILURE, given.submitter(is_finished=True, ended_at=NOW), None):
        around = given.seen(
            submitter=job, ray=given.answer("RUNNING", answered_at=FRESH.answered_at)
        )
        assert given.step(RUNNING, around, now=NOW + timedelta(hours=1)).state == RUNNING


def test_a_submitter_that_is_content_though_ray_knows_nothing_has_failed() -> None:
    around = given.seen(submitter=given.submitter(ended_at=NOW), ray=FRESH)
    text = f"The submitter has completed, but Ray doesn't know the job {given.JOB_ID}"
    assert given.step(UNSEEN, around).state == given.failed(UNSEEN, Reason.APP_FAILED, text)


def test_a_submitter_that_somebody_removed_is_made_anew_if_ray_knows_nothing() -> None:
    assert given.made(given.step(UNSEEN, given.seen(submitter=None, ray=given.answer()))) == [
        ("Create", "Job")
    ]
    for around in (
        given.seen(submitter=None, ray=ray_records.JobAnswer()),
        given.seen(submitter=None, ray=given.silence(info=None)),
        given.seen(submitter=None),
        given.seen(submitter=None, submitter_pods=(given.submitter_pod(),), ray=given.answer()),
    ):
        assert given.made(given.step(UNSEEN, around)) == []


def test_last_words_are_rays_where_the_head_is_gone() -> None:
    pod = words(submission_id=given.JOB_ID, status="SUCCEEDED", end_time=(NOW.timestamp() * 1000))
    around = given.seen(
        cluster=None,
        pods=(),
        submitter=given.submitter(ended_at=NOW),
        submitter_pods=(pod,),
        ray=given.silence(400),
    )
    step = given.step(RUNNING, around, now=NOW + timedelta(hours=1), **OVER)
    assert (step.state.phase, step.state.job_status) == (Phase.COMPLETE, "SUCCEEDED")
    assert step.state.ray_ended_at == NOW


@pytest.mark.parametrize(
    "pod",
    [
        words(submission_id="another", status="SUCCEEDED"),
        words(submission_id=given.JOB_ID, status="RUNNING"),
        words(error="gave up"),
        given.submitter_pod(containers=(given.ended_container(message="\u0000not json"),)),
        msgspec.structs.replace(
            words(submission_id=given.JOB_ID, status="SUCCEEDED"),
            owner=records.Owner("RayJob", "job", "uid-earlier-job"),
        ),
    ],
    ids=["another job's", "no end", "an error", "noise", "an earlier attempt's"],
)
def test_other_words_prove_nothing(pod: records.Pod) -> None:
    around = given.seen(
        pods=(), submitter=given.submitter(ended_at=NOW), submitter_pods=(pod,), ray=given.silence()
    )
    step = given.step(RUNNING, around)
    assert (step.state.phase, step.state.reason) == (Phase.FAILED, Reason.APP_FAILED)


def test_a_lingering_pod_of_an_earlier_attempt_says_nothing_of_this_one() -> None:
    pod = given.submitter_pod(job_uid="uid-earlier", containers=(given.ended_container(),))
    around = given.seen(submitter_pods=(pod,), ray=FRESH)
    assert given.step(UNSEEN, around).state == UNSEEN


@pytest.mark.parametrize(
    ("container", "reason", "text"),
    [
        (
            given.ended_container(exit_code=1, message="no token"),
            Reason.SUBMISSION_FAILED,
            "ray-job-submitter ended with exit code 1, Error: no token",
        ),
        (
            given.ended_container(),
            Reason.APP_FAILED,
            f"The submitter has completed, but Ray doesn't know the job {given.JOB_ID}",
        ),
    ],
)
def test_a_submitter_beside_the_head_that_failed(
    container: records.Container, reason: Reason, text: str
) -> None:
    around = given.seen(submitter=None, pods=(given.beside(container),), ray=FRESH)
    step = given.step(UNSEEN, around, submissionMode="SidecarMode")
    assert step.state == given.failed(UNSEEN, reason, text)
    stale = dataclasses.replace(around, ray=given.answer())
    step = given.step(UNSEEN, stale, submissionMode="SidecarMode")
    assert step == Step(state=UNSEEN, wait=SECOND)


def test_the_references_rule_is_there_for_who_wants_it() -> None:
    trusting = dataclasses.replace(builders.SETTINGS, rayjob_trusts_submitter=True)
    around = given.seen(submitter=given.submitter(ended_at=NOW))
    early = given.step(RUNNING, around, options=trusting)
    assert early == Step(state=RUNNING, wait=timedelta(seconds=30))
    late = given.step(RUNNING, around, now=NOW + timedelta(seconds=30), options=trusting)
    assert (late.state.job_status, late.state.reason) == ("FAILED", Reason.GRACE_EXCEEDED)
    assert "submitter finished at 2026-01-01T12:00:00Z" in late.state.message
    assert "did not reach terminal state within" in late.state.message
    done = dataclasses.replace(around, ray=given.ended("SUCCEEDED"))
    late = given.step(RUNNING, done, now=NOW + timedelta(seconds=30), options=trusting)
    assert late.state.phase is Phase.COMPLETE


# Losses


CRASHED = records.Container(
    "ray-head", restarts=1, state="running", ended=records.Ended("OOMKilled", "", 137, NOW)
)


@pytest.mark.parametrize(
    ("around", "text"),
    [
        (
            {"cluster": None, "pods": ()},
            f"RayCluster {given.CLUSTER} was deleted while the job ran on it",
        ),
        (
            {"cluster": given.cluster(metadata={"deletionTimestamp": "2026-01-01T12:00:00Z"})},
            f"RayCluster {given.CLUSTER} was deleted while the job ran on it",
        ),
        (
            {"pods": (given.head("uid-another"),), "ray": given.answer(session="session_2")},
            "the head Pod in which the job was is gone",
        ),
        (
            {"pods": (given.head(phase="Failed", reason="Evicted", message="no disk"),)},
            f"the head Pod {given.CLUSTER}-head has ended: Evicted no disk",
        ),
        (
            {"pods": (given.head(containers=(CRASHED,)),), "ray": given.answer(session="s2")},
            f"Ray in the head Pod {given.CLUSTER}-head was started anew (OOMKilled, exit code 137)",
        ),
    ],
    ids=["deleted", "going", "another Pod", "ended", "started anew"],
)
def test_a_job_is_lost_with_its_head(around: dict[str, Any], text: str) -> None:
    world = given.seen(**({"ray": given.silence()} | around))
    before = given.after(RUNNING, unanswered_since=NOW)
    expected = None if not world.ray.error else NOW
    assert given.step(before, world).state == given.failed(
        before, Reason.APP_FAILED, text, unanswered_since=expected
    )


def test_another_life_of_ray_is_not_listened_to() -> None:
    around = given.seen(ray=given.ended("SUCCEEDED", session="session_2"))
    assert given.step(RUNNING, around).state.reason == Reason.APP_FAILED


def test_a_head_that_does_not_answer_is_not_lost() -> None:
    around = given.seen(ray=given.silence(session="session_2"))
    assert given.step(RUNNING, around).state.phase is Phase.RUNNING


def test_with_fault_tolerance_a_new_head_goes_on_with_the_job() -> None:
    other = (given.head("uid-head-2"),)
    for ray in (
        given.answer("RUNNING", pod_uid="uid-head-2"),
        given.answer("RUNNING", pod_uid="uid-head-2", session="session_2"),
        ray_records.JobAnswer(),
        given.silence(),
    ):
        around = given.seen(cluster=FT, pods=other, ray=ray)
        assert given.step(RUNNING, around).state.phase is Phase.RUNNING


def test_with_fault_tolerance_a_new_head_that_knows_nothing_has_lost_the_job() -> None:
    for ray in (given.answer(session="session_2"), given.answer()):
        around = given.seen(cluster=FT, pods=(given.head("uid-head-2"),), ray=ray)
        assert given.step(RUNNING, around).state.reason == Reason.APP_FAILED


def test_a_job_that_was_deleted_from_rays_table_is_not_run_again() -> None:
    step = given.step(RUNNING, given.seen(ray=given.answer()), submissionMode="HTTPMode")
    text = f"Ray no longer knows the job {given.JOB_ID}"
    assert step.state == given.failed(RUNNING, Reason.APP_FAILED, text)


def test_a_job_that_ray_refuses_has_failed() -> None:
    around = given.seen(submitter=None, ray=given.answer(refusal="no such package"))
    step = given.step(UNSEEN, around, submissionMode="HTTPMode")
    assert step.state == given.failed(UNSEEN, Reason.SUBMISSION_FAILED, "no such package")


def test_a_sidecars_job_goes_with_the_head_pod() -> None:
    around = given.seen(submitter=None, pods=(), ray=given.silence())
    before = given.after(RUNNING, head=None, unanswered_since=NOW)
    step = given.step(before, around, submissionMode="SidecarMode")
    text = "the head Pod, in which the job was, is not found"
    assert step.state == given.failed(before, Reason.APP_FAILED, text)
