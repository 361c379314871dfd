"""Every RayJob comes to its end, whatever is lost on the way, and no driver starts twice."""

import dataclasses
from datetime import timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from ray_operator.rayjob import plan
from ray_operator.rayjob.state import Phase, Reason, State
from tests.unit import builders
from tests.unit.rayjob import given
from tests.unit.rayjob.world import World, settle

MODES = ["K8sJobMode", "HTTPMode", "SidecarMode"]
FT = {**given.CLUSTER_SPEC, "gcsFaultToleranceOptions": {"redisAddress": "redis:6379"}}
SUSPEND: dict[str, Any] = {"suspend": True, "shutdownAfterJobFinishes": True}


def counts(end: World) -> tuple[Phase, str, int, int]:
    state = end.state
    return state.phase, state.job_status, state.succeeded, state.failed


def drivers(end: World) -> list[int]:
    return list(end.starts.values())


def go_on(made: World, seconds: int) -> None:
    """Let all go its way for some time."""
    for _ in range(seconds):
        while made.is_awake():
            made.passes()
        made.elapse()


@pytest.mark.parametrize("mode", MODES)
def test_a_job_runs_once_and_then_nothing_is_written_any_more(mode: str) -> None:
    end = settle(World(submissionMode=mode))
    assert counts(end) == (Phase.COMPLETE, "SUCCEEDED", 1, 0)
    assert drivers(end) == [1]
    assert list(dict.fromkeys(end.phases)) == ["Initializing", "Running", "Complete"]
    writes, before = end.writes, end.status
    end.restart()
    for _ in range(3):
        end.passes()
    assert (end.writes, end.status) == (writes, before)
    decided = plan.plan(end.job(), end.seen(), builders.SETTINGS, end.now)
    assert (decided.actions, decided.events, decided.requeue_after) == ((), (), None)


@pytest.mark.parametrize("mode", MODES)
def test_each_failed_attempt_is_followed_by_one_on_another_cluster(mode: str) -> None:
    end = settle(World(submissionMode=mode, backoffLimit=2, ends=("FAILED",)))
    assert counts(end) == (Phase.FAILED, "FAILED", 0, 3)
    assert drivers(end) == [1, 1, 1]
    assert len({name for name, _ in end.starts}) == 3
    assert end.told.count("RayJobRetrying") == 2
    assert end.told.count("RayJobFailed") == 1
    assert list(end.clusters) == [end.state.cluster]


def test_an_attempt_after_a_failed_one_may_succeed() -> None:
    end = settle(World(backoffLimit=2, ends=("FAILED", "SUCCEEDED")))
    assert counts(end) == (Phase.COMPLETE, "SUCCEEDED", 1, 1)


@pytest.mark.parametrize("mode", MODES)
def test_after_a_suspension_nothing_is_left_and_a_resume_begins_anew(mode: str) -> None:
    made = World(submissionMode=mode, shutdownAfterJobFinishes=True, ttlSecondsAfterFinished=9999)
    go_on(made, 15)
    assert made.state.phase == Phase.RUNNING
    made.edit(suspend=True)
    settle(made)
    assert (made.clusters, made.submitter, made.state.phase) == ({}, None, Phase.SUSPENDED)
    made.edit(suspend=False)
    go_on(made, 60)
    assert counts(made) == (Phase.COMPLETE, "SUCCEEDED", 1, 0)
    assert drivers(made) == [1, 1]


@pytest.mark.parametrize("mode", MODES)
def test_a_suspension_leaves_nothing_at_whatever_time_it_comes(mode: str) -> None:
    for after in range(0, 25, 3):
        made = World(submissionMode=mode, shutdownAfterJobFinishes=True)
        go_on(made, after)
        made.edit(suspend=True)
        assert settle(made).state.phase is Phase.SUSPENDED
        assert (made.clusters, made.submitter) == ({}, None)


def test_the_cluster_goes_when_it_is_due() -> None:
    end = settle(World(shutdownAfterJobFinishes=True, ttlSecondsAfterFinished=30))
    assert end.state.phase is Phase.COMPLETE
    assert end.clusters == {}
    assert end.submitter is not None
    assert "rayClusterStatus" not in end.status


