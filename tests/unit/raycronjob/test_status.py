"""What is said of a RayCronJob: whole statuses, and the events that a change is worth."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ray_operator import actions, errors, records, settings
from ray_operator.raycronjob import observed as seen
from ray_operator.raycronjob import plan, status, transitions
from tests.unit.raycronjob import world
from tests.unit.raycronjob.world import MINUTE, NOW, SETTINGS, raycronjob, run

HOURLY = "0 * * * *"
HOUR = timedelta(hours=1)
GATED = settings.Settings(version="test")


def said(
    *runs: seen.Run,
    after: timedelta = MINUTE,
    options: settings.Settings = SETTINGS,
    failures: tuple[actions.Result, ...] = (),
    **cron: Any,
) -> dict[str, Any]:
    made = raycronjob(**({"schedule": HOURLY} | cron))
    invalid = plan.plan(made, seen.Observed(), options, NOW).invalid
    outcome = actions.Outcome(results=failures, invalid=invalid)
    found = status.next_status(
        made, seen.Observed(runs=runs), outcome, NOW + after, options=options
    )
    return dict(found or {})


def condition(type_: str, state: str, reason: str, message: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": type_,
        "status": state,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T12:01:00Z",
    } | fields


VALID = condition("RayCronJobSpecValid", "True", "Valid", "")
COUNTED = {"schedule": HOURLY, "suspend": False}


def scheduled(
    message: str, reason: str = "OnTime", state: str = "True", **fields: Any
) -> dict[str, Any]:
    return condition("RayCronJobScheduled", state, reason, message, **fields)


def test_a_new_one() -> None:
    assert said() == {
        "observedSchedule": COUNTED,
        "observedGeneration": 1,
        "conditions": [
            VALID,
            scheduled("the next RayJob is due at 2026-01-01T13:00:00+00:00 (UTC)"),
        ],
    }


def test_runs_that_go_on_and_ended() -> None:
    tick, end = datetime(2026, 1, 1, 13, tzinfo=UTC), datetime(2026, 1, 1, 12, 55, tzinfo=UTC)
    found = said(
        run("a", phase="Complete", job_status="SUCCEEDED", ended_at=end),
        run("b", phase="Complete", job_status="STOPPED", ended_at=end + MINUTE),
        run("c", phase="Failed", ended_at=end + MINUTE),
        run("d", tick=tick),
        run("e", tick=tick + HOUR),  # by a clock that was ahead
        after=HOUR,
        timeZone="Europe/Berlin",
    )
    later = {"lastTransitionTime": "2026-01-01T13:00:00Z"}
    reference = {"apiVersion": "ray.io/v1", "kind": "RayJob", "namespace": "ns1"}
    assert found == {
        "lastScheduleTime": "2026-01-01T13:00:00Z",
        "lastSuccessfulTime": "2026-01-01T12:55:00Z",
        "active": [
            {**reference, "name": "d", "uid": "uid-d"},
            {**reference, "name": "e", "uid": "uid-e"},
        ],
        "observedSchedule": {**COUNTED, "timeZone": "Europe/Berlin"},
        "observedGeneration": 1,
        "conditions": [
            VALID | later,
            scheduled(
                "the next RayJob is due at 2026-01-01T15:00:00+01:00 (Europe/Berlin)", **later
            ),
        ],
    }


def test_times_are_kept_when_their_runs_are_gone() -> None:
    times = {
        "lastScheduleTime": "2026-01-01T12:00:00Z",
        "lastSuccessfulTime": "2026-01-01T12:00:30Z",
    }
    found = said(status={**times, "active": [{"name": "old"}]})
    assert {name: found.get(name) for name in (*times, "active")} == {**times, "active": None}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"suspend": True}, scheduled("no RayJob is made: suspend is true", "Suspended", "False")),
        (
            {"schedule": "0 0 31 2 *"},
            scheduled("'0 0 31 2 *' names no time in the next five years", "NoNextTime", "False"),
        ),
        (
            {"schedule": "0 4 * * 7"},
            scheduled("no RayJob is made: the spec isn't valid", "InvalidSpec", "False"),
        ),
    ],
)
def test_why_none_is_made(change: dict[str, Any], expected: dict[str, Any]) -> None:
    assert said(**change)["conditions"][1] == expected


def test_with_the_gate_off_only_that_is_said() -> None:
    before = VALID | {"lastTransitionTime": "2025-01-01T00:00:00Z"}
    found = said(options=GATED, schedule="nonsense", status={"conditions": [before]})
    assert found == {
        "observedSchedule": {"schedule": "nonsense", "suspend": True},
        "observedGeneration": 1,
        "conditions": [before, scheduled(status.GATE_OFF, "FeatureGateOff", "False")],
    }


def test_one_on_its_way_out_is_left_alone() -> None:
    assert said(metadata={"deletionTimestamp": "2026-01-01T12:00:00Z"}) == {}


def test_an_invalid_one_keeps_what_it_was_counted_by() -> None:
    before = {"observedSchedule": COUNTED, "lastScheduleTime": "2026-01-01T12:00:00Z"}
    found = said(schedule="nonsense", status=before)
    assert {name: found[name] for name in before} == before


DELETE_OLD = actions.Delete(
    resource=records.RAYJOBS,
    namespace="ns1",
    name="old",
    uid="u",
    reasons=plan.DELETE,
    why="failedJobsHistoryLimit is 0",
)


@pytest.mark.parametrize(
    ("action", "reason", "message"),
    [
        (
            actions.Create(resource=records.RAYJOBS, manifest={}, reasons=plan.CREATE),
            "RayJobNotCreated",
            "a: exceeded quota",
        ),
        (
            dataclasses.replace(DELETE_OLD, why=plan.REPLACED),
            "RayJobNotCreated",
            "a: exceeded quota",
        ),
        (DELETE_OLD, "OnTime", "the next RayJob is due at 2026-01-01T14:00:00+00:00 (UTC)"),
    ],
)
def test_a_run_that_cannot_be_made_is_told(
    action: actions.Action, reason: str, message: str
) -> None:
    failure = actions.Result(action=action, name="a", error=errors.Forbidden("exceeded quota"))
    found = said(after=HOUR, failures=(failure,))["conditions"][1]
    assert (found["reason"], found["message"]) == (reason, message)


def told(before: dict[str, Any], after: dict[str, Any], **cron: Any) -> list[tuple[str, str, str]]:
    made = raycronjob(**({"schedule": HOURLY, "status": before} | cron))
    found = transitions.events(made, after, options=SETTINGS)
    return [(each.type, each.reason, each.message) for each in found]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Suspended", [("Normal", "SuspendedRayCronJob", "m")]),
        ("NoNextTime", [("Warning", "InvalidRayCronJobSpec", "m")]),
        ("FeatureGateOff", [("Warning", "FeatureGateOff", "m")]),
        ("PreviousRunActive", [("Normal", "PreviousRunActive", "m")]),
        ("OnTime", []),
        ("InvalidSpec", []),  # told with the fields
        ("RayJobNotCreated", []),  # told of the action
    ],
)
def test_a_new_reason_is_told_once(reason: str, expected: list[tuple[str, str, str]]) -> None:
    after = {"conditions": [scheduled("m", reason, "False")]}
    other = {"conditions": [scheduled("before", reason, "False")]}
    assert told({}, after) == expected
    assert told({"conditions": [VALID]}, after) == expected
    assert told(other, after) == []


LAST = {"lastScheduleTime": "2026-01-01T14:00:00Z"}
MADE_UP = "; only the latest is made up for, that of 2026-01-01T14:00:00Z"
LATE = {"observedSchedule": {**COUNTED, "since": "2026-01-01T14:00:00Z"}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # The creation is at 12:00.
        ({}, {"lastScheduleTime": "2026-01-01T13:00:00Z"}, ""),
        (
            {},
            LAST,
            "missed runs since 2026-01-01T12:00:00Z: 1" + MADE_UP,
        ),
        (
            {"lastScheduleTime": "1970-01-01T00:00:00Z"},
            LAST,
            "missed runs since 1970-01-01T00:00:00Z: more than 100" + MADE_UP,
        ),
        (LAST, LAST, ""),
        (
            {"observedSchedule": COUNTED},
            LATE,
            "missed runs since 2026-01-01T12:00:00Z: 2; startingDeadlineSeconds is 5",
        ),
        (LATE, LATE, ""),
        ({"observedSchedule": {**COUNTED, "suspend": True}}, LATE, ""),
    ],
)
def test_what_was_missed_is_told_once(
    before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    found = told(before, after, startingDeadlineSeconds=5)
    assert found == ([("Warning", "MissedSchedule", expected)] if expected else [])


def test_a_bad_schedule_breaks_no_news() -> None:
    assert told(LAST, LAST, schedule="nonsense") == []
    assert world.World().passed(raycronjob(schedule="nonsense")).events == ()
