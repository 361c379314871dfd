"""How long a RayService may take to serve at all.

Owns: the time-out of the annotation. Does not own: what is told of it (`aspects`). Invariant: the
clock starts with the cluster that shall serve first, and what has served once never times out.
Source: KubeRay 1.7, `ray.io/initializing-timeout`; that a changed spec begins anew is ours.
"""

from datetime import timedelta

from ray_operator import names
from ray_operator.api import duration
from ray_operator.rayservice.case import Case
from ray_operator.rayservice.state import State


def timeout(case: Case) -> timedelta | None:
    """Return the time that the annotation allows; None for ever."""
    text = case.service.metadata.annotations.get(names.INITIALIZING_TIMEOUT_ANNOTATION, "")
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text)) or None
    found = duration.parse(text) if text else None
    return found if found and found > timedelta() else None


def left(case: Case, state: State) -> timedelta | None:
    """Return the time that is left; None when it doesn't run, nothing or less when it is over."""
    allowed, cluster = timeout(case), case.observed.cluster(state.pending)
    begun = cluster.metadata.creation_timestamp if cluster else None
    if allowed is None or begun is None or state.active or case.observed.services:
        return None
    return begun + allowed - case.now
