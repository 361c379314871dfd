"""Find the instants that a schedule names.

Owns: next and latest ticks in a time zone, and counting them. Does not own: the schedule's language
(`api.schedule`) or what a tick is for (`due`). Invariant: `latest` and `following` agree on which
instants are ticks, and neither takes longer for a longer time span than five years.

A day on which the zone's clock is not set is arithmetic on minutes; on the few others each minute
of the wall clock is looked at: one that doesn't exist is no tick, and one that is shown twice is
two, or one where hour and minute are fixed. Zones never set their clocks there and back within one
half of a day, by which a plain day is known.

Source: KubeRay 1.7, which uses robfig/cron: a day's rules, second 0, five years, `@every`. It runs
fixed times of a repeated hour twice, which nobody means by them.
"""

import functools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ray_operator.api import schedule

Schedule = schedule.Cron | schedule.Every

HORIZON = timedelta(days=5 * 366)
MOST_COUNTED = 100
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


def following(given: Schedule, zone: ZoneInfo, *, after: datetime) -> datetime | None:
    """Return the first tick strictly after an instant; None when there is none in five years."""
    if isinstance(given, schedule.Every):
        return after + given.period
    start = after.astimezone(zone).date() - _DAY
    for day in _days(given, start, step=1):
        if found := _first(given, zone, day, after=after):
            # Where a clock is set back at midnight, the next day may begin before this one ends.
            tomorrow = day + _DAY
            other = _first(given, zone, tomorrow, after=after) if _has(given, tomorrow) else None
            return min(found, other) if other else found
    return None


def latest(given: Schedule, zone: ZoneInfo, *, after: datetime, until: datetime) -> datetime | None:
    """Return the last tick that is after `after` and not after `until`; None when there is none."""
    if isinstance(given, schedule.Every):
        periods = (until - after) // given.period
        return after + periods * given.period if periods > 0 else None
    end = max(after, until - HORIZON)
    first = end.astimezone(zone).date() - _DAY
    for day in _days(given, until.astimezone(zone).date() + _DAY, step=-1):
        if day < first:
            return None
        if found := _last(given, zone, day, until=until):
            yesterday = day - _DAY
            other = _last(given, zone, yesterday, until=until) if _has(given, yesterday) else None
            found = max(found, other) if other else found
            return found if found > end else None
    return None


def count(given: Schedule, zone: ZoneInfo, *, after: datetime, until: datetime) -> int:
    """Count the ticks after `after` and not after `until`, but at most one over `MOST_COUNTED`."""
    if isinstance(given, schedule.Every):
        return min(max((until - after) // given.period, 0), MOST_COUNTED + 1)
    counted = 0
    tick = latest(given, zone, after=after, until=until)
    while tick is not None and counted <= MOST_COUNTED:
        counted += 1
        tick = latest(given, zone, after=after, until=tick - _MINUTE)
    return counted


def _days(cron: schedule.Cron, start: date, *, step: int) -> Iterator[date]:
    """Yield the days that match, from `start` on or, with -1, back; for a bit over five years."""
    day = start
    while abs(day - start) <= HORIZON + 2 * _DAY:
        if _has(cron, day):
            yield day
        day += step * _DAY


def _has(cron: schedule.Cron, day: date) -> bool:
    if day.month not in cron.months:
        return False
    by_date, by_weekday = day.day in cron.days, day.isoweekday() % 7 in cron.weekdays
    return by_date and by_weekday if cron.any_day else by_date or by_weekday


def _first(cron: schedule.Cron, zone: ZoneInfo, day: date, *, after: datetime) -> datetime | None:
    midnight = _midnight(zone, day)
    if midnight is None:
        return next((each for each in _set_day(cron, zone, day) if each > after), None)
    minutes = _minutes(cron)
    index = bisect_right(minutes, (after - midnight) / _MINUTE)
    return midnight + minutes[index] * _MINUTE if index < len(minutes) else None


def _last(cron: schedule.Cron, zone: ZoneInfo, day: date, *, until: datetime) -> datetime | None:
    midnight = _midnight(zone, day)
    if midnight is None:
        return next((each for each in reversed(_set_day(cron, zone, day)) if each <= until), None)
    minutes = _minutes(cron)
    index = bisect_right(minutes, (until - midnight) / _MINUTE) - 1
    return midnight + minutes[index] * _MINUTE if index >= 0 else None


@functools.lru_cache(maxsize=1024)
def _minutes(cron: schedule.Cron) -> Sequence[int]:
    """Return the minutes of a day that match, in order."""
    return [60 * hour + minute for hour in sorted(cron.hours) for minute in sorted(cron.minutes)]


def _midnight(zone: ZoneInfo, day: date) -> datetime | None:
    """Return the instant at which the day begins, None when its clock is set on it."""
    start, noon = datetime.combine(day, time()), datetime.combine(day, time(12))
    end = start + _DAY
    shown = (start, start.replace(fold=1), noon, end, end.replace(fold=1))
    offsets = {each.replace(tzinfo=zone).utcoffset() for each in shown}
    return start.replace(tzinfo=zone).astimezone(UTC) if len(offsets) == 1 else None


@functools.lru_cache(maxsize=256)
def _set_day(cron: schedule.Cron, zone: ZoneInfo, day: date) -> Sequence[datetime]:
    """Return the ticks of a day on which the clock is set, in order."""
    midnight, found = datetime.combine(day, time()), []
    for minute in _minutes(cron):
        shown = midnight + minute * _MINUTE
        first, second = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first.astimezone(zone).replace(tzinfo=None) == shown:
            found += [first] if second == first or cron.is_fixed else [first, second]
    return sorted(found)
