"""Say what is: the whole next status of a RayCronJob.

Owns: its fields and conditions. Does not own: what is due (`due`), or writing it (`statuses`).
Invariant: equal observations give an equal status, and nothing in it moves between two ticks but by
what happens to RayJobs, so that a quiet RayCronJob is never written.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ray_operator import actions, conditions, records, settings, validity
from ray_operator.api import raycronjob as api
from ray_operator.api import vocabulary
from ray_operator.raycronjob import due as dues
from ray_operator.raycronjob import observed as seen
from ray_operator.raycronjob import plan

Json = Mapping[str, Any]
MOST_NAMED = 5

Type = vocabulary.CronCondition
Reason = vocabulary.CronReason
GATE_OFF = (
    "the feature gate RayCronJob is off, so no RayJob is made: run the operator with"
    " --feature-gates=RayCronJob=true, or set it in featureGates of its Helm chart"
)


def next_status(
    cron: api.RayCronJob,
    observed: seen.Observed,
    outcome: actions.Outcome,
    now: datetime,
    *,
    options: settings.Settings,
) -> Mapping[str, Any] | None:
    """Return the whole next status; None for one that is on its way out."""
    if cron.metadata.deletion_timestamp:
        return None
    previous = cron.status
    before = conditions.read(previous.get("conditions", ()))
    current, counted = _said(cron, observed, outcome=outcome, options=options, now=now)
    status = {
        **previous,
        **_times(cron, observed, now),
        "active": [_reference(run) for run in observed.active()],
        "observedSchedule": counted,
        "conditions": [item.manifest() for item in conditions.merge(before, current, now=now)],
        "observedGeneration": cron.metadata.generation,
    }
    return {name: value for name, value in status.items() if value}


def _said(
    cron: api.RayCronJob,
    observed: seen.Observed,
    *,
    outcome: actions.Outcome,
    options: settings.Settings,
    now: datetime,
) -> tuple[list[conditions.Condition], Json]:
    """Return the conditions, and by what ticks were counted."""
    if dues.is_gated(options):
        known = conditions.read(cron.status.get("conditions", ()))
        kept = conditions.find(known, Type.SPEC_VALID)  # it isn't looked at
        gated = _scheduled(cron, Reason.FEATURE_GATE_OFF, GATE_OFF)
        return [*([kept] if kept else ()), gated], _counted(cron, None, options=options, now=now)
    found = outcome.invalid
    valid = validity.condition(Type.SPEC_VALID, found)
    valid = dataclasses.replace(valid, observed_generation=cron.metadata.generation)
    if found:
        stopped = _scheduled(cron, Reason.INVALID, "no RayJob is made: the spec isn't valid")
        return [valid, stopped], cron.status.get("observedSchedule", {})
    if dues.is_off(cron, options):
        suspended = _scheduled(cron, Reason.SUSPENDED, "no RayJob is made: suspend is true")
        return [valid, suspended], _counted(cron, None, options=options, now=now)
    due = dues.due(cron, observed, options=options, now=now)
    counted = _counted(cron, due, options=options, now=now)
    said = _scheduling(cron, observed, outcome=outcome, due=due, options=options)
    return [valid, _scheduled(cron, *said)], counted


def _scheduling(
    cron: api.RayCronJob,
    observed: seen.Observed,
    *,
    outcome: actions.Outcome,
    due: dues.Due,
    options: settings.Settings,
) -> tuple[Reason, str]:
    """Tell how far what is due is done, and what is next."""
    if failed := [each for each in outcome.failures if _is_for_run(each)]:
        return Reason.NOT_CREATED, "; ".join(map(actions.told, failed))
    if due.tick is not None and not due.is_late and plan.waits(cron, observed):
        going = ", ".join(run.name for run in observed.active()[:MOST_NAMED])
        return Reason.WAITING, f"a RayJob is due once {going} ended: concurrencyPolicy is Forbid"
    if due.following is None:
        message = f"{cron.spec.schedule!r} names no time in the next five years"
        return Reason.NEVER, message
    zone = dues.zone(cron, options)
    moment = due.following.astimezone(zone).isoformat(timespec="seconds")
    return Reason.ON_TIME, f"the next RayJob is due at {moment} ({zone.key})"


def _is_for_run(failure: actions.Result) -> bool:
    """Tell whether a RayJob that is due wasn't made for it, rather than an old one deleted."""
    action = failure.action
    return not isinstance(action, actions.Delete) or action.why == plan.REPLACED


def _scheduled(cron: api.RayCronJob, reason: Reason, message: str) -> conditions.Condition:
    return conditions.Condition(
        type=Type.SCHEDULED,
        status="True" if reason is Reason.ON_TIME else "False",
        reason=reason,
        message=message,
        observed_generation=cron.metadata.generation,
    )


def _counted(
    cron: api.RayCronJob, due: dues.Due | None, *, options: settings.Settings, now: datetime
) -> Json:
    """Return by what ticks are counted, and up to where none is made up for."""
    since = (cron.status.get("observedSchedule") or {}).get("since")
    if dues.has_changed(cron, options):
        since = conditions.timestamp(now)
    elif due is not None and due.tick is not None and due.is_late:
        since = conditions.timestamp(due.tick)
    return {**dues.counted_by(cron, options), **({"since": since} if since else {})}


def _times(cron: api.RayCronJob, observed: seen.Observed, now: datetime) -> Json:
    """Return when a RayJob was last made and when one last succeeded, as far as it is known."""
    ends = [run.ended_at for run in observed.succeeded() if run.ended_at is not None]
    moments = {
        "lastScheduleTime": dues.last_tick(cron.status, observed, now),
        "lastSuccessfulTime": max(
            (*ends, *dues.moments(cron.status.get("lastSuccessfulTime"))), default=None
        ),
    }
    return {name: conditions.timestamp(each) for name, each in moments.items() if each}


def _reference(run: seen.Run) -> Json:
    return {
        "apiVersion": records.RAYJOBS.api_version,
        "kind": records.RAYJOBS.kind,
        "namespace": run.namespace,
        "name": run.name,
        "uid": run.uid,
    }
