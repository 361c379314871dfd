"""All rules of a RayCronJob.

Source: KubeRay 1.7, validation of RayCronJob. Refused too is what the reference accepts and can't
do: names that no RayJob may have, the zone `Local`, periods below the minute that names are made
of.
"""

import zoneinfo
from collections.abc import Iterator
from datetime import timedelta

from ray_operator import features
from ray_operator.api import raycronjob as api
from ray_operator.api import schedule
from ray_operator.api.rules import FieldError, Rule
from ray_operator.api.validation import meta, rayjob


def errors(cron: api.RayCronJob, enabled: features.Features = features.DEFAULT) -> list[FieldError]:
    """List all that is wrong, with the feature gates that are on."""
    return [
        *meta.name("RayCronJob", cron.metadata),
        *_schedule(cron.spec),
        *_time_zone(cron.spec),
        *rayjob.spec_errors(cron.spec.job_template, "spec.jobTemplate", {}, enabled),
    ]


def warnings(cron: api.RayCronJob) -> list[FieldError]:
    """List what works, and hardly as meant."""
    template = cron.spec.job_template
    if template.job_id and template.cluster_selector:
        message = "is the same for all runs on one cluster: the second finds the first one's job"
        return [FieldError("spec.jobTemplate.jobId", message, Rule.CRON_JOB_ID)]
    return []


def _schedule(spec: api.RayCronJobSpec) -> Iterator[FieldError]:
    text, path = spec.schedule, "spec.schedule"
    if "TZ" in text:
        message = "holds a time zone: give it in timeZone"
        yield FieldError(path, message, Rule.CRON_SCHEDULE)
        return
    try:
        found = schedule.parse(text)
    except ValueError as error:
        yield FieldError(path, str(error), Rule.CRON_SCHEDULE)
        return
    if isinstance(found, schedule.Every) and found.period < timedelta(minutes=1):
        message = f"{text!r} is below a minute, the shortest time between two runs"
        yield FieldError(path, message, Rule.CRON_SCHEDULE)


def _time_zone(spec: api.RayCronJobSpec) -> Iterator[FieldError]:
    zone = spec.time_zone
    if zone is not None and not is_zone(zone):
        message = f"{zone!r} is unknown: use an IANA name such as Europe/Berlin or Etc/UTC"
        yield FieldError("spec.timeZone", message, Rule.CRON_TIME_ZONE)


def is_zone(name: str) -> bool:
    """Tell whether the name is one of the IANA database."""
    try:
        zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return name != "Local"
