"""Removing an attempt, to suspend the RayJob or to begin another.

Owns: what goes, and when that is done. Does not own: what goes after the end (`retention`).
Invariant: no two attempts overlap, unless Pods of the earlier one don't go in bounded time, which
is said then.
"""

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

from ray_operator import actions, records
from ray_operator.rayjob import children
from ray_operator.rayjob import state as states
from ray_operator.rayjob.case import Case, Step
from ray_operator.rayjob.state import Phase

PATIENCE = timedelta(minutes=5)
"""With Pods that don't go, from when the last of them was told to."""
SLACK = timedelta(minutes=1)
"""For a Pod to go once the time that itself asks for is over, which may be longer than that."""


def step(case: Case) -> Step:
    """Delete what there is of the attempt; when all of it is gone, forget it."""
    doomed = (*delete_cluster(case, _why(case)), *delete_submitter(case, _why(case)))
    seen = case.observed
    has_objects = case.owns_cluster() or seen.submitter is not None
    pods = () if case.selects_cluster else seen.pods
    left = [*pods, *seen.submitter_pods]
    since = case.state.teardown_since or _begun(case, left)
    due = _due(since, left)
    is_late = case.now >= due
    if has_objects or (left and not is_late):
        return Step(
            state=dataclasses.replace(case.state, teardown_since=since),
            todo=doomed,
            wait=case.until(due) if left and not is_late else None,
        )
    going = Phase.SUSPENDED if case.state.phase is Phase.SUSPENDING else Phase.NEW
    used = case.state.job_id if case.mode == "InteractiveMode" else ""
    after = states.without_attempt(case.state, going)
    return Step(
        state=dataclasses.replace(after, used_job_id=used or after.used_job_id),
        events=(_overlap(left),) if left else (),
    )


def delete_cluster(case: Case, why: str) -> tuple[actions.Action, ...]:
    """Delete the attempt's cluster, unless that is done or the cluster isn't ours."""
    cluster = case.observed.cluster
    if cluster is None or case.observed.is_cluster_going() or not case.owns_cluster():
        return ()
    metadata = cluster.metadata
    return (
        actions.Delete(
            resource=records.RAYCLUSTERS,
            namespace=metadata.namespace,
            name=metadata.name,
            uid=metadata.uid,
            reasons=children.CLUSTER_DELETED,
            why=why,
        ),
    )


def delete_submitter(case: Case, why: str) -> tuple[actions.Action, ...]:
    """Delete the Job that submits, with its Pods, unless that is done."""
    job = case.observed.submitter
    if job is None or job.deletion_at is not None:
        return ()
    return (
        actions.Delete(
            resource=records.JOBS,
            namespace=job.namespace,
            name=job.name,
            uid=job.uid,
            reasons=children.SUBMITTER_DELETED,
            why=why,
            propagation="Background",  # the kind's default leaves the Pods behind
        ),
    )


def _begun(case: Case, left: Sequence[records.Pod]) -> datetime:
    """Return since when all Pods that are left are to go, for a status that can't say it.

    KubeRay's CRD drops `teardownStartTime`.
    """
    now = case.now.replace(microsecond=0)
    told = (pod.deletion_at - pod.grace if pod.deletion_at else now for pod in left)
    return max(told, default=now)


def _due(since: datetime, left: Sequence[records.Pod]) -> datetime:
    """Return until when the Pods that are left are waited for."""
    ends = [(pod.deletion_at, pod.grace) for pod in left if pod.deletion_at is not None]
    begun = max((at - grace for at, grace in ends), default=since)
    return max([max(since, begun) + PATIENCE, *(at + SLACK for at, _ in ends)])


def _why(case: Case) -> str:
    suspends = case.state.phase is Phase.SUSPENDING
    return "the RayJob is suspended" if suspends else "another attempt follows"


def _overlap(left: list[records.Pod]) -> actions.Event:
    shown = ", ".join(pod.name for pod in left[:10])
    message = f"{len(left)} Pods of the attempt before don't go, and are left behind: {shown}"
    return actions.Event(type="Warning", reason="PodsLeftBehind", action="Delete", message=message)