def test_a_job_that_is_too_slow_is_stopped_where_its_cluster_stays() -> None:
    end = settle(World(activeDeadlineSeconds=20))
    assert counts(end) == (Phase.FAILED, "STOPPED", 0, 1)
    assert end.state.reason == Reason.DEADLINE_EXCEEDED
    assert end.record() is not None


def test_a_removed_submitter_is_made_anew_or_not_needed() -> None:
    for after in range(5, 25, 3):
        made = World()
        go_on(made, after)
        made.remove_submitter()
        assert counts(settle(made)) == (Phase.COMPLETE, "SUCCEEDED", 1, 0)
        assert drivers(made) == [1]


def test_a_submitter_that_fails_is_not_the_job() -> None:
    """Ray is asked but seldom, and the submitter has no second try."""
    config = {"backoffLimit": 0}
    made = settle(World(fault="after", polls_every=9, submitterConfig=config))
    assert counts(made) == (Phase.COMPLETE, "SUCCEEDED", 1, 0)
    assert drivers(made) == [1]
    made = World(fault="before", polls_every=9, submitterConfig=config)
    settle(made, within=timedelta(minutes=1))
    assert (made.state.phase, made.state.reason) == (Phase.FAILED, Reason.SUBMISSION_FAILED)
    assert made.state.message == "BackoffLimitExceeded: too often: an error of its own"
    assert drivers(made) == []


def test_what_the_submitter_heard_counts_where_nobody_can_be_asked() -> None:
    made = World(backoffLimit=1)
    go_on(made, 15)
    made.silent_until = made.now + timedelta(hours=2)
    go_on(made, 20)
    made.lose_head()
    assert counts(settle(made)) == (Phase.COMPLETE, "SUCCEEDED", 1, 0)
    assert drivers(made) == [1]


def test_a_shared_cluster_is_used_and_left() -> None:
    for mode in ("K8sJobMode", "HTTPMode"):
        rules = [{"policy": "DeleteSelf", "condition": {"jobStatus": "SUCCEEDED"}}]
        strategy = {"deletionRules": rules}
        made = World(shared=True, submissionMode=mode, deletionStrategy=strategy)
        end = settle(made)
        assert counts(end) == (Phase.COMPLETE, "SUCCEEDED", 1, 0)
        assert end.is_deleted
        assert end.finalizers == []
        assert list(end.clusters) == ["shared"]
        assert end.service is None


def test_the_fake_submitter_obeys() -> None:
    """A submitter that is told of one life of Ray submits to no other."""
    made = World()
    while made.submitter is None:
        while made.is_awake():
            made.passes()
        made.elapse()
    made.lose_head()
    made.elapse(30, polls=False)
    assert made.starts == {}
    assert made.submitter is not None
    assert made.submitter.record.failure


# Chance

CRASHES = st.one_of(
    st.tuples(st.just("crash"), st.integers(0, 2)),
    st.tuples(st.just("unwritten"), st.just(0)),
    st.tuples(st.just("down"), st.integers(1, 400)),
    st.tuples(st.just("wait"), st.integers(1, 15)),
    st.tuples(st.just("wait"), st.integers(1, 15)),
)
LOSSES = st.one_of(
    st.tuples(st.just("lose_head"), st.just(0)),
    st.tuples(st.just("restart_ray"), st.just(0)),
    st.tuples(st.just("kill_submitter"), st.just(0)),
    st.tuples(st.just("remove_submitter"), st.just(0)),
    st.tuples(st.just("silence"), st.integers(1, 400)),
    st.tuples(st.just("silence"), st.integers(1, 60)),
)
Happening = tuple[str, int]


def happen(made: World, what: Happening) -> None:
    """Let it happen, with a pass or two meanwhile."""
    kind, number = what
    match kind:
        case "crash":
            made.passes(most=number)
        case "unwritten":
            made.passes(writes=False)
        case "down":
            made.elapse(number, polls=False)
            made.restart()
        case "silence":
            made.silent_until = made.now + number * timedelta(seconds=1)
        case "wait":
            for _ in range(number):
                for _ in range(4):
                    if made.is_awake():
                        made.passes()
                made.elapse()
        case _:
            getattr(made, kind)()


