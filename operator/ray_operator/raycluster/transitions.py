"""The events that a change of a RayCluster's status is worth.

Owns: which changes are news. Does not own: what the status says (`status`). Invariant: what lasts
is told once; an event that repeats the status word for word makes it show in `kubectl describe`.
"""

from collections.abc import Mapping
from typing import Any

from ray_operator import actions, conditions
from ray_operator.api import raycluster as api
from ray_operator.api import vocabulary
from ray_operator.raycluster import versions
from ray_operator.raycluster.diagnosis import cause

READY = vocabulary.ClusterCondition.READY


def events(cluster: api.RayCluster, written: Mapping[str, Any]) -> tuple[actions.Event, ...]:
    """Return a warning when the reason why the cluster isn't ready is another one than before."""
    before = conditions.find(conditions.read(cluster.status.get("conditions", ())), READY)
    after = conditions.find(conditions.read(written.get("conditions", ())), READY)
    if after is None or after.status == "True" or after.reason not in set(cause.Reason):
        return ()
    if before is not None and (before.status, before.reason) == (after.status, after.reason):
        return ()
    others = conditions.read(written.get("conditions", ()))
    if any((each.type, each.message) == (versions.MATCHES, after.message) for each in others):
        return ()  # has an event of its own
    event = actions.Event(
        type="Warning", reason=after.reason, action="Diagnose", message=after.message
    )
    return (event,)
