"""Decide about the Pods of one active RayCluster: its head and its workers, one by one.

Owns: which Pods to create and delete for their numbers and health, and why. Does not own: cases in
which all Pods go (`plan`), or what Pods look like (`desired`). Invariant: applying the actions and
deciding again gives, after finitely many rounds, none.

Workers that terminate don't count, as in a ReplicaSet, so a replacement starts at once. A head
that terminates does count: two heads behind one Service would split the cluster.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from ray_operator import actions, conditions, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import desired, groups
from ray_operator.raycluster import observed as seen

CREATE_HEAD = actions.Reasons("CreatedHeadPod", "FailedToCreateHeadPod", "FailedCreateHeadPod")
DELETE_HEAD = actions.Reasons("DeletedHeadPod", "FailedToDeleteHeadPod", "FailedDeleteHeadPod")
CREATE_WORKER = actions.Reasons(
    "CreatedWorkerPod", "FailedToCreateWorkerPod", "FailedCreateWorkerPod"
)
DELETE_WORKER = actions.Reasons(
    "DeletedWorkerPod", "FailedToDeleteWorkerPod", "FailedDeleteWorkerPod"
)
PROVISIONED = "RayClusterProvisioned"


def plan(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Bring head and workers to their numbers."""
    if not observed.head_pods() and _keeps_lost_head(cluster):
        return actions.Plan()
    plans = [
        _head(cluster, observed, options=options, now=now),
        *(
            _group(cluster, group, observed.worker_pods(group.group_name), options, now)
            for group in cluster.spec.worker_group_specs
        ),
        _orphans(cluster, observed),
    ]
    waits = [item.requeue_after for item in plans if item.requeue_after is not None]
    return actions.Plan(
        actions=tuple(action for item in plans for action in item.actions),
        requeue_after=min(waits, default=None),
    )


def _keeps_lost_head(cluster: api.RayCluster) -> bool:
    """Tell whether a head that is lost once all was ready stays lost (RayJob wants that)."""
    said = conditions.read(cluster.status.get("conditions", ()))
    wanted = cluster.metadata.annotations.get(names.KEEP_HEAD_ANNOTATION) == "true"
    return wanted and conditions.is_true(said, PROVISIONED)


def _orphans(cluster: api.RayCluster, observed: seen.Observed) -> actions.Plan:
    """Delete the workers of removed groups if the user wants that."""
    wanted = cluster.metadata.annotations.get(names.DELETE_ORPHANS_ANNOTATION, "").lower() == "true"
    return actions.Plan(
        actions=tuple(
            delete(pod, DELETE_WORKER, "its group was removed from the spec")
            for pod in observed.orphans(cluster)
            if wanted and pod.deletion_at is None
        )
    )


def _head(
    cluster: api.RayCluster,
    observed: seen.Observed,
    *,
    options: settings.Settings,
    now: datetime,
) -> actions.Plan:
    """Keep exactly one head; replace it only when the old one can no longer run."""
    present = [
        pod for pod in observed.head_pods() if not seen.is_stuck(pod, options=options, now=now)
    ]
    living = [pod for pod in present if pod.deletion_at is None]
    broken, rest, wait = _sort_broken(living, options=options, now=now)
    best_first = sorted(rest, key=lambda pod: (pod.ready is not True, pod.created_at))
    doomed = [
        *(delete(pod, DELETE_HEAD, _describe(pod)) for pod in broken),
        *(delete(pod, DELETE_HEAD, "a second head") for pod in best_first[1:]),
    ]
    terminating = [pod for pod in present if pod.deletion_at is not None]
    blocked = any(not seen.is_finished(pod) for pod in [*broken, *terminating])
    if best_first or blocked:
        return actions.Plan(
            actions=tuple(doomed),
            requeue_after=_soonest(wait, until_stuck(terminating, options=options, now=now)),
        )
    create = actions.Create(
        resource=records.PODS,
        manifest=desired.head_pod(cluster, settings=options),
        reasons=CREATE_HEAD,
    )
    return actions.Plan(actions=(*doomed, create), requeue_after=wait)


