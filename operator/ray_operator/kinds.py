"""Our kinds as the loop works them: how the parts of each come together.

Owns: wiring the pure parts to the stores and pollers. Does not own: any decision, or RayCronJobs
(`cronjobs`). Invariant: nothing here asks the cluster anything.
"""

import functools
from typing import Any

from ray_operator import (
    job_pollers,
    lookups,
    observe,
    pollers,
    reconcile,
    records,
    serve_pollers,
    settings,
    stores,
)
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayjob as job_api
from ray_operator.api import rayservice as service_api
from ray_operator.raycluster import inquiry, plan, status, transitions
from ray_operator.raycluster import observed as cluster_seen
from ray_operator.rayjob import inquiry as job_inquiry
from ray_operator.rayjob import observed as job_seen
from ray_operator.rayjob import plan as job_plan
from ray_operator.rayjob import status as job_status
from ray_operator.rayjob import transitions as job_transitions
from ray_operator.rayservice import observed as service_seen
from ray_operator.rayservice import plan as service_plan
from ray_operator.rayservice import status as service_status
from ray_operator.rayservice import transitions as service_transitions


def raycluster(
    world: observe.World,
    watched: stores.Stores,
    heads: pollers.Pollers,
    around: lookups.Lookups,
) -> reconcile.Kind[cluster_api.RayCluster, cluster_seen.Observed]:
    """Return what the loop must know of RayClusters."""
    return reconcile.Kind(
        resource=records.RAYCLUSTERS,
        decode=cluster_api.RayCluster.model_validate_json,
        refresh=watched.refresh,
        look_up=around.around,
        observe=world.raycluster,
        plan=plan.plan,
        inquire=lambda cluster, observed, decided, _: inquiry.inquiry(cluster, observed, decided),
        ask=heads.ask,
        next_status=status.next_status,
        news=transitions.events,
        follows=status.follows,
    )


def rayjob(
    world: observe.World,
    watched: stores.Stores,
    jobs: job_pollers.JobPollers,
    options: settings.Settings,
) -> reconcile.Kind[job_api.RayJob, job_seen.Observed]:
    """Return what the loop must know of RayJobs."""

    def inquire(job: job_api.RayJob, observed: job_seen.Observed, decided: Any, _: Any) -> Any:
        return job_inquiry.inquiry(job, observed, decided, options=options)

    return reconcile.Kind(
        resource=records.RAYJOBS,
        decode=job_api.RayJob.model_validate_json,
        refresh=watched.refresh_job,
        look_up=lookups.nothing,
        observe=world.rayjob,
        plan=job_plan.plan,
        inquire=inquire,
        ask=jobs.ask,
        next_status=functools.partial(job_status.next_status, options=options),
        news=job_transitions.events,
        goes_on=job_status.goes_on,
    )


def rayservice(
    world: observe.World,
    watched: stores.Stores,
    serve: serve_pollers.ServePollers,
    options: settings.Settings,
) -> reconcile.Kind[service_api.RayService, service_seen.Observed]:
    """Return what the loop must know of RayServices."""
    return reconcile.Kind(
        resource=records.RAYSERVICES,
        decode=service_api.RayService.model_validate_json,
        refresh=watched.refresh_service,
        look_up=lookups.nothing,
        observe=world.rayservice,
        plan=service_plan.plan,
        inquire=functools.partial(service_plan.wanted, options=options),
        ask=serve.ask,
        next_status=functools.partial(service_status.next_status, options=options),
        news=service_transitions.events,
        goes_on=service_status.goes_on,
    )
