"""How long a RayService may take to serve at all.

Owns: when the time is over. Does not own: reading the annotation (`api.validation.rayservice`), or
what is told of it (`aspects`). Invariant: the clock starts with the cluster that shall serve first,
or with the first word that it can't be made; what has served once never times out.
Source: KubeRay 1.7, `ray.io/initializing-timeout`; that a changed spec begins anew is ours.
"""

from datetime import datetime, timedelta

from ray_operator import conditions
from ray_operator.api import service_vocabulary
from ray_operator.api.validation import rayservice as rules
from ray_operator.rayservice import reasons
from ray_operator.rayservice.case import Case
from ray_operator.rayservice.state import State


def timeout(case: Case) -> timedelta | None:
    """Return the time that the annotation allows; None for ever, also if it is refused."""
    return rules.initializing_timeout(case.service)


def left(case: Case, state: State) -> timedelta | None:
    """Return the time that is left; None when it doesn't run, nothing or less when it is over."""
    allowed, begun = timeout(case), _begun(case, state)
    if allowed is None or begun is None or state.active or case.observed.services:
        return None
    return begun + allowed - case.now


def _begun(case: Case, state: State) -> datetime | None:
    if cluster := case.observed.cluster(state.pending):
        return cluster.metadata.creation_timestamp
    said = conditions.read(case.service.status.get("conditions", ()))
    failure = conditions.find(said, service_vocabulary.ServiceCondition.CHILD_FAILURE)
    is_its = failure is not None and failure.reason == reasons.CLUSTER.condition
    return conditions.moment(failure.last_transition_time) if failure and is_its else None
