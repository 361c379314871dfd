"""Removing a cluster's state from Redis when the cluster is deleted, by a Job and a finalizer.

Owns: when the finalizer comes and goes, and the Job. Does not own: what the head is told of Redis
(`fault_tolerance`). Invariant: the finalizer is there before the first Pod, and goes in bounded
time whatever becomes of Redis, the options or the Job. Source: KubeRay 1.7, Redis cleanup.
"""

from datetime import datetime, timedelta
from typing import Any

from ray_operator import actions, finalizers, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import containers, desired, fault_tolerance, metadata, turnover
from ray_operator.raycluster import observed as seen

FINALIZER = "ray.io/gcs-ft-redis-cleanup-finalizer"
TIMEOUT = timedelta(seconds=300)
JOB_SECONDS = 300
NODE_TYPE = "redis-cleanup"
HOLD = actions.Reasons("AddedFinalizer", "FailedToAddFinalizer", "FailedAddFinalizer")
RELEASE = actions.Reasons("RemovedFinalizer", "FailedToRemoveFinalizer", "FailedRemoveFinalizer")
CREATE = actions.Reasons(
    "CreatedRedisCleanupJob", "FailedToCreateRedisCleanupJob", "FailedCreateRedisCleanupJob"
)
DELETE = actions.Reasons("DeletedPod", "FailedToDeletePod", "FailedDeletePod")
_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"
"""Finalizers of the garbage collector: it deletes what is ours, the Job too, or leaves it all.

It takes its own off when it is done: a pass that comes only then can't tell what was orphaned.
"""

# It mustn't wait for Redis without end: the finalizer would be removed before it could tell why.
_RETRIES = {
    "RAY_redis_db_connect_retries": "120",
    "RAY_redis_db_connect_wait_milliseconds": "500",
}
_RESOURCES = {
    "limits": {"cpu": "1", "memory": "1Gi"},
    "requests": {"cpu": "200m", "memory": "256Mi"},
}
_NOT_FOR_A_JOB = (
    "affinity",
    "nodeSelector",
    "priority",
    "priorityClassName",
    "schedulingGates",
    "tolerations",
    "topologySpreadConstraints",
)
_SCRIPT = """\
import os, sys, urllib.parse
from ray._private.gcs_utils import cleanup_redis_storage

first = os.environ["RAY_REDIS_ADDRESS"].split(",")[0]
url = urllib.parse.urlparse(first if "://" in first else "redis://" + first)
namespace = os.environ["RAY_external_storage_namespace"]
given = {}
if "REDIS_USERNAME" in os.environ:
    given["username"] = os.environ["REDIS_USERNAME"] or url.username or ""
print("removing the keys of", namespace, "from", url.hostname, flush=True)
done = cleanup_redis_storage(
    host=url.hostname,
    port=url.port or 6379,
    password=os.environ.get("REDIS_PASSWORD") or url.password or "",
    use_ssl=url.scheme == "rediss",
    storage_namespace=namespace,
    **given,
)
sys.exit(0 if done else 1)
"""


def hold(cluster: api.RayCluster, options: settings.Settings) -> actions.Plan | None:
    """Return the plan that adds the finalizer; None when it is there, or not needed."""
    wanted = options.redis_cleanup and fault_tolerance.uses_redis(cluster)
    if not wanted or FINALIZER in cluster.metadata.finalizers:
        return None
    added = finalizers.added(cluster, FINALIZER, of=records.RAYCLUSTERS, reasons=HOLD)
    return actions.Plan(actions=(added,), requeue_after=timedelta())


def plan(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Clean up after a cluster that is being deleted, and let it go."""
    deleted_at = cluster.metadata.deletion_timestamp
    if deleted_at is None or FINALIZER not in cluster.metadata.finalizers:
        return actions.Plan()
    release = finalizers.removed(cluster, FINALIZER, of=records.RAYCLUSTERS, reasons=RELEASE)
    left = deleted_at + _timeout(cluster) - now
    is_wanted = options.redis_cleanup and fault_tolerance.uses_redis(cluster)
    if not is_wanted or _ORPHAN in cluster.metadata.finalizers:
        return actions.Plan(actions=(release,))
    if left <= timedelta():
        return actions.Plan(actions=(release,), events=(_forced(cluster),))
    removal = _remove(cluster, observed, options=options, left=left, release=release)
    return removal or actions.Plan(actions=(release,))


def _remove(
    cluster: api.RayCluster,
    observed: seen.Observed,
    *,
    options: settings.Settings,
    left: timedelta,
    release: actions.Patch,
) -> actions.Plan | None:
    """Stop the head, whose GCS would write on, then run the Job; None when that is done.

    A deletion in the foreground, such as Argo CD's, would take a Job that came before its end.
    """
    if observed.head_pods():
        why = "the cluster is deleted, and its state in Redis with it"
        living = (pod for pod in observed.pods if pod.deletion_at is None)
        doomed = tuple(turnover.delete(pod, DELETE, why) for pod in living)
        return actions.Plan(actions=doomed, requeue_after=left)
    if not observed.jobs and _FOREGROUND in cluster.metadata.finalizers:
        return actions.Plan(requeue_after=left)
    if not observed.jobs:
        create = actions.Create(
            resource=records.JOBS,
            manifest=job(cluster, settings=options),
            reasons=CREATE,
            otherwise=release,
        )
        return actions.Plan(actions=(create,), requeue_after=left)
    if any(each.is_finished for each in observed.jobs):
        return None
    return actions.Plan(requeue_after=left)


def _timeout(cluster: api.RayCluster) -> timedelta:
    text = cluster.metadata.annotations.get(names.CLEANUP_TIMEOUT_ANNOTATION, "")
    is_number = text.isascii() and text.isdigit() and len(text) < 10  # more overflows dates
    seconds = int(text) if is_number else 0
    return timedelta(seconds=seconds) if seconds else TIMEOUT


def _forced(cluster: api.RayCluster) -> actions.Event:
    message = (
        "The state in Redis was not removed in time, and the cluster is let go without it: remove"
        f" the keys that begin with RAY{fault_tolerance.storage_namespace(cluster)}@ by hand"
    )
    return actions.Event(
        type="Warning", reason="ForceDeletedStuckCluster", action="Cleanup", message=message
    )


def job(cluster: api.RayCluster, *, settings: settings.Settings) -> dict[str, Any]:
    """Return the Job that removes the keys, made of the head Pod as it would be."""
    head = desired.head_pod(cluster, settings=settings)
    labels = {**head["metadata"]["labels"], names.NODE_TYPE_LABEL: NODE_TYPE}
    annotations = head["metadata"].get("annotations", {})
    spec = {key: value for key, value in head["spec"].items() if key not in _NOT_FOR_A_JOB}
    kept = ("image", "imagePullPolicy", "envFrom", "securityContext", "volumeMounts")
    ray = head["spec"]["containers"][0]
    retries = [{"name": name, "value": value} for name, value in _RETRIES.items()]
    container = {
        "name": ray["name"],
        **{key: ray[key] for key in kept if key in ray},
        "env": [*ray["env"], *retries],
        "command": containers.shell(settings),
        "args": [f"exec python -c '{_SCRIPT}'"],
        "resources": _RESOURCES,
    }
    name = names.label_value(f"{cluster.metadata.name}-redis-cleanup")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata.child(cluster, {"name": name}, labels=labels, annotations=annotations),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": JOB_SECONDS,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {**spec, "containers": [container], "restartPolicy": "Never"},
            },
        },
    }
