"""Say what is: the whole next status of a RayCluster from what was observed.

Owns: how its parts come together, and the state. Does not own: the conditions (`aspects`), what is
counted (`measures`), or writing it (`statuses`). Invariant: equal observations give an equal
status, so that a steady cluster is never written.
Source: KubeRay 1.7's status, whose `state` stays `ready` through later failures because clients
rely on it; the condition `RayClusterReady` follows the present instead.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ray_operator import actions, conditions, validity
from ray_operator.api import raycluster as api
from ray_operator.api import vocabulary
from ray_operator.raycluster import aspects, head, idleness, measures, plan, suspension, upgrade
from ray_operator.raycluster import observed as seen

READY_STATE = "ready"
SUSPENDED_STATE = "suspended"
UPDATED = "lastUpdateTime"
_NEWS = ("state", "reason", "observedGeneration", idleness.FIELD)


def next_status(
    cluster: api.RayCluster, observed: seen.Observed, outcome: actions.Outcome, now: datetime
) -> Mapping[str, Any] | None:
    """Return the whole next status; None for a cluster that is another's or on its way out."""
    if not plan.is_ours(cluster) or cluster.metadata.deletion_timestamp:
        return None
    previous = cluster.status
    found = outcome.invalid
    before = conditions.read(previous.get("conditions", ()))
    spec_valid = validity.condition(aspects.Type.SPEC_VALID, found)
    if found:
        status = dict(previous)
        kept = set(aspects.Type) - {aspects.Type.SPEC_VALID}
        current = [item for item in before if item.type in kept]
    else:
        progress = upgrade.progress(cluster, observed)
        status = measures.measured(cluster, observed, progress)
        current = aspects.current(
            cluster, observed, progress=progress, outcome=outcome, before=before, now=now
        )
    order = list(aspects.Type)
    current = sorted([*current, spec_valid], key=lambda item: order.index(aspects.Type(item.type)))
    _put(status, "reason", validity.INVALID if found else _short_reason(current))
    status["conditions"] = [
        item.manifest()
        for item in conditions.merge(
            before, [_observed_at(item, cluster.metadata.generation) for item in current], now=now
        )
    ]
    if not found:
        begun = idleness.since(cluster, observed, now)
        _put(status, idleness.FIELD, conditions.timestamp(begun) if begun else "")
        _carry_state(status, previous, reached=_state(cluster, observed, outcome), now=now)
    status["observedGeneration"] = cluster.metadata.generation
    if _is_owing(outcome) and "observedGeneration" in previous:
        status["observedGeneration"] = previous["observedGeneration"]
    old = {name: value for name, value in previous.items() if name != UPDATED}
    if status == old:
        return previous
    return {**status, UPDATED: conditions.timestamp(now)}


def follows(cluster: api.RayCluster, said: Mapping[str, Any]) -> datetime | None:
    """Return when the status was last written that `said` only carries on; None for news.

    Pods that start one after the other needn't each be a write. What is waited for is news: a
    state, a condition that changes (that the head's Pod is ready aside), or why the cluster isn't
    ready; and what is decided by later, such as since when it has been idle. That a new cluster
    has begun to start is none.
    """
    before = cluster.status
    if not before:
        return conditions.NEVER if _only_begins(cluster, said) else None
    is_news = any(before.get(name) != said.get(name) for name in _NEWS)
    if is_news or _facts(before) != _facts(said) or _is_up_now(cluster, before, said):
        return None
    return conditions.moment(before.get(UPDATED, ""))


def _only_begins(cluster: api.RayCluster, said: Mapping[str, Any]) -> bool:
    """Tell whether a first status says no more than that the cluster is on its way."""
    scaled = conditions.find(conditions.read(said.get("conditions", ())), aspects.Type.AUTOSCALING)
    is_scaled = scaled is None or scaled.reason != vocabulary.ClusterReason.GCS_UNREACHABLE
    is_starting = said.get("reason") == vocabulary.Starting.PODS_NOT_READY
    is_told = idleness.FIELD in said or _is_up_now(cluster, {}, said)
    return is_starting and is_scaled and not is_told


def _is_up_now(cluster: api.RayCluster, before: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Tell whether the only head got its address: none may follow it, so that has to be known."""
    was, is_ = ((each.get("head") or {}).get("podIP", "") for each in (before, said))
    return head.is_only(cluster) and bool(was != is_)


def _facts(status: Mapping[str, Any]) -> list[tuple[str, str, str, int]]:
    """Return what the conditions say without their words, mere progress aside."""
    return [
        (item.type, item.status, item.reason, item.observed_generation)
        for item in conditions.read(status.get("conditions", ()))
        if item.type != aspects.Type.HEAD_POD_READY
    ]


def _put(status: dict[str, Any], name: str, value: str) -> None:
    """Set a field, or remove it when there is nothing to say."""
    if value:
        status[name] = value
    else:
        status.pop(name, None)


def _short_reason(current: Sequence[conditions.Condition]) -> str:
    """Return what stands beside `state` in `kubectl get`: why the cluster isn't ready.

    KubeRay has the field and never fills it.
    """
    ready = conditions.find(current, aspects.Type.READY)
    quiet = {aspects.Type.SUSPENDING, aspects.Type.SUSPENDED}
    is_told = ready is not None and ready.status == "False" and ready.reason not in quiet
    return ready.reason if ready is not None and is_told else ""


def _is_owing(outcome: actions.Outcome) -> bool:
    """Tell whether an update failed: of another operator's object, the generation alone tells."""
    return any(
        isinstance(each.action, actions.Apply) and not each.action.is_new
        for each in outcome.failures
    )


def _observed_at(item: conditions.Condition, generation: int) -> conditions.Condition:
    return dataclasses.replace(item, observed_generation=generation)


def _state(cluster: api.RayCluster, observed: seen.Observed, outcome: actions.Outcome) -> str:
    """Return the state that the cluster has reached, ``""`` while it is on its way."""
    if suspension.is_wanted(cluster.spec):
        return "" if observed.pods else SUSPENDED_STATE
    return READY_STATE if measures.is_ready(cluster, observed, outcome) else ""


def _carry_state(
    status: dict[str, Any], previous: Mapping[str, Any], *, reached: str, now: datetime
) -> None:
    """Keep the sticky `state` and when each state began."""
    times = dict(previous.get("stateTransitionTimes", {}))
    state = reached or previous.get("state", "")
    if state and state != previous.get("state"):
        times[state] = conditions.timestamp(now)
    if state:
        status["state"] = state
    if times:
        status["stateTransitionTimes"] = times
