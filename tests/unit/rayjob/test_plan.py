"""Whose a RayJob is, its finalizer, and how it is let go."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from ray_operator import actions, names, ray_records, records
from ray_operator.rayjob import children, observed, plan, status
from ray_operator.rayjob import state as states
from ray_operator.rayjob.state import Phase, State
from tests.unit import builders
from tests.unit.rayjob import given

GOING: dict[str, Any] = {"deletionTimestamp": "2026-01-01T12:00:00Z"}


def patched(*finalizers: str, reasons: actions.Reasons) -> actions.Patch:
    return actions.Patch(
        resource=records.RAYJOBS,
        namespace="ns1",
        name="job",
        uid=given.UID,
        change={"metadata": {"finalizers": list(finalizers), "resourceVersion": "7"}},
        reasons=reasons,
    )


def planned(
    before: State,
    around: observed.Observed | None = None,
    *,
    now: datetime = given.NOW,
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> actions.Plan:
    job = given.rayjob(metadata=metadata, status=states.manifest(before), **spec)
    around = given.seen() if around is None else around
    return plan.plan(job, around, builders.SETTINGS, now)


def written(**fields: Any) -> Any:
    """Return the next status of a job of which nothing is known yet."""
    job = given.rayjob(**fields)
    invalid = plan.plan(job, observed.Observed(), builders.SETTINGS, given.NOW).invalid
    outcome = actions.Outcome(invalid=invalid)
    return status.next_status(
        job, observed.Observed(), outcome, given.NOW, options=builders.SETTINGS
    )


def test_the_finalizer_comes_before_all_else() -> None:
    new = planned(State(), observed.Observed(), metadata={"finalizers": ["another's"]})
    add = patched("another's", plan.FINALIZER, reasons=children.FINALIZER)
    assert new == actions.Plan(actions=(add,), requeue_after=timedelta())
    assert written(metadata={"finalizers": []}) is None


def test_what_is_anothers_is_left_alone() -> None:
    unheld: dict[str, Any] = {"finalizers": []}
    for metadata in (unheld, GOING):
        foreign = planned(State(), metadata=metadata, managedBy=names.MANAGED_BY_KUEUE)
        assert foreign == actions.Plan()
    assert written(managedBy=names.MANAGED_BY_KUEUE) is None
    ours = planned(State(), metadata={"finalizers": []}, managedBy=names.MANAGED_BY_US)
    assert ours.actions == (patched(plan.FINALIZER, reasons=children.FINALIZER),)


def test_what_is_invalid_gets_no_finalizer_but_is_told_why() -> None:
    found = written(metadata={"finalizers": []}, backoffLimit=-1)
    assert found["jobDeploymentStatus"] == "ValidationFailed"
    assert found["reason"] == "ValidationFailed"
    assert found["message"] == "spec.backoffLimit: is -1: use 0 or more"
    assert plan.LAST_VALID_SPEC not in found
    decided = planned(State(), observed.Observed(), metadata={"finalizers": []}, backoffLimit=-1)
    assert decided.actions == ()
    assert [each.reason for each in decided.events] == ["InvalidRayJobSpec"]


def test_an_invalid_spec_is_told_of_once() -> None:
    job = given.rayjob(status=written(backoffLimit=-1), backoffLimit=-1)
    again = plan.plan(job, observed.Observed(), builders.SETTINGS, given.NOW)
    assert (again.events, len(again.invalid)) == ((), 1)


RELEASED = actions.Plan(actions=(patched(reasons=children.RELEASE),))


def test_a_job_that_goes_waits_a_moment_for_ray_to_take_the_order() -> None:
    decided = planned(given.state(), metadata=GOING)
    assert decided == actions.Plan(requeue_after=plan.FAREWELL)
    heard = given.seen(ray=given.answer("RUNNING", is_stopped=True))
    assert planned(given.state(), heard, metadata=GOING) == RELEASED
    late = given.NOW + plan.FAREWELL
    assert planned(given.state(), now=late, metadata=GOING) == RELEASED


def test_a_job_that_went_while_no_operator_ran_is_stopped_too() -> None:
    late = given.NOW + 6 * plan.FAREWELL
    unasked = given.seen(ray=ray_records.JobAnswer())
    decided = planned(given.state(), unasked, now=late, metadata=GOING)
    assert decided == actions.Plan(requeue_after=plan.MOMENT)
    once = given.seen(ray=given.silence(1))
    assert planned(given.state(), once, now=late, metadata=GOING).actions == ()
    deaf = given.seen(ray=given.silence(plan.DEAF.total_seconds()))
    assert planned(given.state(), deaf, now=late, metadata=GOING).actions == RELEASED.actions


def test_a_head_that_does_not_answer_holds_nobody_up() -> None:
    """Nor does a single question without an answer mean that none is heard."""
    early = planned(given.state(), given.seen(ray=given.silence(1)), metadata=GOING)
    assert (early.actions, early.events) == ((), ())
    decided = planned(given.state(), given.seen(ray=given.silence(4)), metadata=GOING)
    assert decided.actions == RELEASED.actions
    (event,) = decided.events
    assert (event.type, event.reason) == ("Warning", "FailedToStopRayJob")
    assert event.message == (
        f"Ray couldn't be told to stop the job {given.JOB_ID} on RayCluster {given.CLUSTER}:"
        " no answer"
    )


@pytest.mark.parametrize(
    ("before", "around"),
    [
        (State(), {"cluster": None, "pods": ()}),
        (given.begun(), {}),
        (given.state(Phase.COMPLETE, job_status="SUCCEEDED"), {}),
        (given.state(), {"cluster": None, "pods": ()}),
        (given.state(), {"cluster": given.cluster(metadata=GOING)}),
    ],
    ids=["new", "begun", "ended", "no cluster", "cluster goes too"],
)
def test_where_there_is_nothing_to_stop_nothing_is_waited_for(
    before: State, around: dict[str, Any]
) -> None:
    assert planned(before, given.seen(**around), metadata=GOING) == RELEASED


def test_other_finalizers_stay() -> None:
    both = {**GOING, "finalizers": [plan.FINALIZER, "another's"]}
    assert planned(State(), metadata=both).actions == (
        patched("another's", reasons=children.RELEASE),
    )
    assert planned(State(), metadata={**GOING, "finalizers": ["another's"]}) == actions.Plan()
