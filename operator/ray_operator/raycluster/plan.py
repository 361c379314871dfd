"""Decide what to do about one RayCluster now.

Owns: which Pods and Services to create and delete, and why. Does not own: what they look like
(`desired`) or what is said about them (`status`). Invariant: applying a plan to the world it was
made of and planning again gives, after finitely many rounds, an empty plan; the same holds when
only a prefix of it was applied.
"""

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

from ray_operator import actions, conditions, names, records, settings, validity
from ray_operator.api import raycluster as api
from ray_operator.api import vocabulary
from ray_operator.api.validation import raycluster as rules
from ray_operator.raycluster import (
    account,
    additions,
    autoscaling,
    children,
    cleanup,
    idleness,
    nodes,
    suspension,
    turnover,
    upgrade,
    versions,
)
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster.diagnosis import diagnose

Type = vocabulary.ClusterCondition
DELETE_ALL = actions.Reasons("DeletedPod", "FailedToDeletePodCollection", "FailedDeleteAllPods")
STAMP = actions.Reasons("StampedPod", "FailedToStampPod", "FailedStampPod")


def is_ours(cluster: api.RayCluster) -> bool:
    """Tell whether this operator is to reconcile the cluster."""
    return cluster.spec.managed_by in {None, names.MANAGED_BY_US}


def plan(
    cluster: api.RayCluster, observed: seen.Observed, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Return the actions of one pass; nothing for a foreign, deleted or invalid cluster."""
    if not is_ours(cluster):
        return actions.Plan()
    if cluster.metadata.deletion_timestamp:
        return cleanup.plan(cluster, observed, options=options, now=now)
    invalid = tuple(rules.errors(cluster, options.feature_gates))
    invalid = invalid or tuple(additions.errors(cluster, settings=options))
    events = validity.events(
        cluster, Type.SPEC_VALID, invalid=invalid, warnings=rules.warnings(cluster)
    )
    if invalid:
        return actions.Plan(invalid=invalid, events=events)
    events += (*_orphan_events(cluster, observed), *versions.events(cluster, observed))
    events += (
        *account.events(cluster, observed.around),
        *autoscaling.events(cluster, observed.head(), options),
    )
    if is_paused(cluster):
        return actions.Plan(events=events)
    idle = idleness.plan(cluster, observed, now)
    if first := cleanup.hold(cluster, options) or (idle if idle.actions else None):
        return dataclasses.replace(first, events=events)
    others = children.plan(cluster, observed, options=options)
    pods = _plan_pods(cluster, observed, options=options, now=now)
    wait = diagnose.look_again(cluster, observed, now=now)
    return actions.joined(actions.Plan(requeue_after=wait, events=events), others, pods, idle)


def _orphan_events(cluster: api.RayCluster, observed: seen.Observed) -> tuple[actions.Event, ...]:
    """Tell once of workers whose group was removed from the spec."""
    said = conditions.read(cluster.status.get("conditions", ()))
    orphans = observed.orphans(cluster)
    is_told = conditions.is_true(said, Type.ORPHANED_GROUP)
    if not orphans or is_told or upgrade.removes_groups(cluster):
        return ()
    message = orphans_found(orphans)
    return (
        actions.Event(
            type="Warning", reason=Type.ORPHANED_GROUP, action="Validate", message=message
        ),
    )


def orphans_found(orphans: Sequence[records.Pod]) -> str:
    """Say which groups the spec no longer lists, and what to do."""
    listed = sorted({pod.labels.get(names.GROUP_LABEL, "") for pod in orphans})
    return (
        f"{len(orphans)} Pods are of groups that the spec doesn't list: {', '.join(listed)}. List"
        f" them again, or annotate the RayCluster with {names.DELETE_ORPHANS_ANNOTATION}=true"
    )


def is_paused(cluster: api.RayCluster) -> bool:
    """Tell whether the user wants the cluster left as it is."""
    return cluster.metadata.annotations.get(names.PAUSED_ANNOTATION, "").lower() == "true"


def _plan_pods(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings, now: datetime
) -> actions.Plan:
    active = suspension.phase(cluster) is suspension.Phase.ACTIVE
    if not active or suspension.is_wanted(cluster.spec):
        return _plan_suspended(cluster, observed)
    if foreign := upgrade.foreign(observed, options=options):
        stamps = _restamp(cluster, foreign, options=options)
        if upgrade.recreates(cluster) or upgrade.rolls(cluster):
            return stamps
        rest = nodes.plan(cluster, observed, options=options, now=now)
        return actions.joined(rest, stamps)
    outdated = [
        pod
        for pod in upgrade.outdated(cluster, observed, options=options)
        if not seen.is_stuck(pod, options=options, now=now)
    ]
    if outdated:
        return _replace(outdated, options=options, now=now)
    rest = nodes.plan(cluster, observed, options=options, now=now)
    if rolled := upgrade.rolled(cluster, observed):
        return actions.joined(rest, _restamp(cluster, rolled, options=options))
    return rest


def _plan_suspended(cluster: api.RayCluster, observed: seen.Observed) -> actions.Plan:
    """Delete all Pods of a cluster that suspends; pass on from states that are over.

    A state is over once the status says the next one, which this pass will write.
    """
    match suspension.phase(cluster):
        case suspension.Phase.ACTIVE:
            return actions.Plan(requeue_after=timedelta())
        case suspension.Phase.SUSPENDED:
            is_over = not suspension.is_wanted(cluster.spec)
            return actions.Plan(requeue_after=timedelta() if is_over else None)
        case suspension.Phase.SUSPENDING:
            living = [pod for pod in observed.pods if pod.deletion_at is None]
            return actions.Plan(
                actions=tuple(
                    turnover.delete(pod, DELETE_ALL, "the cluster is suspended") for pod in living
                ),
                requeue_after=None if observed.pods else timedelta(),
            )


def _restamp(
    cluster: api.RayCluster, pods: Sequence[records.Pod], *, options: settings.Settings
) -> actions.Plan:
    """Make the hashes ours, then look again; the head comes last, since it tells whose they are.

    What has them is left alone: of many Pods, each pass stamps only some.
    """
    return actions.Plan(
        actions=tuple(
            actions.Patch(
                resource=records.PODS,
                namespace=pod.namespace,
                name=pod.name,
                uid=pod.uid,
                change={"metadata": {"annotations": stamps}},
                reasons=STAMP,
            )
            for pod in pods
            if not (stamps := upgrade.stamps(cluster, pod, options=options)).items()
            <= pod.annotations.items()
        ),
        requeue_after=timedelta(),
    )


def _replace(
    outdated: Sequence[records.Pod], *, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Delete the Pods of an older spec; none of the new one is made before they are gone."""
    going = [pod for pod in outdated if pod.deletion_at is not None]
    return actions.Plan(
        actions=tuple(
            turnover.delete(pod, DELETE_ALL, "the spec changed, and upgradeStrategy is Recreate")
            for pod in outdated
            if pod.deletion_at is None
        ),
        requeue_after=turnover.until_stuck(going, options=options, now=now),
    )
