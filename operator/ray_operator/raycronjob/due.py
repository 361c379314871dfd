"""Tell what is due: which tick has to be run now, and which is next.

Owns: from when on ticks count. Does not own: finding instants (`ticks`), or what is done about a
tick (`plan`). Invariant: a tick is due at most once, whatever of status and RayJobs got lost, as
long as one of them tells of it; of all ticks that were missed only the latest is due.

Ticks count from the last one that was run, else from the creation. After a change of the schedule
or its zone, or after a suspension, they count from the moment at which that is seen: the status
keeps by what they were last counted (`observedSchedule`), since only there it outlives a restart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ray_operator import features, settings
from ray_operator.api import raycronjob as api
from ray_operator.api import schedule
from ray_operator.raycronjob import observed as seen
from ray_operator.raycronjob import ticks

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is due at a moment.

    Attributes:
        tick: the latest that was not run; None when there is none.
        is_late: `startingDeadlineSeconds` are over, and it won't be run.
        following: the first tick in the future; None when there is none in five years.
    """

    tick: datetime | None
    is_late: bool
    following: datetime | None


def due(
    cron: api.RayCronJob, observed: seen.Observed, *, options: settings.Settings, now: datetime
) -> Due:
    """Return what is due of a valid RayCronJob that isn't suspended."""
    given, place = schedule.parse(cron.spec.schedule), zone(cron, options)
    base = now if has_changed(cron, options) else _base(cron, observed, now)
    tick = ticks.latest(given, place, after=base, until=now)
    end = deadline(cron, tick) if tick else None
    anchor = (tick or base) if isinstance(given, schedule.Every) else now
    return Due(
        tick=tick,
        is_late=end is not None and now >= end,
        following=ticks.following(given, place, after=anchor),
    )


def deadline(cron: api.RayCronJob, tick: datetime) -> datetime | None:
    """Return from when on a tick is too late for its RayJob; None when it never is.

    The second in which the deadline ends counts: 0 leaves the second of the tick itself.
    """
    seconds = cron.spec.starting_deadline_seconds
    return None if seconds is None else tick + timedelta(seconds=seconds + 1)


def is_off(cron: api.RayCronJob, options: settings.Settings) -> bool:
    """Tell whether RayJobs are not to be made, by the spec or by the feature gate."""
    return bool(cron.spec.suspend) or is_gated(options)


def is_gated(options: settings.Settings) -> bool:
    """Tell whether the feature gate is off, so that all RayCronJobs are left alone."""
    return features.Feature.CRON_JOB not in options.feature_gates


def counted_by(cron: api.RayCronJob, options: settings.Settings) -> dict[str, Any]:
    """Return by what ticks are counted now, as the status keeps it."""
    zone = {"timeZone": cron.spec.time_zone} if cron.spec.time_zone else {}
    return {"schedule": cron.spec.schedule, **zone, "suspend": is_off(cron, options)}


def has_changed(cron: api.RayCronJob, options: settings.Settings) -> bool:
    """Tell whether ticks were counted by something else at the last pass."""
    before = cron.status.get("observedSchedule")
    if not before:
        return False
    return {name: value for name, value in before.items() if name != "since"} != counted_by(
        cron, options
    )


def zone(cron: api.RayCronJob, options: settings.Settings) -> ZoneInfo:
    """Return the time zone of the schedule."""
    return ZoneInfo(cron.spec.time_zone or options.time_zone)


def last_tick(status: Json, observed: seen.Observed, now: datetime) -> datetime | None:
    """Return the last tick that was run, None before the first.

    Usually the status says so. A RayJob knows better where the status was not written.
    """
    made = (run.tick for run in observed.runs if run.tick is not None and run.tick <= now)
    return max((*made, *moments(status.get("lastScheduleTime"))), default=None)


def told_base(cron: api.RayCronJob) -> datetime | None:
    """Return from when on ticks count by the status alone, None for what was never stored."""
    since = (cron.status.get("observedSchedule") or {}).get("since")
    known = (*moments(cron.status.get("lastScheduleTime")), *moments(since))
    return max(known, default=cron.metadata.creation_timestamp)


def moments(text: str | None) -> tuple[datetime, ...]:
    """Read a time of the status; it is empty where there is none."""
    return (datetime.fromisoformat(text),) if text else ()


def _base(cron: api.RayCronJob, observed: seen.Observed, now: datetime) -> datetime:
    """Return from when on ticks count; a time to come is a clock's error, and would end all."""
    told = told_base(cron) or now
    return min(max(told, last_tick(cron.status, observed, now) or told), now)
