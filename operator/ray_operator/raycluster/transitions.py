"""The events that a change of a RayCluster's status is worth.

Owns: which changes are news. Does not own: what the status says (`status`). Invariant: what lasts
is told once; an event that repeats the status word for word makes it show in `kubectl describe`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ray_operator import actions, conditions
from ray_operator.api import raycluster as api
from ray_operator.api import vocabulary
from ray_operator.raycluster import versions
from ray_operator.raycluster.diagnosis import cause

READY = vocabulary.ClusterCondition.READY
SCALED = vocabulary.ClusterCondition.AUTOSCALING
Told = vocabulary.ClusterReason
UNAVAILABLE, RECOVERED = "AutoscalerUnavailable", "AutoscalerRecovered"

Conditions = Sequence[conditions.Condition]


def events(cluster: api.RayCluster, written: Mapping[str, Any]) -> tuple[actions.Event, ...]:
    """Return what is news: why the cluster isn't ready, and who scales it or can't."""
    before = conditions.read(cluster.status.get("conditions", ()))
    after = conditions.read(written.get("conditions", ()))
    return (*_unready(before, after), *_scaling(before, after))


def _unready(before: Conditions, after: Conditions) -> tuple[actions.Event, ...]:
    """Tell why the cluster isn't ready if that is another reason than before."""
    was, is_ = conditions.find(before, READY), conditions.find(after, READY)
    if is_ is None or is_.status == "True" or is_.reason not in set(cause.Reason):
        return ()
    if was is not None and (was.status, was.reason) == (is_.status, is_.reason):
        return ()
    if any((each.type, each.message) == (versions.MATCHES, is_.message) for each in after):
        return ()  # has an event of its own
    event = actions.Event(type="Warning", reason=is_.reason, action="Diagnose", message=is_.message)
    return (event,)


def _scaling(before: Conditions, after: Conditions) -> tuple[actions.Event, ...]:
    """Tell who scales when that changes, and when nobody can; of a cluster taken over, nothing."""
    was, is_ = conditions.find(before, SCALED), conditions.find(after, SCALED)
    if was is None or is_ is None or is_.reason in {was.reason, Told.HEAD_NOT_RUNNING}:
        return ()
    if is_.status == "False":
        name = UNAVAILABLE if is_.reason == Told.GCS_UNREACHABLE else is_.reason
        return (actions.Event(type="Warning", reason=name, action="Scale", message=is_.message),)
    if was.reason == Told.GCS_UNREACHABLE:
        message = "the head's GCS answers again"
        return (actions.Event(type="Normal", reason=RECOVERED, action="Scale", message=message),)
    meaning = Told(is_.reason).meaning
    return (actions.Event(type="Normal", reason=is_.reason, action="Scale", message=meaning),)
