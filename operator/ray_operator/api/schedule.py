"""The schedule language of a RayCronJob: five cron fields, macros, `@every`.

Owns: reading it into sets of numbers. Does not own: finding instants (`raycronjob.ticks`).
Source: KubeRay 1.7, which reads schedules by robfig/cron's standard parser.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

from ray_operator.api import duration

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_PART = re.compile(r"(?:(?P<star>[*?])|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Five sets of numbers; Sunday is 0.

    `any_day` tells that the two day fields must both match, because at least one of them is an
    unrestricted star; otherwise either suffices. `is_fixed` tells that neither minute nor hour has
    a star: such times are meant once a day, however often a clock that is set back shows them.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    is_fixed: bool


@dataclass(frozen=True, slots=True)
class Every:
    """A period, counted from the last run."""

    period: timedelta


def parse(text: str) -> Cron | Every:
    """Read a schedule.

    Raises ValueError when it is none; the message says which part, and what was expected.
    """
    text = text.strip()
    if text.startswith("@every "):
        period = duration.parse(text.removeprefix("@every ").strip())
        if period is None:
            raise ValueError(f"{text!r} needs a duration such as 90m or 1h30m after @every")
        seconds = max(int(period.total_seconds()), 1)
        return Every(timedelta(seconds=seconds))
    if text.startswith("@") and text not in _MACROS:
        raise ValueError(f"{text!r} is unknown: use {', '.join(_MACROS)} or @every with a duration")
    parts = _MACROS.get(text, text).split()
    if len(parts) != len(_FIELDS):
        raise ValueError(
            f"{text!r} has {len(parts)} fields: give minute, hour, day of the month, month and"
            " day of the week"
        )
    (minutes, _), (hours, _), (days, any_date), (months, _), (weekdays, any_weekday) = (
        _field(part, *field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    return Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=weekdays,
        any_day=any_date or any_weekday,
        is_fixed=not set("*?") & set(parts[0] + parts[1]),
    )


def _field(
    text: str, title: str, least: int, most: int, words: dict[str, int]
) -> tuple[frozenset[int], bool]:
    """Read one field into its numbers, and whether an unrestricted star is among its parts."""
    numbers: set[int] = set()
    unrestricted = False
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is no {title}: use numbers, ranges, lists, '*' and '/step'")
        step = int(match["step"] or 1)
        low, high = (
            (least, most)
            if match["star"]
            else (_number(match["low"], title, words), _high(match, title, most, words))
        )
        if not (least <= low <= high <= most and step):
            raise ValueError(f"{part!r} is no {title}: it goes from {least} to {most}, upwards")
        numbers |= set(range(low, high + 1, step))
        unrestricted |= bool(match["star"]) and step == 1
    return frozenset(numbers), unrestricted


def _high(match: re.Match[str], title: str, most: int, words: dict[str, int]) -> int:
    """Return the end of a range; `n/step` goes on to the end of the field."""
    if match["high"]:
        return _number(match["high"], title, words)
    return most if match["step"] else _number(match["low"], title, words)


def _number(text: str, title: str, words: dict[str, int]) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    if text.lower() not in words:
        raise ValueError(f"{text!r} is no {title}")
    return words[text.lower()]
