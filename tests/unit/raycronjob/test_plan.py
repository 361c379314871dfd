"""What one pass does about a RayCronJob: whole plans."""

from datetime import timedelta
from typing import Any

import pytest

from ray_operator import actions, features, records, settings
from ray_operator.raycronjob import observed as seen
from ray_operator.raycronjob import plan
from tests.support.rulebook import example
from tests.unit.raycronjob import world
from tests.unit.raycronjob.world import MINUTE, NOW, SETTINGS, raycronjob, run

HOURLY = {"schedule": "0 * * * *"}
HOUR = timedelta(hours=1)
TICK = NOW + HOUR


def manifest(name: str, stamp: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {
            "namespace": "ns1",
            "name": name,
            "labels": {**labels, "ray.io/cronjob-name": "nightly"},
            "annotations": {"ray.io/cronjob-scheduled-timestamp": stamp},
            "ownerReferences": [
                {
                    "apiVersion": "ray.io/v1",
                    "kind": "RayCronJob",
                    "name": "nightly",
                    "uid": world.UID,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": example.JOB,
    }


def create(name: str, stamp: str, **labels: str) -> actions.Create:
    made = manifest(name, stamp, **labels)
    return actions.Create(resource=records.RAYJOBS, manifest=made, reasons=plan.CREATE)


def delete(name: str, why: str) -> actions.Delete:
    return actions.Delete(
        resource=records.RAYJOBS,
        namespace="ns1",
        name=name,
        uid=f"uid-{name}",
        reasons=plan.DELETE,
        why=why,
    )


def decide(
    *runs: seen.Run,
    after: timedelta,
    options: settings.Settings = SETTINGS,
    **cron: Any,
) -> actions.Plan:
    """Plan so long after the creation."""
    made = raycronjob(**({"schedule": "0 * * * *"} | cron))
    return plan.plan(made, seen.Observed(runs=runs), options, NOW + after)


FIRST = create("nightly-29454540", "2026-01-01T13:00:00Z")
LATER = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(0), actions.Plan(requeue_after=LATER)),
        (58 * MINUTE, actions.Plan(requeue_after=2 * MINUTE)),
        (HOUR - timedelta(milliseconds=1), actions.Plan(requeue_after=timedelta(milliseconds=1))),
        (HOUR, actions.Plan(actions=(FIRST,), requeue_after=LATER)),
        (HOUR + 58 * MINUTE, actions.Plan(actions=(FIRST,), requeue_after=2 * MINUTE)),
        # Of many, the latest.
        (
            25 * HOUR,
            actions.Plan(
                actions=(create("nightly-29455980", "2026-01-02T13:00:00Z"),), requeue_after=LATER
            ),
        ),
    ],
)
def test_what_is_due_is_made_and_the_next_is_waited_for(
    after: timedelta, expected: actions.Plan
) -> None:
    assert decide(after=after) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"deletionTimestamp": "2026-01-01T12:30:00Z"}},
        {"options": settings.Settings(version="test", feature_gates=features.DEFAULT)},
        {"suspend": True},
    ],
)
def test_nothing_is_made(change: dict[str, Any]) -> None:
    assert decide(after=HOUR, **change) == actions.Plan()


@pytest.mark.parametrize(
    ("status", "made"),
    [
        ({"lastScheduleTime": "2026-01-01T12:00:00Z"}, (FIRST,)),
        ({"lastScheduleTime": "2026-01-01T13:00:00Z"}, ()),
        ({"lastScheduleTime": "1970-01-01T00:00:00Z"}, (FIRST,)),
        ({"lastScheduleTime": "2199-01-01T00:00:00Z"}, ()),  # a clock's error
        ({"observedSchedule": {"schedule": "0 * * * *", "suspend": False}}, (FIRST,)),
        ({"observedSchedule": {"schedule": "0 * * * *", "suspend": True}}, ()),
        ({"observedSchedule": {"schedule": "5 * * * *", "suspend": False}}, ()),
        (
            {"observedSchedule": {"schedule": "0 * * * *", "suspend": False, "timeZone": "UTC"}},
            (),
        ),
        (
            {
                "observedSchedule": {
                    "schedule": "0 * * * *",
                    "suspend": False,
                    "since": "2026-01-01T12:59:59Z",
                }
            },
            (FIRST,),
        ),
        (
            {
                "observedSchedule": {
                    "schedule": "0 * * * *",
                    "suspend": False,
                    "since": "2026-01-01T13:00:00Z",
                }
            },
            (),
        ),
    ],
)
def test_from_when_on_times_count(status: dict[str, Any], made: tuple[actions.Action, ...]) -> None:
    assert decide(after=HOUR + MINUTE, status=status).actions == made


def test_a_run_that_the_status_does_not_know_is_not_made_again() -> None:
    assert decide(run("nightly-29454540", tick=TICK), after=HOUR + MINUTE).actions == ()