def _group(
    cluster: api.RayCluster,
    group: api.WorkerGroupSpec,
    pods: Sequence[records.Pod],
    options: settings.Settings,
    now: datetime,
) -> actions.Plan:
    """Bring one worker group to its number of Pods."""
    living = [pod for pod in pods if pod.deletion_at is None]
    listed = set(group.scale_strategy.workers_to_delete) if group.scale_strategy else set()
    dismissed = [pod for pod in living if pod.name in listed]
    broken, running, wait = _sort_broken(
        [pod for pod in living if pod.name not in listed], options=options, now=now
    )
    missing = groups.desired_pods(group) - len(running)
    surplus: Sequence[records.Pod] = ()
    autoscaler_decides = cluster.spec.enable_in_tree_autoscaling and not options.random_pod_delete
    if missing < 0 and not autoscaler_decides:
        surplus = sorted(running, key=_kindness)[:-missing]
    indices = _free_indices(running, missing)
    return actions.Plan(
        actions=(
            *(delete(pod, DELETE_WORKER, "listed in workersToDelete") for pod in dismissed),
            *(delete(pod, DELETE_WORKER, _describe(pod)) for pod in broken),
            *(
                delete(pod, DELETE_WORKER, f"group {group.group_name} scales down")
                for pod in surplus
            ),
            *(
                actions.Create(
                    resource=records.PODS,
                    manifest=desired.worker_pod(
                        cluster, group, replica_index=index, settings=options
                    ),
                    reasons=CREATE_WORKER,
                )
                for index in indices
            ),
        ),
        requeue_after=wait,
    )


def _sort_broken(
    pods: Iterable[records.Pod], *, options: settings.Settings, now: datetime
) -> tuple[list[records.Pod], list[records.Pod], timedelta | None]:
    """Split into Pods to replace now and the rest; and when to look again for the rest.

    A Pod that broke right after its creation keeps its place until its pace is over: what fails
    at once would otherwise be created and deleted without end.
    """
    broken, rest, wait = [], [], None
    for pod in pods:
        if not seen.is_broken(pod):
            rest.append(pod)
        elif (left := pod.created_at + options.replace_pace - now) > timedelta():
            rest.append(pod)
            wait = _soonest(wait, left)
        else:
            broken.append(pod)
    return broken, rest, wait


def until_stuck(
    pods: Iterable[records.Pod], *, options: settings.Settings, now: datetime
) -> timedelta | None:
    """Return how long until the first of the Pods, which terminate, no longer counts."""
    moments = [pod.deletion_at + options.stuck_after for pod in pods if pod.deletion_at is not None]
    if not moments:
        return None
    return max(min(moments) - now, timedelta()) + timedelta(seconds=1)


def _soonest(*waits: timedelta | None) -> timedelta | None:
    return min((wait for wait in waits if wait is not None), default=None)


def _kindness(pod: records.Pod) -> tuple[bool, bool, bool, int, float, str]:
    """Order victims of a scale-down: those first whose loss costs least."""
    return (
        bool(pod.node),
        pod.phase != "Pending",
        pod.ready is True,
        -_index(pod),
        -pod.created_at.timestamp(),
        pod.name,
    )


def _free_indices(pods: Iterable[records.Pod], count: int) -> list[int]:
    """Return the `count` smallest replica indices that no Pod uses."""
    used = {_index(pod) for pod in pods}
    free = (index for index in range(len(used) + max(count, 0)) if index not in used)
    return [index for index, _ in zip(free, range(max(count, 0)), strict=False)]


def _index(pod: records.Pod) -> int:
    text = pod.labels.get(names.REPLICA_INDEX_LABEL, "")
    return int(text) if text.isdigit() else -1


def delete(pod: records.Pod, reasons: actions.Reasons, why: str) -> actions.Delete:
    """Return the deletion of a Pod; `why` is for the event."""
    return actions.Delete(
        resource=records.PODS,
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        reasons=reasons,
        why=why,
    )


def _describe(pod: records.Pod) -> str:
    """Say how a broken Pod ended."""
    ray = next((item for item in pod.containers if item.name == pod.ray_container), None)
    said = f"phase {pod.phase}, restartPolicy {pod.restart_policy}"
    if pod.reason:
        said += f", {pod.reason} {pod.message}".rstrip()
    if ray is not None and ray.state == "terminated":
        said += f", container {ray.name}: {ray.reason}, exit code {ray.exit_code}"
    return said
