"""What is told of a change of a RayJob's status, once."""

from typing import Any

import pytest

from ray_operator import actions
from ray_operator.rayjob import plan, transitions
from ray_operator.rayjob import state as states
from ray_operator.rayjob.state import Phase, Reason, State
from tests.unit.rayjob import given

RUNNING = given.state()
WON = given.after(RUNNING, phase=Phase.COMPLETE, job_status="SUCCEEDED")
LOST = given.after(RUNNING, phase=Phase.FAILED, reason=Reason.APP_FAILED, message="oops", failed=1)


def events(before: State, after: State, **spec: Any) -> list[tuple[str, str, str, str]]:
    """Tell of a change; the spec that was valid is the present one."""
    job = given.rayjob(status=states.manifest(before), **spec)
    written = states.manifest(after) | {plan.LAST_VALID_SPEC: plan.to_keep(job)}
    told = transitions.events(job, written)
    assert all(isinstance(each, actions.Event) for each in told)
    return [(each.type, each.reason, each.action, each.message) for each in told]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (RUNNING, []),
        (
            WON,
            [("Normal", "RayJobComplete", "Complete", f"The job {given.JOB_ID} is SUCCEEDED")],
        ),
        (LOST, [("Warning", "RayJobFailed", "Fail", "AppFailed: oops")]),
        (
            given.after(LOST, phase=Phase.RETRYING),
            [
                (
                    "Warning",
                    "RayJobRetrying",
                    "Retry",
                    "Attempt 1 of 3 failed, AppFailed: oops",
                )
            ],
        ),
        (
            given.after(RUNNING, phase=Phase.SUSPENDED),
            [("Normal", "RayJobSuspended", "Suspend", "The attempt was removed")],
        ),
        (
            given.after(RUNNING, unanswered_since=given.NOW),
            [("Warning", "RayUnreachable", "Check", "Ray doesn't answer for the job")],
        ),
    ],
)
def test_each_end_is_told(after: State, expected: list[tuple[str, str, str, str]]) -> None:
    assert events(RUNNING, after, backoffLimit=2) == expected
    assert events(after, after, backoffLimit=2) == []


def of_rules(*conditions: dict[str, str]) -> dict[str, Any]:
    rules = [{"policy": "DeleteCluster", "condition": each} for each in conditions]
    return {"deletionStrategy": {"deletionRules": rules}}


@pytest.mark.parametrize(
    ("after", "conditions", "status"),
    [
        (WON, [{"jobStatus": "SUCCEEDED"}], None),
        (WON, [{"jobStatus": "FAILED"}], "SUCCEEDED and jobDeploymentStatus Complete"),
        (
            given.after(WON, job_status="STOPPED"),
            [{"jobStatus": "SUCCEEDED"}, {"jobDeploymentStatus": "Failed"}],
            "STOPPED and jobDeploymentStatus Complete",
        ),
        (
            given.after(LOST, job_status=""),
            [{"jobStatus": "FAILED"}],
            "empty and jobDeploymentStatus Failed",
        ),
        (LOST, [{"jobDeploymentStatus": "Failed"}], None),
        (given.after(LOST, phase=Phase.RETRYING), [{"jobStatus": "SUCCEEDED"}], None),
    ],
)
def test_rules_of_which_none_is_for_the_end_are_told_of_once(
    after: State, conditions: list[dict[str, str]], status: str | None
) -> None:
    spec = of_rules(*conditions)
    found = [each for each in events(RUNNING, after, **spec) if each[1] == "NoDeletionRuleMatched"]
    text = f"Nothing is deleted: no deletion rule is for jobStatus {status}"
    assert found == ([("Warning", "NoDeletionRuleMatched", "Delete", text)] if status else [])
    assert events(after, after, **spec) == []


def test_the_last_valid_spec_is_the_one_that_counts() -> None:
    job = given.rayjob(status=states.manifest(RUNNING), backoffLimit=-1)
    written = states.manifest(given.after(LOST, phase=Phase.RETRYING))
    kept = plan.to_keep(given.rayjob(backoffLimit=4))
    (event,) = transitions.events(job, written | {plan.LAST_VALID_SPEC: kept})
    assert event.message.startswith("Attempt 1 of 5 failed")


def test_a_selected_cluster_that_is_missing_is_told_of_once() -> None:
    missing = {
        "type": "RayClusterReady",
        "status": "False",
        "reason": "RayClusterNotFound",
        "message": "RayCluster c doesn't exist",
    }
    before = states.manifest(given.begun())
    after = {**before, "conditions": [missing]}
    selector = {"ray.io/cluster": "c"}
    told = transitions.events(given.rayjob(status=before, clusterSelector=selector), after)
    assert told == [
        actions.Event(
            type="Warning",
            reason="RayClusterNotFound",
            action="Validate",
            message="RayCluster c doesn't exist",
        )
    ]
    assert not transitions.events(given.rayjob(status=after, clusterSelector=selector), after)
    assert not transitions.events(given.rayjob(status=before), after)  # it is about to be made
