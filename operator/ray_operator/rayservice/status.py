"""Say what is: the whole next status of a RayService from what was observed.

Owns: how its parts come together. Does not own: the state in it (`decide`), the conditions
(`aspects`) or what Serve says (`applications`). Invariant: equal observations give an equal status,
so that a steady RayService is never written; `serviceStatus` repeats `Ready` and nothing else.
Source: KubeRay 1.7, RayServiceStatuses.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ray_operator import actions, conditions, settings
from ray_operator.api import rayservice as api
from ray_operator.rayservice import applications, aspects, decide, plan
from ray_operator.rayservice import state as states
from ray_operator.rayservice.case import Case
from ray_operator.rayservice.observed import Observed
from ray_operator.rayservice.state import ACTIVE, PENDING, State

RUNNING = "Running"
_UPDATE_TIME = "lastUpdateTime"


def next_status(
    service: api.RayService,
    observed: Observed,
    outcome: actions.Outcome,
    now: datetime,
    *,
    options: settings.Settings,
) -> Mapping[str, Any] | None:
    """Return the whole next status; None for one that is another's, new or on its way out."""
    is_held = plan.FINALIZER in service.metadata.finalizers
    is_going = service.metadata.deletion_timestamp is not None
    if not plan.is_ours(service) or is_going or not (is_held or outcome.invalid):
        return None
    case = plan.of(service, observed, options=options, now=now, invalid=outcome.invalid)
    state = decide.decide(case).state
    said = conditions.merge(
        conditions.read(service.status.get("conditions", ())),
        aspects.current(case, state, outcome),
        now=now,
    )
    status: dict[str, Any] = {
        "conditions": [each.manifest() for each in said],
        "numServeEndpoints": observed.endpoints.count,
        ACTIVE: _cluster(case, state.active, ACTIVE),
        PENDING: _cluster(case, state.pending, PENDING),
        "observedGeneration": service.metadata.generation,
    }
    if conditions.is_true(said, aspects.Type.READY):
        status["serviceStatus"] = RUNNING
    before = {key: each for key, each in service.status.items() if key != _UPDATE_TIME}
    if status == before:
        return service.status
    return {**status, _UPDATE_TIME: conditions.timestamp(now)}


def goes_on(service: api.RayService, written: Mapping[str, Any]) -> bool:
    """Tell whether the written status asks for another pass at once."""
    return _state(service, service.status) != _state(service, written)


def _state(service: api.RayService, status: Mapping[str, Any]) -> State:
    return states.of(service.model_copy(update={"status": dict(status)}))


def _cluster(case: Case, name: str, role: str) -> dict[str, Any]:
    """Return what is told of a cluster; what Serve said last stands until it answers."""
    if not name:
        return {}
    cluster, answer = case.observed.cluster(name), case.observed.answer(name)
    found: dict[str, Any] = {"rayClusterName": name}
    if cluster is not None and cluster.status:
        found["rayClusterStatus"] = cluster.status
    told = applications.statuses(answer.state) if answer.state else _before(case, name)
    if told:
        found["applicationStatuses"] = told
    return found


def _before(case: Case, name: str) -> Mapping[str, Any]:
    """Return what was told of that cluster's applications, in whichever role it was."""
    for role in (ACTIVE, PENDING):
        if states.cluster_name(case.service.status, role) == name:
            return (case.service.status.get(role) or {}).get("applicationStatuses") or {}
    return {}
