"""Say what is: the whole next status of a RayJob from what was observed.

Owns: how its parts come together. Does not own: the state in it (`decide`) or the conditions
(`aspects`). Invariant: equal observations give an equal status, so that a steady RayJob is never
written.
Source: KubeRay 1.7, RayJobStatus.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ray_operator import actions, conditions, settings
from ray_operator.api import rayjob as api
from ray_operator.rayjob import aspects, plan
from ray_operator.rayjob import state as states
from ray_operator.rayjob.observed import Observed
from ray_operator.rayjob.state import FINISHED, Phase, Reason, State

_RELEASED = "the spec is valid now, but its queue has let go of it: make a new RayJob"


def next_status(
    job: api.RayJob,
    observed: Observed,
    outcome: actions.Outcome,
    now: datetime,
    *,
    options: settings.Settings,
) -> Mapping[str, Any] | None:
    """Return the whole next status; None for a RayJob that is another's, new or on its way out."""
    invalid = outcome.invalid
    is_held = plan.FINALIZER in job.metadata.finalizers
    if not plan.is_ours(job) or job.metadata.deletion_timestamp or not (is_held or invalid):
        return None
    state = plan.taken(job, observed, options=options, now=now, invalid=invalid).state
    status = states.manifest(state)
    if found := _cluster_status(job, observed, state):
        status["rayClusterStatus"] = found
    if state.phase is Phase.INVALID:
        status["reason"] = Reason.VALIDATION_FAILED.value
        status["message"] = "; ".join(map(str, invalid)) or _RELEASED
    kept = job.status.get(plan.LAST_VALID_SPEC) if invalid else plan.to_keep(job)
    if kept:
        status[plan.LAST_VALID_SPEC] = kept
    status["conditions"] = _conditions(job, observed, outcome, state=state, now=now)
    status["observedGeneration"] = job.metadata.generation
    return job.status if status == job.status else status


def _cluster_status(job: api.RayJob, observed: Observed, state: State) -> Mapping[str, Any]:
    """Return the cluster's status; of one that others go on to use, as it was at the end."""
    cluster = observed.cluster
    if cluster is None:
        return {}
    is_own = cluster.metadata.controller() == job.metadata.uid
    if state.phase in FINISHED and not is_own and "endTime" in job.status:
        return job.status.get("rayClusterStatus") or {}
    return cluster.status


def goes_on(job: api.RayJob, written: Mapping[str, Any]) -> bool:
    """Tell whether the written status asks for another pass at once."""
    before, after = states.read(job.status), states.read(written)
    kept = ("phase", "head", "is_ended")  # by which is asked for something else
    return any(getattr(before, each) != getattr(after, each) for each in kept)


def _conditions(
    job: api.RayJob,
    observed: Observed,
    outcome: actions.Outcome,
    *,
    state: State,
    now: datetime,
) -> list[dict[str, Any]]:
    before = conditions.read(job.status.get("conditions", ()))
    current = aspects.current(job, observed, outcome=outcome, state=state)
    return [item.manifest() for item in conditions.merge(before, current, now=now)]
