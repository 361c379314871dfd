"""Decide what to do about one RayCluster now.

Owns: which Pods and Services to create and delete, and why. Does not own: what they look like
(`desired`) or what is said about them (`status`). Invariant: applying a plan to the world it was
made of and planning again gives, after finitely many rounds, an empty plan; the same holds when
only a prefix of it was applied.

Workers that terminate don't count, as in a ReplicaSet, so a replacement starts at once. A head
that terminates does count: two heads behind one Service would split the cluster.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from ray_operator import actions, names, records, settings, validity
from ray_operator.api import raycluster as api
from ray_operator.api.validation import raycluster as rules
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
SPEC_VALID = "RayClusterSpecValid"
CREATE_SERVICE = actions.Reasons("CreatedService", "FailedToCreateService", "FailedCreateService")


def is_ours(cluster: api.RayCluster) -> bool:
    """Tell whether this operator is to reconcile the cluster."""
    return cluster.spec.managed_by in {None, names.MANAGED_BY_US}


def plan(
    cluster: api.RayCluster, observed: seen.Observed, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Return the actions of one pass; nothing for a foreign, deleted or invalid cluster."""
    if not is_ours(cluster) or cluster.metadata.deletion_timestamp:
        return actions.Plan()
    invalid = tuple(rules.errors(cluster, options.feature_gates))
    events = validity.events(cluster, SPEC_VALID, invalid=invalid, warnings=rules.warnings(cluster))
    if invalid:
        return actions.Plan(invalid=invalid, events=events)
    plans = [
        _plan_service(cluster, observed, options),
        _plan_head(cluster, observed, options=options, now=now),
        *(
            _plan_group(cluster, group, observed.worker_pods(group.group_name), options, now)
            for group in cluster.spec.worker_group_specs
        ),
    ]
    waits = [item.requeue_after for item in plans if item.requeue_after is not None]
    return actions.Plan(
        actions=tuple(action for item in plans for action in item.actions),
        requeue_after=min(waits, default=None),
        events=events,
    )


def _plan_service(
    cluster: api.RayCluster, observed: seen.Observed, options: settings.Settings
) -> actions.Plan:
    if observed.head_service() is not None:
        return actions.Plan()
    manifest = desired.head_service(cluster, settings=options)
    return actions.Plan(
        actions=(
            actions.Create(resource=records.SERVICES, manifest=manifest, reasons=CREATE_SERVICE),
        )
    )


def _plan_head(
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
        *(_delete(pod, DELETE_HEAD, _describe(pod)) for pod in broken),
        *(_delete(pod, DELETE_HEAD, "a second head") for pod in best_first[1:]),
    ]
    terminating = [pod for pod in present if pod.deletion_at is not None]
    blocked = any(not seen.is_finished(pod) for pod in [*broken, *terminating])
    if best_first or blocked:
        return actions.Plan(
            actions=tuple(doomed),
            requeue_after=_soonest(wait, _until_stuck(terminating, options=options, now=now)),
        )
    create = actions.Create(
        resource=records.PODS,
        manifest=desired.head_pod(cluster, settings=options),
        reasons=CREATE_HEAD,
    )
    return actions.Plan(actions=(*doomed, create), requeue_after=wait)


def _plan_group(
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
            *(_delete(pod, DELETE_WORKER, "listed in workersToDelete") for pod in dismissed),
            *(_delete(pod, DELETE_WORKER, _describe(pod)) for pod in broken),
            *(
                _delete(pod, DELETE_WORKER, f"group {group.group_name} scales down")
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


def _until_stuck(
    pods: Iterable[records.Pod], *, options: settings.Settings, now: datetime
) -> timedelta | None:
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


def _delete(pod: records.Pod, reasons: actions.Reasons, why: str) -> actions.Delete:
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
