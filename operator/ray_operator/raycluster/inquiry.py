"""What a cluster wants of its head: where that is, which nodes shall leave, what to find out.

Owns: the inquiry of one pass. Does not own: asking (`pollers`), or the marks on Pods (`drain`).
Invariant: what it says of drains follows from the Pods alone, so that whoever leads next goes on.
"""

from datetime import datetime

from ray_operator import actions, ray_records, records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import (
    auth,
    autoscaling,
    drain,
    idleness,
    plan,
    rayparams,
    suspension,
    upgrade,
    versions,
)
from ray_operator.raycluster import observed as seen


def inquiry(
    cluster: api.RayCluster, observed: seen.Observed, decided: actions.Plan
) -> ray_records.Inquiry | None:
    """Return what is wanted after a pass that decided so; None: nothing, of nobody."""
    left_alone = cluster.metadata.deletion_timestamp or plan.is_paused(cluster)
    if left_alone or not plan.is_ours(cluster) or decided.invalid:
        return None
    living = (pod for pod in observed.head_pods() if pod.deletion_at is None)
    pod = observed.head() or next(living, None)
    if pod is None:
        return None
    drains = tuple(
        ray_records.Drain(worker, until)
        for worker in observed.worker_pods()
        if (until := _end(worker)) is not None
    )
    is_ours = autoscaling.controller(cluster, pod) is autoscaling.Mode.OPERATOR
    return ray_records.Inquiry(
        head=_head(cluster, pod),
        expected=versions.unremarkable(cluster),
        asks_state=decided.asks_ray or any(each.pod.deletion_at for each in drains),
        asks_drivers=idleness.is_watched(cluster),
        is_scaled=is_ours
        and not suspension.is_wanted(cluster.spec)
        and not _rolls(cluster, observed),
        drains=drains,
    )


def _rolls(cluster: api.RayCluster, observed: seen.Observed) -> bool:
    """Tell whether workers are being replaced, of which there may be more than wanted meanwhile."""
    rolls = upgrade.rolls(cluster) and not upgrade.obstacle(cluster, observed)
    replaces = rolls or upgrade.recreates(cluster)
    return replaces and bool(upgrade.progress(cluster, observed).workers)


def _end(worker: records.Pod) -> datetime | None:
    """Return until when a worker may finish its work; None for one that stays.

    One that somebody else deletes, to empty its node for instance, has until then: Ray gives it
    nothing new when it knows.
    """
    if worker.deletion_at is None:
        return drain.deadline(worker)
    runs = any(each.state == "running" for each in worker.containers)
    return worker.deletion_at if worker.phase == "Running" and runs else None


def _head(cluster: api.RayCluster, pod: records.Pod) -> ray_records.RayHead:
    params = cluster.spec.head_group_spec.ray_start_params
    has_dashboard = params.get("include-dashboard", "").lower() != "false"
    ray = pod.ray()
    return ray_records.RayHead(
        pod_uid=pod.uid,
        restarts=ray.restarts if ray else 0,
        is_up=seen.has_ray(pod),
        host=pod.ip,
        gcs_port=rayparams.port(params, "port", rayparams.GCS_PORT),
        dashboard_port=rayparams.port(params, "dashboard-port", rayparams.DASHBOARD_PORT)
        if has_dashboard
        else 0,
        token_secret=auth.secret_name(cluster),
        wants_own_token=auth.needs_volume(cluster.spec),
        service=rayparams.head_service_name(cluster),
    )
