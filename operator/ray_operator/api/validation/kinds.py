"""All rules of a resource, whatever its kind."""

from typing import NamedTuple

from ray_operator import features
from ray_operator.api import base
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import raycronjob as cron_api
from ray_operator.api import rayjob as job_api
from ray_operator.api import rayservice as service_api
from ray_operator.api.rules import FieldError
from ray_operator.api.validation import raycluster, raycronjob, rayjob, rayservice


class Checked(NamedTuple):
    """What is to be told of a resource: errors stop it, warnings don't."""

    errors: list[FieldError]
    warnings: list[FieldError]


def check(resource: base.Resource, enabled: features.Features) -> Checked:
    """Check a resource of any of our kinds, with the feature gates that are on."""
    match resource:
        case cluster_api.RayCluster():
            found = raycluster.errors(resource, enabled)
            return Checked(found, raycluster.warnings(resource))
        case job_api.RayJob():
            return Checked(rayjob.errors(resource, enabled), [])
        case service_api.RayService():
            found = rayservice.errors(resource, enabled)
            return Checked(found, rayservice.warnings(resource, enabled))
        case cron_api.RayCronJob():
            found = raycronjob.errors(resource, enabled)
            return Checked(found, raycronjob.warnings(resource))
    raise TypeError(f"{type(resource).__name__} has no rules")
