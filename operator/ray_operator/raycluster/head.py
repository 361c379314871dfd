"""Decide about the head of one active RayCluster.

Owns: when the one head is made and when it is replaced. Does not own: the workers (`nodes`), or
what a head looks like (`desired`). Invariant: never two heads that could both run: behind one
Service they would split the cluster. A head that terminates counts until it is given up as stuck;
one with an embedded store as long as its Pod is there, for its node may still write to the volume.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from ray_operator import actions, conditions, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import (
    account,
    backoff,
    desired,
    head_service,
    storage,
    turnover,
    upgrade,
)
from ray_operator.raycluster import observed as seen

LOOK_AGAIN = timedelta(seconds=10)


def plan(
    cluster: api.RayCluster,
    observed: seen.Observed,
    *,
    options: settings.Settings,
    now: datetime,
) -> actions.Plan:
    """Keep exactly one head; replace it only when the old one can no longer run."""
    heads = observed.head_pods()
    if storage.is_on(cluster):
        present = [*heads, *(pod for pod in observed.former if seen.is_head(pod))]
    else:
        present = [pod for pod in heads if not seen.is_stuck(pod, options=options, now=now)]
    living = [pod for pod in heads if pod.deletion_at is None]
    health = _health(cluster, observed, living, options=options, now=now)
    if records_ := _records(cluster, observed, health.broken):
        return actions.Plan(actions=records_, requeue_after=timedelta())
    broken = [pod for pod, _ in health.broken]
    best_first = sorted(health.rest, key=lambda pod: (pod.ready is not True, pod.created_at))
    outdated = [pod for pod in best_first[:1] if upgrade.replaces_head(cluster, observed, pod)]
    why = "the head gets its new template"
    doomed = [
        *(turnover.delete(pod, turnover.DELETE_HEAD, why) for pod in outdated),
        *(turnover.delete(pod, turnover.DELETE_HEAD, turnover.describe(pod)) for pod in broken),
        *(turnover.delete(pod, turnover.DELETE_HEAD, "a second head") for pod in best_first[1:]),
    ]
    terminating = [pod for pod in present if pod not in living]
    blocked = any(not seen.is_finished(pod) for pod in [*broken, *terminating])
    if best_first or blocked:
        return actions.Plan(
            actions=tuple(doomed),
            requeue_after=turnover.soonest(
                health.wait, _until_gone(cluster, terminating, options=options, now=now)
            ),
        )
    if stays_lost(cluster, observed):
        return actions.Plan(actions=tuple(doomed))
    if account.is_missing(cluster, observed.around):
        return actions.Plan(actions=tuple(doomed), requeue_after=account.LOOK_AGAIN)
    create = actions.Create(
        resource=records.PODS,
        manifest=desired.head_pod(cluster, settings=options),
        reasons=turnover.CREATE_HEAD,
    )
    return actions.Plan(actions=(*doomed, create), requeue_after=health.wait)


def was_up(cluster: api.RayCluster) -> bool:
    """Tell whether a head of this cluster has had an address, and so may have run."""
    return bool((cluster.status.get("head") or {}).get("podIP"))


def is_only(cluster: api.RayCluster) -> bool:
    """Tell whether the head has no successor, once it is known to have been up."""
    return cluster.metadata.annotations.get(names.KEEP_HEAD_ANNOTATION) == "true"


def stays_lost(cluster: api.RayCluster, observed: seen.Observed) -> bool:
    """Tell whether a head that is lost once all was ready stays lost (RayJob wants that).

    Where it submits its job itself, another one would run that again: there one that ran is enough.
    """
    if not is_only(cluster):
        return False
    mode = cluster.metadata.labels.get(names.SUBMISSION_MODE_LABEL)
    said = conditions.read(cluster.status.get("conditions", ()))
    is_provisioned = conditions.is_true(said, upgrade.PROVISIONED)
    is_up = was_up(cluster) or any(pod.ip for pod in observed.head_pods())
    return is_provisioned or (mode == "SidecarMode" and is_up)


def _until_gone(
    cluster: api.RayCluster,
    terminating: Sequence[records.Pod],
    *,
    options: settings.Settings,
    now: datetime,
) -> timedelta | None:
    """Return when to look again for heads that terminate; nobody tells of a former cluster's."""
    if storage.is_on(cluster):
        return LOOK_AGAIN if terminating else None
    return turnover.until_stuck(terminating, options=options, now=now)


def _health(
    cluster: api.RayCluster,
    observed: seen.Observed,
    living: Sequence[records.Pod],
    *,
    options: settings.Settings,
    now: datetime,
) -> turnover.Health:
    before, counted = backoff.head_failures(head_service.standing(cluster, observed))
    is_old = upgrade.is_old(cluster.spec, cluster.spec.head_group_spec)

    def judge(pod: records.Pod) -> backoff.Verdict:
        if pod.uid == counted:  # when it was due
            return backoff.Verdict(before, now)
        return backoff.judge(pod, before, is_old=is_old, options=options)

    return turnover.sort_broken(living, judge, now=now)


def _records(
    cluster: api.RayCluster, observed: seen.Observed, broken: Sequence[tuple[records.Pod, int]]
) -> tuple[actions.Action, ...]:
    """Write a changed count down before the head goes that it is about."""
    service = head_service.standing(cluster, observed)
    before, _ = backoff.head_failures(service)
    if service is None:
        return ()
    return tuple(
        backoff.record(service, pod, failures) for pod, failures in broken if failures != before
    )
