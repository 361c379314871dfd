"""One step of a RayService: from what is to what shall be.

Owns: the order of what a pass does. Does not own: any single rule (`succession`, `traffic`, …).
Invariant: what serves is never touched for the sake of what gets ready; applying a step, or a part
of it, and deciding again comes to the same end.
Source: KubeRay 1.7, RayService controller.
"""

from collections.abc import Iterator
from datetime import timedelta

from ray_operator import actions, names
from ray_operator.api import raycluster as cluster_api
from ray_operator.rayservice import cluster as clusters
from ray_operator.rayservice import (
    goal,
    initialization,
    reasons,
    retirement,
    services,
    succession,
    suspension,
    traffic,
)
from ray_operator.rayservice.case import Case, Step, soonest
from ray_operator.rayservice.goal import Change
from ray_operator.rayservice.state import Phase, State


def decide(case: Case) -> Step:
    """Return the next step."""
    if suspension.applies(case):
        return suspension.step(case)
    if case.state.phase is Phase.TIMED_OUT:
        return retirement.retire(case, case.state)
    state = succession.following(case)
    left = initialization.left(case, state)
    if left is not None and left <= timedelta():
        return Step(state=State(phase=Phase.TIMED_OUT))
    retired, relabelled = retirement.retire(case, state), _labels(case, state)
    # Nothing else tells of our own change of a label.
    again = timedelta() if relabelled else None
    return Step(
        state=state,
        todo=(*relabelled, *_clusters(case, state), *_services(case, state), *retired.todo),
        wait=soonest(left, retired.wait, _fit_in(case, state), again),
    )


def _labels(case: Case, state: State) -> tuple[actions.Action, ...]:
    """Label the heads of the two clusters."""
    both = (name for name in (state.active, state.pending) if case.observed.cluster(name))
    return tuple(action for name in both for action in traffic.labels(case, name))


def _clusters(case: Case, state: State) -> Iterator[actions.Action]:
    """Make, mark and change the two clusters."""
    is_written = bool(state.pending) and state.pending == case.state.pending
    if is_written and not case.invalid and state.pending not in case.observed.clusters:
        yield clusters.create(case.service, name=state.pending, options=case.options)
    for name in filter(None, (state.active, state.pending)):
        cluster = case.observed.cluster(name)
        if cluster is None:
            continue
        if kept := retirement.unmarked(cluster):
            yield kept
        if not case.invalid:
            yield from _brought_up_to_date(case, state, cluster)


def _brought_up_to_date(
    case: Case, state: State, cluster: cluster_api.RayCluster
) -> Iterator[actions.Action]:
    name, options = cluster.metadata.name, case.options
    if not goal.is_marked(cluster, options=options):
        yield clusters.annotate(cluster, goal.adopted(case.service, cluster, options=options))
    elif _is_goal(state, name) and goal.change(case.service, cluster) is Change.IN_PLACE:
        yield clusters.update(case.service, cluster, options=options)
    applied, config = case.observed.answer(name).applied, case.config()
    noted = cluster.metadata.annotations.get(names.SERVE_CONFIG_ANNOTATION)
    if config and applied == config.digest and noted != applied:
        yield clusters.annotate(
            cluster, {names.SERVE_CONFIG_ANNOTATION: applied}, told=reasons.APPLICATIONS
        )


def _is_goal(state: State, cluster: str) -> bool:
    """Tell whether it is the cluster that is to be as the spec says."""
    return cluster == (state.pending or state.active)


def _services(case: Case, state: State) -> tuple[actions.Action, ...]:
    """Have the Services lead to the cluster that shall serve, if one can."""
    name = state.active
    if state.pending and traffic.is_fit(case, state.pending, is_first=not state.active):
        name = state.pending
    cluster = case.observed.cluster(name) if name else None
    return services.plan(case, cluster) if cluster and not case.invalid else ()


def _fit_in(case: Case, state: State) -> timedelta | None:
    return traffic.wait(case, state.pending) if state.pending else None
