"""The conditions of a RayService: what holds of it now, and why.

Owns: which conditions there are and what each says. Does not own: their names and reasons
(`api.service_vocabulary`), or the state that they follow from (`decide`). Invariant: pure; equal
observations give equal conditions. `Ready` is about requests alone: it stays true through a broken
spec, a broken new version and a lost head, as long as something answers.
Source: KubeRay 1.7, conditions of RayServices.
"""

import dataclasses
from collections.abc import Iterator
from datetime import timedelta

from ray_operator import actions, conditions, names, validity
from ray_operator.api import service_vocabulary
from ray_operator.raycluster import rollup
from ray_operator.rayservice import applications, initialization, succession
from ray_operator.rayservice.case import Case, soonest
from ray_operator.rayservice.state import Phase, State

Type = service_vocabulary.ServiceCondition
Told = service_vocabulary.ServiceReason

SETTLING = timedelta(seconds=2)
"""How long an endpoint has to be there before we say so: proxies of nodes hear of it later."""
FLICKER = timedelta(seconds=5)
"""How long there may be none before we say so."""
SILENCE = timedelta(seconds=10)
"""How long Serve may not answer before we say so: a head that starts doesn't."""
STUCK = timedelta(minutes=10)
STUCK_PREFIX = "for more than 10 minutes: "
_WHOLE = {
    Phase.SUSPENDING: Told.SUSPEND_IN_PROGRESS,
    Phase.SUSPENDED: Told.SUSPEND_COMPLETE,
}


def current(case: Case, state: State, outcome: actions.Outcome) -> list[conditions.Condition]:
    """Return the conditions of now, in the order in which they are written."""
    found = [
        _ready(case, state),
        _upgrade(case, state),
        *_suspension(case, state),
        validity.condition(Type.SPEC_VALID, case.invalid),
        *_serving(case, state),
        *_failure(outcome),
    ]
    generation = case.service.metadata.generation
    return [dataclasses.replace(each, observed_generation=generation) for each in found]


def wait(case: Case, state: State) -> timedelta | None:
    """Return how long it is until time alone changes a condition; None when it never does."""
    if state.phase is not Phase.SERVING:
        return None
    return soonest(_until_ready(case), _until_silent(case, state), _until_stuck(case, state))


def _ready(case: Case, state: State) -> conditions.Condition:
    if state.phase in _WHOLE:
        return conditions.make(Type.READY, "False", _WHOLE[state.phase])
    if state.phase is Phase.TIMED_OUT:
        allowed = initialization.timeout(case)
        text = f"nothing served within {allowed}; change the spec to begin anew"
        return conditions.make(Type.READY, "False", Told.INITIALIZING_TIMEOUT, text)
    seen, before = case.observed.endpoints, _before(case, Type.READY)
    was = before is not None and before.status == "True"
    left = _until_ready(case)
    if (seen.count and (was or left is None)) or (was and left is not None):
        return conditions.make(Type.READY, "True", Told.ENDPOINTS, f"{seen.count} endpoints")
    if case.invalid:
        text = "; ".join(map(str, case.invalid))
        return conditions.make(Type.READY, "False", Told.VALIDATION_FAILED, text)
    had = was or (before is not None and before.reason == Told.NO_ENDPOINTS)
    reason = Told.NO_ENDPOINTS if had else Told.INITIALIZING
    return conditions.make(Type.READY, "False", reason, applications.waits_for(case, state))


def _until_ready(case: Case) -> timedelta | None:
    """Return how long it is until what is seen of endpoints counts; None when it does."""
    seen = case.observed.endpoints
    before = _before(case, Type.READY)
    was = before is not None and before.status == "True"
    if seen.since is None or bool(seen.count) is was:
        return None
    return _positive(seen.since + (SETTLING if seen.count else FLICKER) - case.now)


def _upgrade(case: Case, state: State) -> conditions.Condition:
    type_ = Type.UPGRADE_IN_PROGRESS
    if state.phase in _WHOLE:
        return conditions.make(type_, "False", _WHOLE[state.phase])
    if state.active and state.pending:
        text = applications.waits_for(case, state)
        if _is_stuck(case):
            text = STUCK_PREFIX + text
        return conditions.make(type_, "True", Told.BOTH_CLUSTERS, text)
    if state.active:
        return conditions.make(type_, "False", Told.NO_PENDING_CLUSTER)
    if case.observed.services:
        return conditions.make(type_, "Unknown", Told.NO_ACTIVE_CLUSTER)
    return conditions.make(type_, "False", Told.INITIALIZING)


def _is_stuck(case: Case) -> bool:
    return _upgrading_for(case) >= STUCK


def _until_stuck(case: Case, state: State) -> timedelta | None:
    is_upgrading = bool(state.active and state.pending)
    return _positive(STUCK - _upgrading_for(case)) if is_upgrading else None


