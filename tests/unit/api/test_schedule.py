"""The schedule language of RayCronJobs, and durations."""

from datetime import timedelta

import pytest

from ray_operator.api import duration, schedule


def test_fields_become_numbers() -> None:
    found = schedule.parse("*/20,7 9-17/4 1,15 JAN-mar sun,2-4")
    assert found == schedule.Cron(
        minutes=frozenset({0, 7, 20, 40}),
        hours=frozenset({9, 13, 17}),
        days=frozenset({1, 15}),
        months=frozenset({1, 2, 3}),
        weekdays=frozenset({0, 2, 3, 4}),
        any_day=False,
        is_fixed=False,
    )


@pytest.mark.parametrize(
    ("text", "any_day"),
    [
        ("0 0 * * *", True),
        ("0 0 ? * 1", True),
        ("0 0 1 * */1", True),
        ("0 0 1 * */2", False),
        ("0 0 */2 * 1", False),
        ("0 0 1 * 1", False),
    ],
)
def test_whether_both_day_fields_must_match(text: str, any_day: bool) -> None:
    found = schedule.parse(text)
    assert isinstance(found, schedule.Cron)
    assert found.any_day is any_day


@pytest.mark.parametrize(
    ("text", "is_fixed"),
    [
        ("30 2 * * *", True),
        ("0,30 1-3/2 * * *", True),
        ("@daily", True),
        ("*/15 2 * * *", False),
        ("30 * * * *", False),
        ("30 ? * * *", False),
        ("30 */2 * * *", False),
    ],
)
def test_whether_times_are_fixed(text: str, is_fixed: bool) -> None:
    found = schedule.parse(text)
    assert isinstance(found, schedule.Cron)
    assert found.is_fixed is is_fixed


def test_a_step_after_a_number_goes_on_to_the_end() -> None:
    found = schedule.parse("50/4 0 1 1 0")
    assert isinstance(found, schedule.Cron)
    assert found.minutes == {50, 54, 58}


@pytest.mark.parametrize(
    ("macro", "meaning"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ],
)
def test_macros(macro: str, meaning: str) -> None:
    assert schedule.parse(macro) == schedule.parse(meaning)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("@every 1h30m", 5400), ("@every 100ms", 1), ("@every 90.9s", 90), ("@every 2m", 120)],
)
def test_periods(text: str, seconds: int) -> None:
    assert schedule.parse(text) == schedule.Every(timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 7",
        "* * * * funday",
        "5-1 * * * *",
        "*/0 * * * *",
        "L * * * *",
        "1- * * * *",
        "1,,2 * * * *",
        "@reboot",
        "@every",
        "@every soon",
        "@every 5",
        "-1 * * * *",
    ],
)
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        schedule.parse(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        (".5m", 30.0),
        ("-5m", -300.0),
        ("+5m", 300.0),
        ("100us", 0.0001),
        ("0", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "h", "5 m", "5x", "-", "1h 30m", "9999999999h", "٣s"])
def test_what_is_no_duration(text: str) -> None:
    assert duration.parse(text) is None
