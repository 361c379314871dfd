"""Decide about worker groups whose replicas are several Pods that live and die together.

Owns: which replicas come and go, whole. Does not own: groups of single Pods (`nodes`), or what Pods
look like (`desired`). Invariant: no replica is ever left with some of its Pods: accelerators that
span hosts start over together. Source: KubeRay 1.7, multi-host groups.

Pods without the labels of a replica, as older operators made them, become replicas as they are, so
that nothing restarts; only what is left over goes.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from ray_operator import actions, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import backoff, desired, groups, rollout, turnover, upgrade
from ray_operator.raycluster import observed as seen

LABEL = actions.Reasons("LabelledPod", "FailedToLabelPod", "FailedLabelPod")


def plan(
    cluster: api.RayCluster,
    group: api.WorkerGroupSpec,
    observed: seen.Observed,
    *,
    room: int,
    options: settings.Settings,
    now: datetime,
) -> actions.Plan:
    """Bring the group to its number of whole, healthy replicas.

    This pass makes as many as `room` Pods are, or one, since half a replica would be broken (none
    when others have taken far more room than there was). A broken one goes after its successor was
    made, which carries on its count of failures; if not all are made now, others stay.
    """
    living = _living(group, observed)
    judge = backoff.of_workers(cluster.spec, group, options=options)
    health = turnover.sort_broken(living, judge, now=now)
    reasons = _reasons(group, [pod for pod, _ in health.broken])
    whole, broken = [], []
    for replica in grouped(living).values():
        why = next((reasons[pod.name] for pod in replica if pod.name in reasons), "")
        if not why and _is_incomplete(cluster, group, replica):
            why = f"its replica has {len(replica)} of {groups.hosts(group)} Pods"
        if why:
            broken.append((replica, why))
        else:
            whole.append(replica)
    wanted = groups.desired_replicas(group)
    sizing = rollout.plan(cluster, group, observed, whole, wanted=wanted, options=options, now=now)
    create = min(sizing.create, max(room // groups.hosts(group), int(room > -api.MOST_HOSTS)))
    indices = turnover.free_indices((replica[0] for replica in whole), create)
    failures = turnover.failures_by_index(health.broken, indices)
    listed = groups.listed(group)
    doomed = [
        turnover.delete(pod, turnover.DELETE_WORKER, why)
        for replica, why in broken
        if create == sizing.create
        or turnover.index(replica[0]) in {-1, *indices}
        or any(pod.name in listed for pod in replica)
        for pod in replica
    ]
    places = [
        desired.Place(
            labels={**labels, names.HOST_INDEX_LABEL: str(host)},
            annotations=backoff.annotation(failures.get(index, 0)),
        )
        for index in indices
        for labels in [_labels(cluster.metadata.uid, group, index, now=now)]
        for host in range(groups.hosts(group))
    ]
    created = [
        actions.Create(resource=records.PODS, manifest=manifest, reasons=turnover.CREATE_WORKER)
        for manifest in desired.worker_pods(
            cluster,
            group,
            places=places,
            waits=not observed.has_settled_head(now),
            settings=options,
        )
    ]
    # The successors carry on the count of failures, so they come first.
    return actions.joined(
        actions.Plan(
            actions=(*created, *doomed),
            requeue_after=health.wait if create == sizing.create else timedelta(),
        ),
        sizing.leaving,
    )


def _is_incomplete(
    cluster: api.RayCluster, group: api.WorkerGroupSpec, replica: Sequence[records.Pod]
) -> bool:
    """Tell whether hosts are missing; one that rolls to another number of hosts may have fewer."""
    rolls = upgrade.rolls(cluster) and upgrade.is_old(cluster.spec, group)(replica[0])
    return len(replica) < groups.hosts(group) and not rolls


def _reasons(group: api.WorkerGroupSpec, broken: Iterable[records.Pod]) -> Mapping[str, str]:
    """Say by Pod name why its replica has to go."""
    return {
        **dict.fromkeys(groups.listed(group), "its replica is listed in workersToDelete"),
        **{pod.name: f"its replica is broken: {turnover.describe(pod)}" for pod in broken},
    }


def _living(group: api.WorkerGroupSpec, observed: seen.Observed) -> list[records.Pod]:
    return [pod for pod in observed.worker_pods(group.group_name) if pod.deletion_at is None]


def grouped(pods: Iterable[records.Pod]) -> dict[str, list[records.Pod]]:
    """Return the Pods of each replica; one without the label is its own."""
    found: dict[str, list[records.Pod]] = {}
    for pod in pods:
        found.setdefault(pod.labels.get(names.REPLICA_NAME_LABEL, pod.name), []).append(pod)
    return found


def _labels(uid: str, group: api.WorkerGroupSpec, index: int, *, now: datetime) -> dict[str, str]:
    """Name a new replica: never as one before, which Ray may still remember."""
    digest = hashlib.sha256(f"{uid} {group.group_name} {index} {now.isoformat()}".encode()).digest()
    suffix = "".join(
        names.SUFFIX_ALPHABET[byte % len(names.SUFFIX_ALPHABET)]
        for byte in digest[: names.SUFFIX_LENGTH]
    )
    stem = group.group_name[: names.LABEL_LENGTH - names.SUFFIX_LENGTH - 1]
    return {
        names.REPLICA_INDEX_LABEL: str(index),
        names.REPLICA_NAME_LABEL: f"{stem}-{suffix}",
    }


def labelling(
    group: api.WorkerGroupSpec, observed: seen.Observed, *, now: datetime
) -> actions.Plan | None:
    """Make replicas of Pods that lack the labels, oldest first; None when there are none.

    Of many, a pass makes so many whole ones that nothing is cut off its plan: half of one would be
    broken.
    """
    living = _living(group, observed)
    lost = [pod for pod in living if names.REPLICA_NAME_LABEL not in pod.labels]
    if not lost:
        return None
    lost.sort(key=lambda pod: (pod.created_at, pod.name))
    hosts = groups.hosts(group)
    most = max(actions.MOST_CHANGES // 2 // hosts, 1) * hosts
    left = lost[most:]
    lost = lost[:most]
    count = len(lost) // hosts
    named = [pod for pod in living if names.REPLICA_NAME_LABEL in pod.labels]
    patches = [
        _patch(pod, {**labels, names.HOST_INDEX_LABEL: str(host)})
        for place, index in enumerate(turnover.free_indices(named, count))
        for labels in [_labels(lost[place * hosts].uid, group, index, now=now)]
        for host, pod in enumerate(lost[place * hosts : (place + 1) * hosts])
    ]
    why = "it has no labels of a replica, and too few others are like it"
    rest = [
        turnover.delete(pod, turnover.DELETE_WORKER, why)
        for pod in lost[count * hosts :]
        if not left
    ]
    return actions.Plan(actions=(*patches, *rest), requeue_after=timedelta())


def _patch(pod: records.Pod, labels: Mapping[str, str]) -> actions.Patch:
    return actions.Patch(
        resource=records.PODS,
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        change={"metadata": {"labels": labels}},
        reasons=LABEL,
    )