def _upgrading_for(case: Case) -> timedelta:
    before = _before(case, Type.UPGRADE_IN_PROGRESS)
    is_on = before is not None and before.status == "True"
    since = conditions.moment(before.last_transition_time) if before and is_on else None
    return case.now - since if since else timedelta()


def _suspension(case: Case, state: State) -> Iterator[conditions.Condition]:
    if state.phase is Phase.SUSPENDING:
        is_new = case.state.phase is not Phase.SUSPENDING
        reason = Told.SUSPEND_REQUESTED if is_new else Told.SUSPEND_IN_PROGRESS
        yield conditions.make(Type.SUSPENDING, "True", reason)
    elif state.phase is Phase.SUSPENDED:
        yield conditions.make(Type.SUSPENDING, "False", Told.SUSPEND_COMPLETE)
        yield conditions.make(Type.SUSPENDED, "True", Told.SUSPEND_COMPLETE)
    elif _before(case, Type.SUSPENDED) is not None:
        yield conditions.make(Type.SUSPENDING, "False", Told.SUSPEND_COMPLETE)
        yield conditions.make(Type.SUSPENDED, "False", Told.RESUMED)


def _serving(case: Case, state: State) -> Iterator[conditions.Condition]:
    """Say how the cluster stands that is waited for, or else serves."""
    if state.phase is not Phase.SERVING:
        return
    yield _up_to_date(case, state)
    name = state.pending or state.active
    if not name:
        return
    cluster = case.observed.cluster(name)
    yield rollup.ready(name, cluster)
    yield _kept(case, name, Type.APPLICATIONS_RUNNING) or applications.condition(case, name)
    yield _kept(case, name, Type.REACHABLE) or _reachable(case, name)


def _kept(case: Case, name: str, type_: str) -> conditions.Condition | None:
    """Return what was said of the cluster before, while nothing newer is known of it.

    So it is for a moment after the operator began, a head changed, or a question got no answer.
    """
    answer = case.observed.answer(name)
    if not answer.error and not applications.is_open(case, name):
        return None
    since = answer.unanswered_since
    if answer.error and (since is None or case.now - since >= SILENCE):
        return None
    was_told_of = case.state.pending or case.state.active
    return _before(case, type_) if name == was_told_of else None


def _up_to_date(case: Case, state: State) -> conditions.Condition:
    type_ = Type.UP_TO_DATE
    if case.invalid:
        return conditions.make(type_, "Unknown", Told.VALIDATION_FAILED, "the spec breaks a rule")
    if state.pending:
        return conditions.make(
            type_, "False", Told.UPGRADING if state.active else Told.INITIALIZING
        )
    if succession.is_outdated(case, state):
        text = "spec.rayClusterConfig changed; the cluster of before goes on serving"
        if succession.is_incremental(case):
            text += ": moving traffic step by step isn't supported yet, use NewCluster"
            return conditions.make(type_, "False", Told.NOT_SUPPORTED, text)
        return conditions.make(type_, "False", Told.STRATEGY_NONE, text)
    config, cluster = case.config(), case.observed.cluster(state.active)
    noted = cluster.metadata.annotations.get(names.SERVE_CONFIG_ANNOTATION) if cluster else ""
    applied = case.observed.answer(state.active).applied or noted
    if config and applied != config.digest:
        return conditions.make(type_, "False", Told.CONFIG_NOT_APPLIED)
    return conditions.make(type_, "True", Told.UP_TO_DATE)


def _reachable(case: Case, name: str) -> conditions.Condition:
    type_, answer = Type.REACHABLE, case.observed.answer(name)
    since = answer.unanswered_since
    if answer.error and since is not None and case.now - since >= SILENCE:
        text = f"unknown, cannot reach the head since {since:%FT%TZ}: {answer.error}"
        return conditions.make(type_, "False", Told.UNREACHABLE, text)
    if answer.state is None or answer.error:
        return conditions.make(type_, "Unknown", Told.NOT_ASKED, "Serve hasn't answered yet")
    return conditions.make(type_, "True", Told.ANSWERS)


def _until_silent(case: Case, state: State) -> timedelta | None:
    answer = case.observed.answer(state.pending or state.active)
    if not answer.error or answer.unanswered_since is None:
        return None
    return _positive(answer.unanswered_since + SILENCE - case.now)


def _failure(outcome: actions.Outcome) -> Iterator[conditions.Condition]:
    for first in outcome.failures[:1]:
        reason = first.action.reasons.condition
        yield conditions.make(Type.CHILD_FAILURE, "True", reason, actions.told(first))


def _before(case: Case, type_: str) -> conditions.Condition | None:
    return conditions.find(conditions.read(case.service.status.get("conditions", ())), type_)


def _positive(left: timedelta) -> timedelta | None:
    return left if left > timedelta() else None
