"""Decide what to do about one RayCronJob now.

Owns: whether the RayJob of a tick is made, waits or replaces another, and which RayJobs are kept.
Does not own: what is due (`due`), what a RayJob looks like (`desired`), what is said (`status`).
Invariant: one pass makes at most one RayJob, and none of a tick that has one; applying a plan, or a
prefix of it, and planning again ends in an empty plan until the next tick.
Source: KubeRay 1.7; the concurrency policies and limits are those of batch/v1 CronJob.
"""

import dataclasses
from collections.abc import Iterable
from datetime import datetime, timedelta

from ray_operator import actions, records, settings, validity
from ray_operator.api import raycronjob as api
from ray_operator.api import vocabulary
from ray_operator.api.validation import raycronjob as rules
from ray_operator.raycronjob import desired
from ray_operator.raycronjob import due as dues
from ray_operator.raycronjob import observed as seen

CREATE = actions.Reasons("CreatedRayJob", "FailedToCreateRayJob", "FailedCreateRayJob")
DELETE = actions.Reasons("DeletedRayJob", "FailedToDeleteRayJob", "FailedDeleteRayJob")
INVALID_EVENT = "InvalidRayCronJobSpec"
REPLACED = "another RayJob is due, and concurrencyPolicy is Replace"


def plan(
    cron: api.RayCronJob, observed: seen.Observed, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Return the actions of one pass; nothing for one that is deleted, invalid or gated."""
    if cron.metadata.deletion_timestamp or dues.is_gated(options):
        return actions.Plan()
    invalid = tuple(rules.errors(cron, options.feature_gates))
    events = tuple(
        dataclasses.replace(each, reason=INVALID_EVENT)  # as KubeRay, of the name too
        for each in validity.events(
            cron,
            vocabulary.CronCondition.SPEC_VALID,
            invalid=invalid,
            warnings=rules.warnings(cron),
        )
    )
    if invalid:
        return actions.Plan(invalid=invalid, events=events)
    told = actions.Plan(events=events)
    old = actions.Plan(actions=tuple(_beyond_limits(cron, observed)))
    if dues.is_off(cron, options):
        return actions.joined(told, old)
    return actions.joined(told, _of_tick(cron, observed, options=options, now=now), old)


def waits(cron: api.RayCronJob, observed: seen.Observed) -> bool:
    """Tell whether an earlier RayJob has to end before the next may be made."""
    return cron.spec.concurrency_policy == "Forbid" and bool(observed.active())


def _of_tick(
    cron: api.RayCronJob,
    observed: seen.Observed,
    *,
    options: settings.Settings,
    now: datetime,
) -> actions.Plan:
    """Do what is due, and come back for the next tick.

    Not after more than the time between resyncs, since the clock by which timers run stands still
    while a machine sleeps.
    """
    due = dues.due(cron, observed, options=options, now=now)
    following = due.following - now if due.following else options.resync
    later = actions.Plan(requeue_after=min(following, options.resync))
    if due.tick is None or due.is_late:
        return later
    if waits(cron, observed):
        end = dues.deadline(cron, due.tick)  # after which it is told to have been missed
        left = None if end is None else end - now
        return actions.joined(later, actions.Plan(requeue_after=left))
    replaces = cron.spec.concurrency_policy == "Replace"
    if replaces and (replaced := [run for run in observed.active() if not run.is_going]):
        # The new one comes once all are on their way out: none is forgotten when a delete fails.
        deletes = tuple(_delete(run, REPLACED) for run in replaced)
        return actions.Plan(actions=deletes, requeue_after=timedelta())
    create = actions.Create(
        resource=records.RAYJOBS, manifest=desired.run(cron, due.tick), reasons=CREATE
    )
    return actions.joined(actions.Plan(actions=(create,)), later)


def _beyond_limits(cron: api.RayCronJob, observed: seen.Observed) -> Iterable[actions.Delete]:
    """Delete the oldest of the RayJobs that ended, as far as there are more than to be kept."""
    limits = (
        ("successfulJobsHistoryLimit", cron.spec.successful_jobs_history_limit, observed.succeeded),
        ("failedJobsHistoryLimit", cron.spec.failed_jobs_history_limit, observed.failed),
    )
    for field, limit, ended in limits:
        kept = [run for run in ended() if not run.is_going]
        if limit is not None:
            for run in kept[: max(len(kept) - limit, 0)]:
                yield _delete(run, f"{field} is {limit}")


def _delete(run: seen.Run, why: str) -> actions.Delete:
    return actions.Delete(
        resource=records.RAYJOBS,
        namespace=run.namespace,
        name=run.name,
        uid=run.uid,
        reasons=DELETE,
        why=why,
    )
