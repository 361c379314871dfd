"""Clusters that nobody uses: noticing it, suspending or deleting them, and waking them again.

Owns: since when nothing goes on, what follows from it and when. Does not own: suspension itself
(`suspension`), or asking (`pollers`). Invariant: what goes on in a cluster whose head doesn't
answer isn't known, so nothing is done about it.
Source: Ray 2.60, idleTerminationOptions, which counts drivers only. Here a cluster in which an
actor, a task or an object is left isn't idle either, whatever version of Ray it runs.
"""

from datetime import UTC, datetime, timedelta

from ray_operator import actions, conditions, names, records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import suspension

SUSPEND = actions.Reasons("IdleClusterSuspended", "FailedToSuspendIdleCluster", "FailedSuspend")
DELETE = actions.Reasons("IdleClusterDeleted", "FailedToDeleteIdleCluster", "FailedDelete")
WAKE = actions.Reasons("ClusterWoken", "FailedToWakeCluster", "FailedWake")
FIELD = "idleSince"
SOON = timedelta(seconds=2)
LOOK_AGAIN = timedelta(seconds=10)
"""At a cluster that is used: that it isn't any more wakes nobody."""


def is_watched(cluster: api.RayCluster) -> bool:
    """Tell whether it matters if anything goes on."""
    given = cluster.spec.idle_termination_options
    is_running = not suspension.is_wanted(cluster.spec)
    return given is not None and given.timeout_seconds is not None and is_running


def since(cluster: api.RayCluster, observed: seen.Observed, now: datetime) -> datetime | None:
    """Return since when nothing has gone on; None while something does.

    What was known stays while the head doesn't answer. A driver that came and went between two
    looks is one that was there.
    """
    if not is_watched(cluster) or observed.is_used:
        return None
    before = conditions.moment(cluster.status.get(FIELD, ""))
    drivers = observed.ray.drivers
    if observed.ray.state is None or drivers is None:
        return before
    if not observed.ray.is_idle():
        return None
    left = datetime.fromtimestamp(drivers.last_ended_ms / 1000, UTC).replace(microsecond=0)
    return max(before or now.replace(microsecond=0), left)


def plan(cluster: api.RayCluster, observed: seen.Observed, now: datetime) -> actions.Plan:
    """Put a cluster to rest that has been idle for its time, and wake one that is asked for.

    The last look at its drivers has to be from after that time.
    """
    if names.WAKE_ANNOTATION in cluster.metadata.annotations:
        return actions.Plan(actions=(_wake(cluster),))
    given, drivers = cluster.spec.idle_termination_options, observed.ray.drivers
    begun = since(cluster, observed, now)
    if given is None or given.timeout_seconds is None or not is_watched(cluster):
        return actions.Plan()
    if begun is None or drivers is None or not observed.ray.is_idle():
        return actions.Plan(requeue_after=LOOK_AGAIN if observed.is_used else None)
    end = begun + timedelta(seconds=given.timeout_seconds)
    if drivers.at < end:
        return actions.Plan(requeue_after=max(end - now, SOON))
    if given.policy == "Delete":
        return actions.Plan(actions=(_delete(cluster, begun),))
    return actions.Plan(actions=(change(cluster, {"spec": {"idleSuspend": True}}, SUSPEND),))


def change(
    cluster: api.RayCluster, patch: actions.Manifest, reasons: actions.Reasons
) -> actions.Patch:
    """Return a change of the RayCluster itself."""
    return actions.Patch(
        resource=records.RAYCLUSTERS,
        namespace=cluster.metadata.namespace,
        name=cluster.metadata.name,
        uid=cluster.metadata.uid,
        change=patch,
        reasons=reasons,
        is_told=True,
    )


def wake(cluster: api.RayCluster) -> actions.Patch:
    """Return what wakes a cluster that was suspended for being idle."""
    return change(cluster, {"spec": {"idleSuspend": False}}, WAKE)


def _wake(cluster: api.RayCluster) -> actions.Patch:
    """Do as the annotation says, and take it away."""
    metadata = {"annotations": {names.WAKE_ANNOTATION: None}}
    return change(cluster, {"metadata": metadata, "spec": {"idleSuspend": False}}, WAKE)


def _delete(cluster: api.RayCluster, begun: datetime) -> actions.Delete:
    return actions.Delete(
        resource=records.RAYCLUSTERS,
        namespace=cluster.metadata.namespace,
        name=cluster.metadata.name,
        uid=cluster.metadata.uid,
        reasons=DELETE,
        why=f"nothing has gone on in it since {conditions.timestamp(begun)}",
    )
