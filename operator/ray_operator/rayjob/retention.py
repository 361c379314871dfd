"""What is deleted once a RayJob has ended, and when.

Owns: the choice between the ways to say it, and their order. Does not own: whether the RayJob has
ended (`verdict`). Invariant: of what is due, the most goes first, so that time in which no operator
ran changes nothing in the end; what is done already isn't done again.
Source: KubeRay 1.7, cleanup of RayJobs; its older policies are done again and again.
"""

import enum
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ray_operator import actions, features, records
from ray_operator.api import rayjob as api
from ray_operator.rayjob import children, removal
from ray_operator.rayjob.case import Case, Step
from ray_operator.rayjob.state import FAILED, SUCCEEDED, State

SLACK = timedelta(seconds=1)
"""Times of a status are of whole seconds."""


class Policy(enum.IntEnum):
    """What goes; a higher one takes more along."""

    NOTHING = 0
    WORKERS = 1
    CLUSTER = 2
    SELF = 3


_POLICIES = {
    "DeleteNone": Policy.NOTHING,
    "DeleteWorkers": Policy.WORKERS,
    "DeleteCluster": Policy.CLUSTER,
    "DeleteSelf": Policy.SELF,
}


class Due(NamedTuple):
    """A deletion and when it is due."""

    policy: Policy
    at: datetime


def step(case: Case) -> Step:
    """Do the greatest deletion that is due, and look again for the next."""
    due = [each for each in planned(case) if not _is_done(case, each.policy)]
    ripe = [each.policy for each in due if each.at <= case.now]
    later = [each.at + SLACK for each in due if each.at > case.now]
    return Step(
        state=case.state,
        todo=_delete(case, max(ripe)) if ripe else (),
        wait=case.until(*later),
    )


def planned(case: Case) -> list[Due]:
    """Return all deletions that apply to how the RayJob has ended."""
    return list(_planned(case))


def is_unmatched(spec: api.RayJobSpec, state: State) -> bool:
    """Tell whether there are rules, and none for how the RayJob has ended."""
    given = spec.deletion_strategy
    rules = given.deletion_rules if given is not None else ()
    return bool(rules) and not any(_applies(each, state) for each in rules)


def outlives(case: Case) -> bool:
    """Tell whether the cluster stays, for now or for good, though the RayJob has ended."""
    first = min((each.at for each in planned(case) if each.policy >= Policy.CLUSTER), default=None)
    is_due = first is not None and first <= case.now
    return not case.observed.is_cluster_going() and not is_due


def _planned(case: Case) -> Iterator[Due]:
    ended, spec = case.state.ended_at, case.spec
    if ended is None:
        return
    allowed = set(Policy) - ({Policy.WORKERS, Policy.CLUSTER} if case.selects_cluster else set())
    strategy = spec.deletion_strategy
    has_gate = features.Feature.DELETION_POLICY in case.options.feature_gates
    if strategy is not None and has_gate:
        found = _by_rules(case, strategy, ended) if strategy.deletion_rules else _by_outcome(case)
        yield from (each for each in found if each.policy in allowed)
    elif spec.shutdown_after_job_finishes:
        whole = Policy.SELF if case.options.delete_finished_rayjobs else Policy.CLUSTER
        if whole in allowed:
            yield Due(whole, _after(case, ended))


def _by_rules(case: Case, strategy: api.DeletionStrategy, ended: datetime) -> Iterator[Due]:
    for rule in strategy.deletion_rules:
        if _applies(rule, case.state):
            at = ended + timedelta(seconds=rule.condition.ttl_seconds)
            yield Due(_POLICIES[rule.policy], at)


def _applies(rule: api.DeletionRule, state: State) -> bool:
    condition = rule.condition
    if condition.job_status is not None:
        return condition.job_status == state.job_status
    return condition.job_deployment_status == state.phase.value


def _by_outcome(case: Case) -> Iterator[Due]:
    """Read the older fields, which know of success and failure of the job alone."""
    strategy, ended = case.spec.deletion_strategy, case.state.ended_at
    assert strategy is not None
    assert ended is not None
    given = {SUCCEEDED: strategy.on_success, FAILED: strategy.on_failure}
    found = given.get(case.state.job_status)
    if found is not None and found.policy is not None:
        yield Due(_POLICIES[found.policy], _after(case, ended))


def _after(case: Case, ended: datetime) -> datetime:
    return ended + timedelta(seconds=case.spec.ttl_seconds_after_finished)


def _is_done(case: Case, policy: Policy) -> bool:
    cluster = case.observed.cluster
    is_going = case.observed.is_cluster_going() or not case.owns_cluster()
    if policy is Policy.WORKERS and cluster is not None and not is_going:
        return all(group.suspend for group in cluster.spec.worker_group_specs)
    return policy is Policy.NOTHING or (policy is not Policy.SELF and is_going)


def _delete(case: Case, policy: Policy) -> tuple[actions.Action, ...]:
    if policy is Policy.SELF:
        return (_delete_self(case),)
    if policy is Policy.CLUSTER:
        return removal.delete_cluster(case, "the job has ended")
    return (_suspend_workers(case),)


def _delete_self(case: Case) -> actions.Action:
    metadata = case.job.metadata
    return actions.Delete(
        resource=records.RAYJOBS,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        reasons=children.SELF_DELETED,
        why="the job has ended",
        propagation="Background",
    )


def _suspend_workers(case: Case) -> actions.Action:
    cluster = case.observed.cluster
    assert cluster is not None
    groups: list[dict[str, Any]] = [
        {**group.dump(), "suspend": True} for group in cluster.spec.worker_group_specs
    ]
    metadata = cluster.metadata
    return actions.Patch(
        resource=records.RAYCLUSTERS,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        # A list is replaced as a whole: another one's change mustn't be lost.
        change={
            "metadata": {"resourceVersion": metadata.resource_version},
            "spec": {"workerGroupSpecs": groups},
        },
        reasons=children.CLUSTER_UPDATED,
    )
