"""Which cluster serves, which gets ready to, and when another one is needed.

Owns: the next names of both. Does not own: making clusters (`cluster`) or leading traffic to them
(`traffic`). Invariant: the Services lead, names follow: a cluster is the active one when they lead
to it. A name is written before its cluster is made, and drawn from what doesn't change until then,
so that a pass that is repeated makes no other.
Source: KubeRay 1.7, RayService controller; that a spec which returns to what serves ends the
upgrade is ours.
"""

import dataclasses

from ray_operator import names
from ray_operator.rayservice import goal, services
from ray_operator.rayservice.case import INCREMENTAL, Case
from ray_operator.rayservice.goal import Change
from ray_operator.rayservice.state import State


def following(case: Case) -> State:
    """Return the state that follows, of a RayService that is to serve."""
    state = _promoted(case)
    if state.active and case.observed.cluster(state.active) is None:
        state = dataclasses.replace(state, active="")  # somebody deleted it
    if case.invalid:
        return state
    if state.active and state.pending:
        change = _change(case, state.active)
        if change in {Change.NOTHING, Change.IN_PLACE}:
            return dataclasses.replace(state, pending="")
    if needs_cluster(case, state):
        return dataclasses.replace(state, pending=_drawn(case))
    return state


def needs_cluster(case: Case, state: State) -> bool:
    """Tell whether neither of the clusters is, or will become, what the spec describes."""
    if state.pending:
        pending = case.observed.cluster(state.pending)
        # One that isn't made yet will be made of the newest spec.
        return pending is not None and _differs(case, state.pending)
    if not state.active:
        return True
    return upgrades(case) and _differs(case, state.active)


def upgrades(case: Case) -> bool:
    """Tell whether a changed spec is answered by another cluster."""
    return case.strategy == "NewCluster"


def is_outdated(case: Case, state: State) -> bool:
    """Tell whether what serves differs from the spec, and stays so."""
    waits = state.active and not state.pending and not upgrades(case)
    return bool(waits) and _differs(case, state.active)


def is_incremental(case: Case) -> bool:
    """Tell whether the spec asks for an upgrade in steps, which isn't built yet."""
    return case.strategy == INCREMENTAL


def _promoted(case: Case) -> State:
    active, pending = case.state.active, case.state.pending
    is_led = bool(pending) and services.target(case) == pending
    return State(active=pending) if is_led else State(active=active, pending=pending)


def _differs(case: Case, name: str) -> bool:
    return _change(case, name) is Change.NEW_CLUSTER


def _change(case: Case, name: str) -> Change | None:
    """Return what the cluster needs; None while there is none."""
    cluster = case.observed.cluster(name)
    if cluster is None:
        return None
    return goal.change(case.service, goal.marked(case.service, cluster, options=case.options))


def _drawn(case: Case) -> str:
    """Draw a name that no cluster of this RayService bears, or bore."""
    metadata, state = case.service.metadata, case.state
    seed = f"{metadata.uid}/{metadata.generation}/{state.active}/{state.pending}/"
    for number in range(len(case.observed.clusters) + 1):
        name = names.attempt(metadata.name, names.suffix(f"{seed}{number}"))
        if name not in case.observed.clusters:
            return name
    raise AssertionError("more names are taken than there are clusters")
