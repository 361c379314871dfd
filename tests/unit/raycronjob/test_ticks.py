"""Ticks of a schedule: those that a walk over all minutes finds, around set clocks too."""

import functools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_operator.api import schedule
from ray_operator.raycronjob import ticks

MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def told(text: str, zone: str, start: str, end: str) -> list[str]:
    """List the ticks within a span of UTC."""
    found, moment = [], at(start)
    while (tick := ticks.following(schedule.parse(text), ZoneInfo(zone), after=moment)) and (
        tick <= at(end)
    ):
        found.append(f"{tick:%m-%d %H:%M}")
        moment = tick
    return found


@pytest.mark.parametrize(
    ("text", "zone", "start", "end", "expected"),
    [
        ("*/20 9 * * *", "UTC", "2026-01-01T09:00", "2026-01-02T09:00:00",
         ["01-01 09:20", "01-01 09:40", "01-02 09:00"]),
        ("0 4 * * *", "Asia/Kolkata", "2026-01-01", "2026-01-02", ["01-01 22:30"]),
        ("0 0 29 2 *", "UTC", "2026-01-01", "2029-01-01", ["02-29 00:00"]),
        # Either day suffices when both are restricted, both must match with a star.
        ("0 0 13 * 5", "UTC", "2026-03-08", "2026-03-20",
         ["03-13 00:00", "03-20 00:00"]),
        ("0 0 * * 5", "UTC", "2026-03-08", "2026-03-20", ["03-13 00:00", "03-20 00:00"]),
        # Berlin 2026: 29 March 2:00 becomes 3:00, 25 October 3:00 becomes 2:00.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28", "2026-03-31",
         ["03-28 01:30", "03-30 00:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24", "2026-10-27",
         ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
        ("30 * * * *", "Europe/Berlin", "2026-10-24T23:00", "2026-10-25T03:00",
         ["10-24 23:30", "10-25 00:30", "10-25 01:30", "10-25 02:30"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-25", "2026-10-26",
         ["10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        # Lord Howe sets its clock by half an hour: 5 April 2026, 2:00 becomes 1:30.
        ("45 * * * *", "Australia/Lord_Howe", "2026-04-04T13:00", "2026-04-04T17:00",
         ["04-04 13:45", "04-04 14:45", "04-04 15:15", "04-04 16:15"]),
        # Cairo has no midnight on 24 April 2026, Havana two on 1 November.
        ("0 0 * * *", "Africa/Cairo", "2026-04-22T22:00", "2026-04-25",
         ["04-24 21:00"]),
        ("0 0 * * *", "America/Havana", "2026-10-31T12:00", "2026-11-02T12:00",
         ["11-01 04:00", "11-02 05:00"]),
        # St. John's once went back from 0:01 to 23:01 of the day before.
        ("*/30 23 6 11 *", "America/St_Johns", "2010-11-06", "2010-11-08",
         ["11-07 01:30", "11-07 02:00", "11-07 03:00"]),
    ],
)  # fmt: skip
def test_ticks_of_a_span(text: str, zone: str, start: str, end: str, expected: list[str]) -> None:
    assert told(text, zone, start, end) == expected


def test_a_schedule_without_a_tick_has_none() -> None:
    never, zone = schedule.parse("0 0 31 2 *"), ZoneInfo("UTC")
    assert ticks.following(never, zone, after=at("2026-01-01")) is None
    assert ticks.latest(never, zone, after=at("1970-01-01"), until=at("2026-01-01")) is None
    assert ticks.count(never, zone, after=at("1970-01-01"), until=at("2026-01-01")) == 0


def test_periods_go_on_from_where_they_were_counted() -> None:
    every, zone = schedule.parse("@every 90m"), ZoneInfo("Europe/Berlin")
    start = at("2026-03-28T23:10:05")
    assert ticks.following(every, zone, after=start) == at("2026-03-29T00:40:05")
    assert ticks.latest(every, zone, after=start, until=at("2026-03-29T00:40:04")) is None
    assert ticks.latest(every, zone, after=start, until=at("2026-03-29T03:00:00")) == at(
        "2026-03-29T02:10:05"
    )
    assert ticks.count(every, zone, after=start, until=at("2026-03-29T03:00:00")) == 2
    assert ticks.count(every, zone, after=start, until=start - MINUTE) == 0


@pytest.mark.parametrize("text", ["* * * * *", "@every 1m"])
def test_many_ticks_are_not_counted_to_the_end(text: str) -> None:
    found = schedule.parse(text)
    span = {"after": at("1970-01-01"), "until": at("2026-01-01T00:00:30")}
    assert ticks.count(found, ZoneInfo("UTC"), **span) == ticks.MOST_COUNTED + 1
    assert ticks.latest(found, ZoneInfo("UTC"), **span) == at("2026-01-01")


@functools.lru_cache
def clock_face(zone: ZoneInfo, start: datetime) -> list[tuple[datetime, datetime]]:
    """List all minutes of six days, each with what the zone's clock shows."""
    moments = [start + number * MINUTE for number in range(6 * 24 * 60)]
    return [(each, each.astimezone(zone).replace(tzinfo=None)) for each in moments]


def walked(cron: schedule.Cron, zone: ZoneInfo, start: datetime) -> list[datetime]:
    """Look at each minute of six days, and what is shown on it."""
    found: list[datetime] = []
    shown: set[datetime] = set()
    for moment, local in clock_face(zone, start):
        if local.minute not in cron.minutes or local.hour not in cron.hours:
            continue
        by_date, by_weekday = local.day in cron.days, (local.weekday() + 1) % 7 in cron.weekdays
        has_day = by_date and by_weekday if cron.any_day else by_date or by_weekday
        if has_day and local.month in cron.months and not (cron.is_fixed and local in shown):
            found.append(moment)
        shown.add(local)
    return found


FIELDS = (
    st.sampled_from(["*", "0", "30", "*/15", "5,59", "10-50/20", "1"]),
    st.sampled_from(["*", "0", "2", "1-3", "23", "*/2", "0,1,2"]),
    st.sampled_from(["*", "*", "1", "25-31", "*/2"]),
    st.sampled_from(["*", "*", "3,4,10,11"]),
    st.sampled_from(["*", "*", "0", "1-5"]),
)
# Each sets its clock within two days after its date.
CLOCKS = [
    ("Europe/Berlin", "2026-03-28"),
    ("Europe/Berlin", "2026-10-24"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-03"),
    ("Australia/Lord_Howe", "2026-10-02"),
    ("Africa/Cairo", "2026-04-23"),
    ("America/Havana", "2026-10-31"),
    ("America/St_Johns", "2010-11-06"),
    ("Antarctica/Troll", "2026-03-28"),
    ("Pacific/Apia", "2011-12-29"),
    ("Asia/Kolkata", "2026-01-01"),
    ("UTC", "2026-02-28"),
]


@given(
    text=st.tuples(*FIELDS).map(" ".join),
    clock=st.sampled_from(CLOCKS),
    offset=st.integers(0, 3 * 24 * 60),
)
def test_a_walk_over_all_minutes_finds_the_same(
    text: str, clock: tuple[str, str], offset: int
) -> None:
    cron, zone = schedule.parse(text), ZoneInfo(clock[0])
    assert isinstance(cron, schedule.Cron)
    # From a day before, so that the walk has seen what a repeated hour repeats.
    all_ticks = walked(cron, zone, at(clock[1]) - timedelta(days=1))
    start = at(clock[1]) + offset * MINUTE + timedelta(seconds=offset % 2)
    end = start + timedelta(days=1)
    within = [each for each in all_ticks if start < each <= end]
    assert ticks.latest(cron, zone, after=start, until=end) == (within[-1] if within else None)
    count = ticks.count(cron, zone, after=start, until=end)
    assert count == min(len(within), ticks.MOST_COUNTED + 1)
    found = ticks.following(cron, zone, after=start)
    if within:
        assert found == within[0]
    else:
        assert found is None or found > end
