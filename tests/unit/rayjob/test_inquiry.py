"""What is asked of a head: all that can change a decision, and nothing before it is written."""

import dataclasses
from typing import Any

import pytest

from ray_operator import names, ray_records
from ray_operator.rayjob import inquiry, observed, plan, submission
from ray_operator.rayjob import state as states
from ray_operator.rayjob.state import Phase, Reason, State
from tests.unit import builders
from tests.unit.rayjob import given

HEAD = ray_records.RayHead(
    pod_uid="uid-head",
    restarts=0,
    is_up=True,
    host=f"{given.CLUSTER}-head-svc.ns1.svc.cluster.local",
    gcs_port=0,
    dashboard_port=8265,
    service=f"{given.CLUSTER}-head-svc",
)
ASKED = ray_records.JobInquiry(head=HEAD, job_id=given.JOB_ID, session=given.SESSION)
UNSEEN = given.state(job_status="")
LATE = given.state(Phase.FAILED, reason=Reason.DEADLINE_EXCEEDED, ended_at=given.NOW)
GOING = {"deletionTimestamp": "2026-01-01T12:00:00Z"}


def asked(
    before: State,
    around: observed.Observed | None = None,
    *,
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> ray_records.JobInquiry | None:
    job = given.rayjob(metadata=metadata, status=states.manifest(before), **spec)
    around = given.seen() if around is None else around
    decided = plan.plan(job, around, builders.SETTINGS, given.NOW)
    return inquiry.inquiry(job, around, decided, options=builders.SETTINGS)


def changed(found: ray_records.JobInquiry, **fields: Any) -> ray_records.JobInquiry:
    kept = {field: getattr(found, field) for field in found.__struct_fields__}
    return ray_records.JobInquiry(**{**kept, **fields})


@pytest.mark.parametrize(
    "phase",
    [
        Phase.NEW,
        Phase.WAITING,
        Phase.COMPLETE,
        Phase.FAILED,
        Phase.SUSPENDING,
        Phase.SUSPENDED,
        Phase.RETRYING,
        Phase.INVALID,
    ],
)
def test_where_no_answer_matters_nobody_is_asked(phase: Phase) -> None:
    assert asked(given.state(phase, reason=Reason.APP_FAILED)) is None


def test_a_job_that_runs_is_asked_after() -> None:
    assert asked(given.state()) == ASKED
    assert asked(given.state(), managedBy=names.MANAGED_BY_KUEUE) is None


def test_a_head_is_asked_who_it_is_once_the_cluster_is_ready() -> None:
    unknown = changed(ASKED, session="")
    assert asked(given.begun()) == unknown
    assert asked(given.begun(), given.seen(cluster=given.cluster(ready=False))) is None
    assert asked(given.begun(), given.seen(cluster=None)) is None


def test_only_a_job_that_ray_has_not_shown_is_submitted_and_only_to_the_written_head() -> None:
    payload = submission.payload(given.rayjob().spec, given.JOB_ID)
    mode: dict[str, Any] = {"submissionMode": "HTTPMode"}
    assert asked(UNSEEN, **mode) == changed(ASKED, submission=payload)
    assert asked(given.state(), **mode) == ASKED
    assert asked(given.state(job_status="", head=None), **mode) == changed(ASKED, session="")
    assert asked(given.begun(), **mode) == changed(ASKED, session="")
    for other in ("K8sJobMode", "SidecarMode", "InteractiveMode"):
        assert asked(UNSEEN, submissionMode=other) == ASKED


def test_the_end_of_what_submits_makes_it_urgent() -> None:
    ended = given.submitter(ended_at=given.NOW, is_finished=True)
    around = given.seen(submitter=ended)
    assert asked(given.state(), around) == changed(ASKED, is_urgent=True)
    assert asked(given.state(job_status="SUCCEEDED"), around) == ASKED


def test_a_head_that_is_not_there_is_asked_all_the_same() -> None:
    """It doesn't answer, which is to be noticed."""
    gone = asked(given.state(), given.seen(cluster=None, pods=()))
    assert gone is not None
    assert (gone.head.pod_uid, gone.head.is_up, gone.head.host) == ("", False, HEAD.host)
    starting = given.head(phase="Pending", containers=())
    down = asked(given.state(), given.seen(pods=(starting,)))
    assert down is not None
    assert not down.head.is_up


def test_the_living_head_is_asked_beside_one_that_ends() -> None:
    ending = given.head("uid-old", deletion_at=given.NOW)
    found = asked(given.state(), given.seen(pods=(ending, given.head())))
    assert found == ASKED


def test_the_head_tells_how_to_be_let_in() -> None:
    token = asked(given.state(), given.seen(cluster=given.cluster(authOptions={"mode": "token"})))
    assert token is not None
    assert (token.head.token_secret, token.head.wants_own_token) == (given.CLUSTER, False)
    auth = {"mode": "token", "enableK8sTokenAuth": True}
    own = asked(given.state(), given.seen(cluster=given.cluster(authOptions=auth)))
    assert own is not None
    assert (own.head.token_secret, own.head.wants_own_token) == ("", True)


def test_a_late_job_is_stopped_where_its_cluster_stays() -> None:
    stop = changed(ASKED, stops=True)
    assert asked(LATE) == stop
    assert asked(LATE, shutdownAfterJobFinishes=True) is None
    assert asked(LATE, shutdownAfterJobFinishes=True, ttlSecondsAfterFinished=5) == stop
    for status in ("STOPPED", "FAILED"):
        told = given.seen(ray=given.answer(status, is_stopped=True))
        assert asked(LATE, told) == stop  # until that is written
        assert asked(dataclasses.replace(LATE, job_status=status), told) is None
    for ray in (given.answer("SUCCEEDED", is_stopped=True), given.answer(is_stopped=True)):
        assert asked(LATE, given.seen(ray=ray)) is None


def test_a_job_is_stopped_when_its_rayjob_goes() -> None:
    stop = changed(ASKED, stops=True)
    assert asked(given.state(), metadata=GOING) == stop
    for ended in ("SUCCEEDED", "FAILED", "STOPPED"):
        assert asked(given.state(job_status=ended), metadata=GOING) is None
    for before in (given.state(job_id=""), given.state(dashboard_url="")):
        assert asked(before, metadata=GOING) is None
    assert asked(given.state(), metadata={**GOING, "finalizers": ["another's"]}) is None
