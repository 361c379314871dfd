"""Removing the clusters that neither serve nor get ready to.

Owns: when one goes. Does not own: deleting (`apply`). Invariant: the time stands on the cluster
itself, so that a restart of the operator neither hastens nor delays it; until then the requests
that still go to it, over connections that were kept open, are answered.
Source: KubeRay 1.7, deletion delay of old clusters.
"""

from datetime import datetime, timedelta

from ray_operator import actions, conditions, names
from ray_operator.api import raycluster as cluster_api
from ray_operator.rayservice import cluster as clusters
from ray_operator.rayservice.case import Case, Step, soonest
from ray_operator.rayservice.state import State

DELAY = timedelta(seconds=60)
LEAST_DELAY = timedelta(seconds=3)
"""Until every node has heard where requests go now."""


def retire(case: Case, state: State) -> Step:
    """Mark, and in time delete, every cluster that the state doesn't name."""
    todo: list[actions.Action] = []
    waits: list[timedelta | None] = []
    for name in sorted(case.observed.clusters.keys() - {state.active, state.pending}):
        cluster = case.observed.cluster(name)
        if cluster is None:
            continue
        due = _due(cluster)
        if due is None:
            at = conditions.timestamp(case.now + _delay(case))
            todo.append(clusters.annotate(cluster, {names.RETIRE_ANNOTATION: at}))
            waits.append(_delay(case))
        elif due <= case.now:
            todo.append(clusters.delete(cluster, "another cluster serves, or shall"))
        else:
            waits.append(due - case.now)
    return Step(state=state, todo=tuple(todo), wait=soonest(*waits))


def unmarked(cluster: cluster_api.RayCluster) -> actions.Action | None:
    """Return what takes the mark from a cluster that is needed again; None when it has none."""
    if names.RETIRE_ANNOTATION not in cluster.metadata.annotations:
        return None
    return clusters.annotate(cluster, {names.RETIRE_ANNOTATION: None})


def _delay(case: Case) -> timedelta:
    seconds = case.spec.ray_cluster_deletion_delay_seconds
    return DELAY if seconds is None else max(timedelta(seconds=seconds), LEAST_DELAY)


def _due(cluster: cluster_api.RayCluster) -> datetime | None:
    """Return when the cluster is to go; None when that isn't written, or not as we write it."""
    return conditions.moment(cluster.metadata.annotations.get(names.RETIRE_ANNOTATION, ""))