@pytest.mark.parametrize(
    ("zone", "variable", "is_due"),
    [("Asia/Kolkata", "UTC", True), (None, "Asia/Kolkata", True), (None, "UTC", False)],
)
def test_the_zone_is_the_specs_or_the_operators(
    zone: str | None, variable: str, is_due: bool
) -> None:
    options = settings.Settings(
        version="test", feature_gates=SETTINGS.feature_gates, time_zone=variable
    )
    spec = {"schedule": "0 18 * * *"} | ({"timeZone": zone} if zone else {})
    found = decide(after=HOUR, options=options, **spec)
    assert bool(found.actions) is is_due


def test_only_labels_for_schedulers_go_to_the_run() -> None:
    labels = {
        "kueue.x-k8s.io/queue-name": "a",
        "kai.scheduler/queue": "b",
        "ray.io/gang-scheduling-enabled": "true",
    }
    others = {"app.kubernetes.io/instance": "release", "kai.scheduler/other": "c"}
    found = decide(after=HOUR, metadata={"labels": labels | others})
    assert found.actions == (create("nightly-29454540", "2026-01-01T13:00:00Z", **labels),)


OLD = run("old")
WAIT = actions.Plan(requeue_after=LATER)


@pytest.mark.parametrize(
    ("policy", "runs", "expected"),
    [
        ("Allow", [OLD], actions.Plan(actions=(FIRST,), requeue_after=LATER)),
        ("Forbid", [OLD], WAIT),
        ("Forbid", [run("old", phase="")], WAIT),
        ("Forbid", [run("old", is_going=True)], WAIT),
        (
            "Forbid",
            [
                run("a", phase="Complete"),
                run("b", phase="Failed"),
                run("c", phase="ValidationFailed"),
            ],
            actions.Plan(actions=(FIRST,), requeue_after=LATER),
        ),
        (
            "Replace",
            [OLD, run("going", is_going=True), run("ended", phase="Failed")],
            actions.Plan(actions=(delete("old", plan.REPLACED),), requeue_after=timedelta()),
        ),
        (
            "Replace",
            [run("going", is_going=True), run("ended", phase="Failed")],
            actions.Plan(actions=(FIRST,), requeue_after=LATER),
        ),
    ],
)
def test_runs_that_go_on(policy: str, runs: list[seen.Run], expected: actions.Plan) -> None:
    assert decide(*runs, after=HOUR, concurrencyPolicy=policy) == expected


@pytest.mark.parametrize(
    ("seconds", "late", "expected"),
    [
        (0, timedelta(milliseconds=999), (FIRST,)),
        (0, timedelta(seconds=1), ()),
        (30, timedelta(seconds=30), (FIRST,)),
        (30, timedelta(seconds=31), ()),
    ],
)
def test_a_run_may_be_too_late(
    seconds: int, late: timedelta, expected: tuple[actions.Action, ...]
) -> None:
    assert decide(after=HOUR + late, startingDeadlineSeconds=seconds).actions == expected


def test_a_run_that_waits_is_looked_at_when_it_is_too_late() -> None:
    found = decide(OLD, after=HOUR, concurrencyPolicy="Forbid", startingDeadlineSeconds=30)
    assert found == actions.Plan(requeue_after=timedelta(seconds=31))


def test_the_oldest_beyond_the_limits_go() -> None:
    ended = [
        run("s1", phase="Complete", job_status="SUCCEEDED"),
        run("f1", phase="Failed"),
        run("s2", phase="Complete", job_status="SUCCEEDED"),
        run("f2", phase="Complete", job_status="STOPPED"),
        run("s0", phase="Complete", is_going=True),
        run("going"),
    ]
    limits: dict[str, Any] = {"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0}
    expected = (
        delete("s1", "successfulJobsHistoryLimit is 1"),
        delete("f1", "failedJobsHistoryLimit is 0"),
        delete("f2", "failedJobsHistoryLimit is 0"),
    )
    assert decide(*ended, after=MINUTE, **limits).actions == expected
    assert decide(*ended, after=MINUTE, suspend=True, **limits).actions == expected
    assert decide(*ended, after=MINUTE).actions == ()


def test_an_invalid_one_is_left_alone_and_told() -> None:
    found = decide(after=HOUR, schedule="0 4 * * 7", metadata={"name": "n" * 37})
    assert (found.actions, found.requeue_after) == ((), None)
    assert [each.path for each in found.invalid] == ["metadata.name", "spec.schedule"]
    assert {each.reason for each in found.events} == {"InvalidRayCronJobSpec"}


def test_one_job_id_for_all_runs_on_one_cluster_is_warned_of_and_works() -> None:
    template = {
        "entrypoint": "true",
        "jobId": "a",
        "clusterSelector": {"ray.io/cluster": "shared"},
    }
    found = decide(after=HOUR, jobTemplate=template)
    (event,) = found.events
    assert (event.type, event.reason) == ("Warning", "InvalidRayCronJobSpec")
    assert len(found.actions) == 1
