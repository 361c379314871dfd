"""What is deleted once a RayJob has ended, and when; also if no operator ran for long."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from ray_operator import actions, features, records, settings
from ray_operator.rayjob import observed, retention
from ray_operator.rayjob.case import Step
from ray_operator.rayjob.state import Phase, Reason, State
from tests.unit import builders
from tests.unit.rayjob import given

NOW = given.NOW
WON = given.state(Phase.COMPLETE, job_status="SUCCEEDED", ended_at=NOW)
STOPPED = given.after(WON, job_status="STOPPED")
LOST = given.after(WON, phase=Phase.FAILED, job_status="FAILED", reason=Reason.APP_FAILED)
LATE = given.after(LOST, job_status="RUNNING", reason=Reason.DEADLINE_EXCEEDED)
GROUPS = [builders.group("a"), builders.group("b", suspend=True, priority=3)]
CLUSTER = given.cluster(groups=GROUPS, metadata={"resourceVersion": "9"})
WORLD = given.seen(cluster=CLUSTER)
IDLE = given.cluster(groups=[builders.group("a", suspend=True)])
WORKERS, CLUSTER_GOES, SELF = "DeleteWorkers", "DeleteCluster", "DeleteSelf"


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def rule(policy: str, ttl: int = 0, **condition: Any) -> dict[str, Any]:
    when: dict[str, Any] = condition or {"jobStatus": "SUCCEEDED"}
    return {"policy": policy, "condition": when | {"ttlSeconds": ttl}}


def rules(*given_rules: dict[str, Any]) -> dict[str, Any]:
    return {"deletionStrategy": {"deletionRules": list(given_rules)}}


def legacy(success: str, failure: str, **spec: Any) -> dict[str, Any]:
    strategy = {"onSuccess": {"policy": success}, "onFailure": {"policy": failure}}
    return {"deletionStrategy": strategy, **spec}


SHUTDOWN: dict[str, Any] = {"shutdownAfterJobFinishes": True, "ttlSecondsAfterFinished": 10}
OWN: dict[str, Any] = {
    "clusterSelector": {"ray.io/cluster": given.CLUSTER},
    "rayClusterSpec": None,
}


def step(
    before: State,
    after: float,
    around: observed.Observed = WORLD,
    *,
    options: settings.Settings = builders.SETTINGS,
    **spec: Any,
) -> tuple[list[str], timedelta | None]:
    """Tell what goes so long after the end, and how long the wait is then."""
    made = given.step(before, around, now=NOW + seconds(after), options=options, **spec)
    assert made.state == before
    found = []
    for each in made.todo:
        match each:
            case actions.Patch(resource=records.RAYCLUSTERS):
                found.append(WORKERS)
            case actions.Delete(resource=records.RAYCLUSTERS):
                found.append(CLUSTER_GOES)
            case actions.Delete(resource=records.RAYJOBS):
                found.append(SELF)
            case other:
                raise AssertionError(other)
    return found, made.wait


def test_nothing_goes_unless_somebody_says_so() -> None:
    assert given.step(WON, WORLD, now=NOW + seconds(10**6)) == Step(state=WON)


@pytest.mark.parametrize("before", [WON, STOPPED, LOST, LATE])
def test_the_cluster_goes_in_its_time_however_the_job_ended(before: State) -> None:
    assert step(before, 0, **SHUTDOWN) == ([], seconds(11))
    assert step(before, 9, **SHUTDOWN) == ([], seconds(2))
    assert step(before, 10, **SHUTDOWN) == ([CLUSTER_GOES], None)
    assert step(before, 10**6, **SHUTDOWN) == ([CLUSTER_GOES], None)


def test_what_is_gone_or_goes_is_not_deleted_again() -> None:
    going = given.cluster(metadata={"deletionTimestamp": "2026-01-01T12:00:00Z"})
    theirs = given.cluster(metadata={"ownerReferences": []})
    for cluster in (None, going, theirs):
        assert step(WON, 10, given.seen(cluster=cluster), **SHUTDOWN) == ([], None)


def test_the_deletions_name_just_what_goes() -> None:
    (cluster,) = given.step(WON, WORLD, now=NOW + seconds(10), **SHUTDOWN).todo
    assert isinstance(cluster, actions.Delete)
    assert (cluster.name, cluster.uid) == (given.CLUSTER, "uid-cluster")
    (itself,) = given.step(WON, WORLD, **rules(rule(SELF))).todo
    assert isinstance(itself, actions.Delete)
    assert (itself.name, itself.uid, itself.propagation) == ("job", given.UID, "Background")


def test_workers_are_suspended_and_nothing_else_of_them_changes() -> None:
    (patch,) = given.step(WON, WORLD, **rules(rule(WORKERS))).todo
    assert isinstance(patch, actions.Patch)
    assert patch.uid == "uid-cluster"
    assert patch.change == {
        "metadata": {"resourceVersion": "9"},
        "spec": {"workerGroupSpecs": [{**each, "suspend": True} for each in GROUPS]},
    }


def test_the_administrator_may_have_the_whole_job_go() -> None:
    options = dataclasses.replace(builders.SETTINGS, delete_finished_rayjobs=True)
    assert step(WON, 9, options=options, **SHUTDOWN) == ([], seconds(2))
    assert step(WON, 10, options=options, **SHUTDOWN) == ([SELF], None)
    gone = observed.Observed()
    assert step(WON, 10, gone, options=options, **SHUTDOWN) == ([SELF], None)
    assert step(WON, 10, options=options) == ([], None)


# Rules


THREE = rules(rule(WORKERS, 10), rule(CLUSTER_GOES, 20), rule(SELF, 30))


def test_rules_take_effect_one_after_the_other() -> None:
    suspended, gone = given.seen(cluster=IDLE), given.seen(cluster=None)
    assert step(WON, 0, **THREE) == ([], seconds(11))
    assert step(WON, 10, **THREE) == ([WORKERS], seconds(11))
    assert step(WON, 11, suspended, **THREE) == ([], seconds(10))
    assert step(WON, 20, suspended, **THREE) == ([CLUSTER_GOES], seconds(11))
    assert step(WON, 21, gone, **THREE) == ([], seconds(10))
    assert step(WON, 30, gone, **THREE) == ([SELF], None)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (15, ([WORKERS], seconds(6))),
        (25, ([CLUSTER_GOES], seconds(6))),
        (35, ([SELF], None)),
        (10**6, ([SELF], None)),
    ],
)
def test_after_a_time_without_operator_the_most_goes_first(
    after: float, expected: tuple[list[str], timedelta | None]
) -> None:
    assert step(WON, after, **THREE) == expected
    reordered = rules(rule(SELF, 30), rule(WORKERS, 10), rule(CLUSTER_GOES, 20))
    assert step(WON, after, **reordered) == expected


def test_none_keeps_all() -> None:
    assert step(WON, 10**6, **rules(rule("DeleteNone"))) == ([], None)
    both = rules(rule("DeleteNone"), rule(WORKERS, 5))
    assert step(WON, 5, **both) == ([WORKERS], None)


@pytest.mark.parametrize(
    ("condition", "matching"),
    [
        ({"jobStatus": "SUCCEEDED"}, [WON]),
        ({"jobStatus": "FAILED"}, [LOST]),
        ({"jobDeploymentStatus": "Failed"}, [LOST, LATE]),
    ],
)
def test_a_rule_is_for_one_outcome(condition: dict[str, Any], matching: list[State]) -> None:
    spec = rules(rule(CLUSTER_GOES, **condition))
    found = [each for each in (WON, STOPPED, LOST, LATE) if step(each, 0, **spec)[0]]
    assert found == matching
    unmatched = [
        each
        for each in (WON, STOPPED, LOST, LATE)
        if retention.is_unmatched(given.rayjob(**spec).spec, each)
    ]
    assert unmatched == [each for each in (WON, STOPPED, LOST, LATE) if each not in matching]


def test_rules_of_both_sorts_apply_together() -> None:
    both = rules(
        rule(WORKERS, 5, jobDeploymentStatus="Failed"), rule(CLUSTER_GOES, 9, jobStatus="FAILED")
    )
    assert step(LOST, 5, **both) == ([WORKERS], seconds(5))
    assert step(LOST, 9, **both) == ([CLUSTER_GOES], None)
    assert step(LATE, 9, **both) == ([WORKERS], None)


# The older fields


def test_the_older_fields_know_success_and_failure_of_the_job_alone() -> None:
    spec = legacy(CLUSTER_GOES, WORKERS)
    assert step(WON, 0, **spec) == ([CLUSTER_GOES], None)
    assert step(LOST, 0, **spec) == ([WORKERS], None)
    assert step(STOPPED, 0, **spec) == step(LATE, 0, **spec) == ([], None)
    assert step(WON, 0, **legacy("DeleteNone", SELF)) == ([], None)
    assert step(LOST, 0, **legacy("DeleteNone", SELF)) == ([SELF], None)


def test_the_older_fields_take_their_time_from_the_shutdown_that_they_replace() -> None:
    spec = legacy(WORKERS, SELF, **SHUTDOWN)
    assert step(WON, 9, **spec) == ([], seconds(2))
    assert step(WON, 10, **spec) == ([WORKERS], None)


def test_the_older_fields_are_obeyed_once() -> None:
    assert step(WON, 5, given.seen(cluster=IDLE), **legacy(WORKERS, SELF)) == ([], None)
    for policy in (WORKERS, CLUSTER_GOES):
        gone = given.seen(cluster=None)
        assert step(WON, 5, gone, **legacy(policy, SELF)) == ([], None)


def test_without_the_gate_the_plain_shutdown_counts() -> None:
    gates = builders.SETTINGS.feature_gates - {features.Feature.DELETION_POLICY}
    options = dataclasses.replace(builders.SETTINGS, feature_gates=gates)
    spec = legacy("DeleteNone", "DeleteNone", **SHUTDOWN)
    assert step(WON, 10, options=options, **spec) == ([CLUSTER_GOES], None)


# A cluster of somebody else's


def test_a_selected_cluster_is_never_touched() -> None:
    for cluster in (CLUSTER, given.cluster(metadata={"ownerReferences": []})):
        around = given.seen(cluster=cluster)
        for spec in (SHUTDOWN, rules(rule(WORKERS), rule(CLUSTER_GOES)), legacy(WORKERS, WORKERS)):
            assert step(WON, 10**6, around, **spec, **OWN) == ([], None)


def test_a_job_on_a_selected_cluster_may_go_itself() -> None:
    assert step(WON, 4, **rules(rule(SELF, 5)), **OWN) == ([], seconds(2))
    assert step(WON, 5, **rules(rule(SELF, 5)), **OWN) == ([SELF], None)
    options = dataclasses.replace(builders.SETTINGS, delete_finished_rayjobs=True)
    assert step(WON, 10, options=options, **SHUTDOWN, **OWN) == ([SELF], None)


# Whether a job that is late has to be stopped


@pytest.mark.parametrize(
    ("spec", "outlives"),
    [
        ({}, True),
        (SHUTDOWN, True),
        ({"shutdownAfterJobFinishes": True}, False),
        (OWN, True),
        (rules(rule(CLUSTER_GOES, jobDeploymentStatus="Failed")), False),
        (rules(rule(WORKERS, jobDeploymentStatus="Failed")), True),
        (rules(rule(CLUSTER_GOES)), True),
    ],
)
def test_the_cluster_outlives_the_job_unless_it_is_to_go_now(
    spec: dict[str, Any], outlives: bool
) -> None:
    assert retention.outlives(given.case(LATE, WORLD, **spec)) is outlives
    gone = given.seen(cluster=None)
    assert not retention.outlives(given.case(LATE, gone, **spec))
