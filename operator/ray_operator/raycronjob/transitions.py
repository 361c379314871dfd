"""The events that a change of a RayCronJob's status is worth.

Owns: which changes are news. Does not own: what the status says (`status`), and the events of
RayJobs made and deleted (`actions`). Invariant: what lasts is told once, across restarts too.
Source: KubeRay 1.7, reason of a suspension; `InvalidRayCronJobSpec` where there is no next time,
where it makes a RayJob of a negative time.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ray_operator import actions, conditions, settings
from ray_operator.api import raycronjob as api
from ray_operator.api import schedule, vocabulary
from ray_operator.raycronjob import due as dues
from ray_operator.raycronjob import plan, ticks

Reason = vocabulary.CronReason
MISSED = "MissedSchedule"
_TOLD = {
    Reason.SUSPENDED: ("Normal", "SuspendedRayCronJob", "Suspend"),
    Reason.NEVER: ("Warning", plan.INVALID_EVENT, "Validate"),
    Reason.FEATURE_GATE_OFF: ("Warning", Reason.FEATURE_GATE_OFF, "Schedule"),
    Reason.WAITING: ("Normal", Reason.WAITING, "Schedule"),
}


def events(
    cron: api.RayCronJob, written: Mapping[str, Any], *, options: settings.Settings
) -> tuple[actions.Event, ...]:
    """Return what is to be told once the status was written."""
    return (*_of_reason(cron.status, written), *_of_missed(cron, written, options))


def _of_reason(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[actions.Event, ...]:
    """Tell why no RayJob is made, when it is another reason than before."""
    type_ = vocabulary.CronCondition.SCHEDULED
    old, new = (
        conditions.find(conditions.read(each.get("conditions", ())), type_)
        for each in (before, after)
    )
    if new is None or (old is not None and old.reason == new.reason):
        return ()
    for reason, (kind, name, action) in _TOLD.items():
        if new.reason == reason:
            return (actions.Event(type=kind, reason=name, action=action, message=new.message),)
    return ()


def _of_missed(
    cron: api.RayCronJob, written: Mapping[str, Any], options: settings.Settings
) -> tuple[actions.Event, ...]:
    """Tell of the ticks that will never be run: those before the one that was, or came too late.

    A base that moved because ticks are counted by something else has missed none.
    """
    base = dues.told_base(cron)
    since = (written.get("observedSchedule") or {}).get("since")
    last = dues.moments(written.get("lastScheduleTime"))
    late = () if dues.has_changed(cron, options) else dues.moments(since)
    if base is None or not (run := max((*last, *late), default=base)) > base:
        return ()
    given, zone = schedule.parse(cron.spec.schedule), dues.zone(cron, options)
    is_run = run in last
    missed = ticks.count(given, zone, after=base, until=run) - is_run
    if missed < 1:
        return ()
    return (
        actions.Event(
            type="Warning",
            reason=MISSED,
            action="Schedule",
            message=_missed(cron, missed, base=base, made=run if is_run else None),
        ),
    )


def _missed(cron: api.RayCronJob, missed: int, *, base: datetime, made: datetime | None) -> str:
    count = f"more than {ticks.MOST_COUNTED}" if missed >= ticks.MOST_COUNTED else f"{missed}"
    told = f"missed runs since {conditions.timestamp(base)}: {count}"
    if made is None:
        return f"{told}; startingDeadlineSeconds is {cron.spec.starting_deadline_seconds}"
    return f"{told}; only the latest is made up for, that of {conditions.timestamp(made)}"
