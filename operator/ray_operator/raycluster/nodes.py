"""Decide about the Pods of one active RayCluster: its head and its workers, one by one.

Owns: which workers to create and delete for their numbers and health, and why. Does not own: the
head (`head`), cases in which all Pods go (`plan`), or what Pods look like (`desired`). Invariant:
applying the actions and deciding again gives, after finitely many rounds, none.

Workers that terminate don't count, as in a ReplicaSet, so a replacement starts at once.
"""

from collections.abc import Sequence
from datetime import datetime

from ray_operator import actions, conditions, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import backoff, desired, groups, head, replicas, turnover
from ray_operator.raycluster import observed as seen

PROVISIONED = "RayClusterProvisioned"


def plan(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Bring head and workers to their numbers."""
    if not observed.head_pods() and _keeps_lost_head(cluster):
        return actions.Plan()
    plans = [
        head.plan(cluster, observed, options=options, now=now),
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
            turnover.delete(pod, turnover.DELETE_WORKER, "its group was removed from the spec")
            for pod in observed.orphans(cluster)
            if wanted and pod.deletion_at is None
        )
    )


def _group(
    cluster: api.RayCluster,
    group: api.WorkerGroupSpec,
    pods: Sequence[records.Pod],
    options: settings.Settings,
    now: datetime,
) -> actions.Plan:
    """Bring one worker group to its number of Pods.

    A broken Pod goes after its successor was made, which carries on its count of failures.
    """
    if groups.is_multi_host(group, options):
        return replicas.plan(cluster, group, pods, options=options, now=now)
    living = [pod for pod in pods if pod.deletion_at is None]
    listed = set(group.scale_strategy.workers_to_delete) if group.scale_strategy else set()
    dismissed = [pod for pod in living if pod.name in listed]
    health = turnover.sort_broken(
        [pod for pod in living if pod.name not in listed],
        backoff.of_workers(cluster.spec, group, options=options),
        now=now,
    )
    missing = groups.desired_pods(group) - len(health.rest)
    surplus: Sequence[records.Pod] = ()
    autoscaler_decides = cluster.spec.enable_in_tree_autoscaling and not options.random_pod_delete
    if missing < 0 and not autoscaler_decides:
        surplus = sorted(health.rest, key=_kindness)[:-missing]
    indices = turnover.free_indices(health.rest, missing)
    failures = turnover.failures_by_index(health.broken, indices)
    places = [
        desired.Place(
            labels={names.REPLICA_INDEX_LABEL: str(index)},
            annotations=backoff.annotation(failures.get(index, 0)),
        )
        for index in indices
    ]
    manifests = desired.worker_pods(cluster, group, places=places, settings=options)
    return actions.Plan(
        actions=(
            *(
                turnover.delete(pod, turnover.DELETE_WORKER, "listed in workersToDelete")
                for pod in dismissed
            ),
            *(
                turnover.delete(
                    pod, turnover.DELETE_WORKER, f"group {group.group_name} scales down"
                )
                for pod in surplus
            ),
            *(
                actions.Create(
                    resource=records.PODS, manifest=manifest, reasons=turnover.CREATE_WORKER
                )
                for manifest in manifests
            ),
            *(
                turnover.delete(pod, turnover.DELETE_WORKER, turnover.describe(pod))
                for pod, _ in health.broken
            ),
        ),
        requeue_after=health.wait,
    )


def _kindness(pod: records.Pod) -> tuple[bool, bool, bool, int, float, str]:
    """Order victims of a scale-down: those first whose loss costs least."""
    return (
        bool(pod.node),
        pod.phase != "Pending",
        pod.ready is True,
        -turnover.index(pod),
        -pod.created_at.timestamp(),
        pod.name,
    )