@hypothesis.given(
    mode=st.sampled_from(MODES),
    end=st.sampled_from(["SUCCEEDED", "FAILED", "STOPPED"]),
    what=st.lists(CRASHES, max_size=25),
)
@hypothesis.settings(max_examples=60)
def test_where_only_the_operator_fails_each_driver_runs_exactly_once_and_its_end_counts(
    mode: str, end: str, what: list[Happening]
) -> None:
    made = World(submissionMode=mode, ends=(end,), activeDeadlineSeconds=10**6)
    for each in what:
        happen(made, each)
    settle(made)
    expected = {
        "SUCCEEDED": (Phase.COMPLETE, "SUCCEEDED", 1, 0),
        "FAILED": (Phase.FAILED, "FAILED", 0, 1),
        "STOPPED": (Phase.COMPLETE, "STOPPED", 0, 0),
    }
    assert counts(made) == expected[end]
    assert drivers(made) == [1]


@hypothesis.given(
    mode=st.sampled_from(MODES),
    deadline=st.sampled_from([40, 60, 100]),
    what=st.lists(CRASHES, max_size=25),
)
@hypothesis.settings(max_examples=60)
def test_with_a_deadline_the_time_at_which_ray_saw_the_end_decides(
    mode: str, deadline: int, what: list[Happening]
) -> None:
    made = World(submissionMode=mode, activeDeadlineSeconds=deadline)
    for each in what:
        happen(made, each)
    settle(made)
    record, started = made.record(), made.state.started_at
    assert started is not None
    ended = record.ended_at if record else None
    is_in_time = ended is not None and (ended - started).total_seconds() <= deadline
    was_stopped = record is not None and record.status == "STOPPED"
    expected = Phase.COMPLETE if is_in_time and not was_stopped else Phase.FAILED
    assert made.state.phase is expected
    assert all(each == 1 for each in drivers(made))


@hypothesis.given(
    mode=st.sampled_from(MODES),
    limit=st.integers(0, 2),
    ends=st.lists(st.sampled_from(["SUCCEEDED", "FAILED"]), min_size=1, max_size=3),
    keeps=st.booleans(),
    every=st.sampled_from([1, 3]),
    what=st.lists(st.one_of(CRASHES, LOSSES), max_size=25),
)
@hypothesis.settings(max_examples=100)
def test_whatever_is_lost_no_driver_runs_twice_and_no_success_is_called_a_failure(
    *, mode: str, limit: int, ends: list[str], keeps: bool, every: int, what: list[Happening]
) -> None:
    spec: dict[str, Any] = {"rayClusterSpec": FT} if keeps else {}
    made = World(
        submissionMode=mode, backoffLimit=limit, ends=tuple(ends), polls_every=every, **spec
    )
    for each in what:
        happen(made, each)
    settle(made)
    assert all(each == 1 for each in drivers(made))
    assert made.state.failed <= limit + 1
    assert made.state.phase in {Phase.COMPLETE, Phase.FAILED}


@hypothesis.given(
    mode=st.sampled_from(MODES),
    what=st.lists(st.one_of(CRASHES, LOSSES), max_size=15),
    later=st.lists(st.one_of(CRASHES, LOSSES), max_size=8),
)
@hypothesis.settings(max_examples=60)
def test_whatever_is_lost_a_suspension_leaves_nothing(
    mode: str, what: list[Happening], later: list[Happening]
) -> None:
    made = World(
        submissionMode=mode,
        backoffLimit=1,
        ends=("FAILED",),
        shutdownAfterJobFinishes=True,
        ttlSecondsAfterFinished=10,
    )
    for each in what:
        happen(made, each)
    made.edit(suspend=True)
    for each in later:
        happen(made, each)
    settle(made)
    assert made.clusters == {}
    assert made.state.phase in {Phase.SUSPENDED, Phase.FAILED}
    if made.state.phase is Phase.SUSPENDED:
        assert made.submitter is None
        left = dataclasses.replace(made.state, started_at=None, failed=0)
        assert left == State(phase=Phase.SUSPENDED)
    assert all(each == 1 for each in drivers(made))
