"""How long a RayService may take to serve at all.

Owns: when the time is over. Does not own: reading the annotation (`api.validation.rayservice`), or
what is told of it (`aspects`). Invariant: the clock starts with the cluster that shall serve first,
and what has served once never times out.
Source: KubeRay 1.7, `ray.io/initializing-timeout`; that a changed spec begins anew is ours.
"""

from datetime import timedelta

from ray_operator.api.validation import rayservice as rules
from ray_operator.rayservice.case import Case
from ray_operator.rayservice.state import State


def timeout(case: Case) -> timedelta | None:
    """Return the time that the annotation allows; None for ever, also if it is refused."""
    return rules.initializing_timeout(case.service)


def left(case: Case, state: State) -> timedelta | None:
    """Return the time that is left; None when it doesn't run, nothing or less when it is over."""
    allowed, cluster = timeout(case), case.observed.cluster(state.pending)
    begun = cluster.metadata.creation_timestamp if cluster else None
    if allowed is None or begun is None or state.active or case.observed.services:
        return None
    return begun + allowed - case.now
