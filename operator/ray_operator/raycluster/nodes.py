"""Decide about the Pods of one active RayCluster: its head and its workers, one by one.

Owns: which workers to create and delete for their numbers and health, and why. Does not own: the
head (`head`), cases in which all Pods go (`plan`), or what Pods look like (`desired`). Invariant:
applying the actions and deciding again gives, after finitely many rounds, none.

Workers that terminate don't count, as in a ReplicaSet, so a replacement starts at once.
"""

from datetime import datetime, timedelta

from ray_operator import actions, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import (
    backoff,
    desired,
    drain,
    groups,
    head,
    replicas,
    rollout,
    turnover,
    upgrade,
)
from ray_operator.raycluster import observed as seen


def plan(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Bring head and workers to their numbers."""
    if not observed.head_pods() and head.stays_lost(cluster, observed):
        return actions.Plan()
    for group in cluster.spec.worker_group_specs:
        is_whole = groups.is_multi_host(group, options)
        if is_whole and (first := replicas.labelling(group, observed, now=now)):
            return first
    plans = [head.plan(cluster, observed, options=options, now=now)]
    room = turnover.MOST_CREATED
    for group in cluster.spec.worker_group_specs:
        made = _group(cluster, group, observed, room=room, options=options, now=now)
        room -= sum(map(actions.makes, made.actions))
        plans.append(made)
    plans += [
        _orphans(cluster, observed, options=options, now=now),
        _doomed(cluster, observed, options=options, now=now),
    ]
    return actions.joined(*plans)


def _doomed(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Let workers go whose nodes will; what is marked has its successor made at once."""
    staying = [
        pod
        for pod in observed.worker_pods()
        if pod.deletion_at is None and not drain.is_draining(pod)
    ]
    going = [
        replica
        for replica in replicas.grouped(staying).values()
        if any(pod.node in observed.doomed for pod in replica)
    ]
    why = f"its node is taken away ({', '.join(sorted(set(observed.doomed.values())))})"
    return drain.dismiss(cluster, observed, going, why=why, options=options, now=now)


def _orphans(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Let the workers of removed groups go if the user wants that, or they were on their way."""
    wanted = upgrade.removes_groups(cluster)
    going = [
        [pod]
        for pod in observed.orphans(cluster)
        if pod.deletion_at is None and (wanted or drain.is_draining(pod))
    ]
    why = "its group was removed from the spec"
    return drain.dismiss(cluster, observed, going, why=why, options=options, now=now)


def _group(
    cluster: api.RayCluster,
    group: api.WorkerGroupSpec,
    observed: seen.Observed,
    *,
    room: int,
    options: settings.Settings,
    now: datetime,
) -> actions.Plan:
    """Bring one worker group to its number of Pods, of which this pass makes `room` or one.

    A broken Pod goes after its successor was made, which carries on its count of failures; if not
    all are made now, others stay.
    """
    if groups.is_multi_host(group, options):
        return replicas.plan(cluster, group, observed, room=room, options=options, now=now)
    pods = observed.worker_pods(group.group_name)
    living = [pod for pod in pods if pod.deletion_at is None]
    listed = groups.listed(group)
    dismissed = [pod for pod in living if pod.name in listed]
    health = turnover.sort_broken(
        [pod for pod in living if pod.name not in listed],
        backoff.of_workers(cluster.spec, group, options=options),
        now=now,
    )
    wanted, running = groups.desired_pods(group), health.rest
    sizing = rollout.plan(
        cluster,
        group,
        observed,
        [[pod] for pod in running],
        wanted=wanted,
        options=options,
        now=now,
    )
    create = min(sizing.create, max(room, 1))
    indices = turnover.free_indices(running, create)
    failures = turnover.failures_by_index(health.broken, indices)
    places = [
        desired.Place(
            labels={names.REPLICA_INDEX_LABEL: str(index)},
            annotations=backoff.annotation(failures.get(index, 0)),
        )
        for index in indices
    ]
    waits = not observed.has_settled_head(now)
    manifests = desired.worker_pods(cluster, group, places=places, waits=waits, settings=options)
    reasons = turnover.DELETE_WORKER
    return actions.joined(
        actions.Plan(
            actions=tuple(
                turnover.delete(pod, reasons, "listed in workersToDelete") for pod in dismissed
            )
        ),
        sizing.leaving,
        actions.Plan(
            actions=(
                *(
                    actions.Create(
                        resource=records.PODS, manifest=manifest, reasons=turnover.CREATE_WORKER
                    )
                    for manifest in manifests
                ),
                *(
                    turnover.delete(pod, reasons, turnover.describe(pod))
                    for pod, _ in health.broken
                    if create == sizing.create or turnover.index(pod) in {-1, *indices}
                ),
            ),
            requeue_after=health.wait if create == sizing.create else timedelta(),
        ),
    )
