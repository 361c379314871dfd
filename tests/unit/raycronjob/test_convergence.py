"""Passes come to an end, make at most one run a tick, and end alike wherever one was cut off."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from ray_operator import settings
from ray_operator.api import raycronjob as api
from tests.unit.raycronjob.world import MINUTE, NOW, SETTINGS, World, raycronjob, run

HOURLY = raycronjob(schedule="0 * * * *")
HOUR = timedelta(hours=1)
SUSPENDED = HOURLY.model_copy(update={"spec": HOURLY.spec.model_copy(update={"suspend": True})})
GATED = settings.Settings(version="test")


def spec(cron: api.RayCronJob, **changes: object) -> api.RayCronJob:
    return cron.model_copy(update={"spec": cron.spec.model_copy(update=changes)})


def test_a_day_of_hours_makes_a_run_each() -> None:
    world = World()
    for minute in range(0, 24 * 60, 10):
        world = world.at(NOW + minute * MINUTE).settle(HOURLY)
    assert len(world.runs) == 23
    assert world.status["lastScheduleTime"] == "2026-01-02T11:00:00Z"
    assert world.told() == []


@pytest.mark.parametrize("policy", ["Allow", "Forbid", "Replace"])
@pytest.mark.parametrize("crash_after", [0, 1, 2])
def test_a_crash_after_any_action_changes_nothing_in_the_end(policy: str, crash_after: int) -> None:
    cron = spec(HOURLY, concurrency_policy=policy, failed_jobs_history_limit=0)
    start = World(runs=(run("old"), run("bad", phase="Failed"))).at(NOW + HOUR)
    whole = start.settle(cron)
    cut = start.settle(cron, crash_after=crash_after)
    assert (cut.names(), cut.status, cut.told()) == (whole.names(), whole.status, whole.told())
    assert (
        whole.names()
        == {
            "Allow": ["old", "nightly-29454540"],
            "Forbid": ["old"],
            "Replace": ["nightly-29454540"],
        }[policy]
    )


def test_a_status_that_is_lost_costs_no_second_run() -> None:
    first = World().at(NOW + HOUR)
    made = first.apply(first.decide(HOURLY).actions)
    later = made.at(NOW + HOUR + 20 * MINUTE).settle(HOURLY)
    assert later.names() == ["nightly-29454540"]
    assert later.status["lastScheduleTime"] == "2026-01-01T13:00:00Z"


def test_a_night_that_was_missed_makes_one_run_and_one_warning() -> None:
    world = World().settle(HOURLY).at(NOW + 9 * HOUR + MINUTE).settle(HOURLY)
    assert world.names() == ["nightly-29455020"]
    message = (
        "missed runs since 2026-01-01T12:00:00Z: 8; only the latest is made up for, that of"
        " 2026-01-01T21:00:00Z"
    )
    assert world.told() == [("MissedSchedule", message)]


def test_after_a_suspension_what_comes_due_is_run_and_nothing_before() -> None:
    world = World().settle(HOURLY).at(NOW + 10 * MINUTE).settle(SUSPENDED)
    world = world.at(NOW + 5 * HOUR).settle(SUSPENDED)
    assert [reason for reason, _ in world.told()] == ["SuspendedRayCronJob"]
    world = world.at(NOW + 5 * HOUR + MINUTE).settle(HOURLY)
    assert (world.names(), world.reason()) == ([], "OnTime")
    world = world.at(NOW + 6 * HOUR).settle(HOURLY)
    assert world.names() == ["nightly-29454840"]
    assert [reason for reason, _ in world.told()] == ["SuspendedRayCronJob"]


def test_one_made_while_suspended_runs_nothing_from_before() -> None:
    world = World().settle(SUSPENDED).at(NOW + 5 * HOUR + MINUTE).settle(HOURLY)
    assert world.names() == []


def test_a_denser_schedule_or_another_zone_runs_nothing_from_before_it() -> None:
    world = World().settle(HOURLY).at(NOW + 50 * MINUTE)
    for changed in (
        spec(HOURLY, schedule="*/5 * * * *"),
        spec(HOURLY, schedule="@every 10m"),
        spec(HOURLY, schedule="20 * * * *", time_zone="Asia/Kolkata"),
    ):
        assert world.settle(changed).names() == []
    world = world.settle(spec(HOURLY, schedule="@every 10m")).at(NOW + HOUR)
    assert world.settle(spec(HOURLY, schedule="@every 10m")).names() == ["nightly-29454540"]


def test_a_gate_that_was_off_is_as_a_suspension() -> None:
    world = World().settle(HOURLY, GATED).at(NOW + 5 * HOUR).settle(HOURLY, GATED)
    assert [reason for reason, _ in world.told()] == ["FeatureGateOff"]
    assert world.settle(HOURLY).names() == []


def test_forbid_makes_up_for_the_latest_only() -> None:
    cron = spec(HOURLY, concurrency_policy="Forbid")
    world = World(runs=(run("old"),))
    for minute in range(0, 200, 10):
        world = world.at(NOW + minute * MINUTE).settle(cron)
    assert (world.names(), world.reason()) == (["old"], "PreviousRunActive")
    world = world.ended("old").settle(cron)
    assert world.names() == ["old", "nightly-29454660"]
    assert [reason for reason, _ in world.told()] == ["PreviousRunActive", "MissedSchedule"]


def test_what_waits_too_long_is_told_to_be_missed() -> None:
    cron = spec(HOURLY, concurrency_policy="Forbid", starting_deadline_seconds=60)
    world = World(runs=(run("old"),)).at(NOW + HOUR).settle(cron)
    world = world.at(NOW + HOUR + 2 * MINUTE).settle(cron)
    assert [reason for reason, _ in world.told()] == ["PreviousRunActive", "MissedSchedule"]
    world = world.ended("old").settle(cron)
    assert (world.names(), world.reason()) == (["old"], "OnTime")


@effort(max_examples=25)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(1, 200),
            st.sampled_from(["pass", "suspend", "gate", "denser", "end"]),
        ),
        max_size=8,
    ),
    policy=st.sampled_from(["Allow", "Forbid", "Replace"]),
)
def test_whatever_happens_a_tick_has_one_run_and_passes_end(
    steps: list[tuple[int, str]], policy: str
) -> None:
    world, made = World().settle(HOURLY), set[str]()
    for minutes, step in steps:
        before = set(world.names())
        world = world.at(world.now + minutes * MINUTE)
        cron = spec(
            HOURLY,
            concurrency_policy=policy,
            suspend=step == "suspend",
            schedule="*/7 * * * *" if step == "denser" else "0 * * * *",
        )
        if step == "end" and world.runs:
            world = world.ended(world.runs[0].name)
        world = world.settle(cron, GATED if step == "gate" else SETTINGS)
        new = set(world.names()) - before
        assert len(new) <= 1
        assert not new & made
        made |= new
