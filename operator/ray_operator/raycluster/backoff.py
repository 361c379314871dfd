"""How often the Pods of a slot failed in a row, and how long its next one waits.

Owns: what counts as a failure, the delays, and where the count is kept. Does not own: replacing
Pods (`nodes`, `replicas`). Invariant: a slot gets at most six Pods in ten minutes, and the count
survives the operator: a worker carries that of its predecessors, the head's is on its Service,
since no head may be made before the former is gone.

A broken Pod keeps its place until its successor is due, which is told by when it was created. A
change of the spec may be the cure, so it starts the count anew.
Source: the kubelet's back-off of containers, with its longest delay and its forgiveness.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from ray_operator import actions, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import upgrade

LONGEST = timedelta(minutes=5)
FORGIVEN_AFTER = timedelta(minutes=10)
"""A Pod that ran this long starts the count anew when it fails."""

RECORD = actions.Reasons("CountedFailure", "FailedToCountFailure", "FailedCountFailure")
_NOT_ITS_FAULT = {"Evicted", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated"}
"""Reasons that the kubelet and the node controller give to a Pod which they ended."""


class Verdict(NamedTuple):
    """How many Pods of a slot failed in a row, and when the next one is due."""

    failures: int
    due: datetime


def of_workers(
    spec: api.RayClusterSpec, group: api.WorkerGroupSpec, *, options: settings.Settings
) -> Callable[[records.Pod], Verdict]:
    """Return how to judge the broken Pods of a group."""
    is_old = upgrade.is_old(spec, group)
    return lambda pod: judge(pod, inherited(pod), is_old=is_old, options=options)


def inherited(pod: records.Pod) -> int:
    """Return how many Pods of the slot failed in a row before this worker."""
    text = pod.annotations.get(names.FAILURES_ANNOTATION, "")
    return int(text) if text.isdecimal() else 0


def judge(
    pod: records.Pod,
    before: int,
    *,
    is_old: Callable[[records.Pod], bool],
    options: settings.Settings,
) -> Verdict:
    """Judge a broken Pod whose slot had `before` failures in a row.

    `is_old` tells whether it is of an older template than the Pod to come.
    """
    if is_old(pod):
        return Verdict(0, pod.created_at)
    failures = before
    if pod.reason not in _NOT_ITS_FAULT and not pod.disrupted:
        failures = 1 if _lived(pod) >= FORGIVEN_AFTER else before + 1
    # The shift is bounded: a count may be anything that was written on a Pod.
    delay = options.replace_pace * (1 << min(max(failures - 1, 0), 16))
    return Verdict(failures, pod.created_at + min(delay, LONGEST))


def annotation(failures: int) -> dict[str, str]:
    """Return the annotation that hands the count to a worker's successor."""
    return {names.FAILURES_ANNOTATION: str(failures)} if failures else {}


def head_failures(service: records.Service | None) -> tuple[int, str]:
    """Return the failures of heads in a row, and the UID of the last one counted."""
    text = service.annotations.get(names.FAILURES_ANNOTATION, "") if service else ""
    number, _, uid = text.partition(" ")
    return (int(number), uid) if number.isdecimal() else (0, "")


def record(service: records.Service, pod: records.Pod, failures: int) -> actions.Patch:
    """Return the action that keeps the head's count while there is no head."""
    said = f"{failures} {pod.uid}"
    return actions.Patch(
        resource=records.SERVICES,
        namespace=service.namespace,
        name=service.name,
        uid=service.uid,
        change={"metadata": {"annotations": {names.FAILURES_ANNOTATION: said}}},
        reasons=RECORD,
    )


def _lived(pod: records.Pod) -> timedelta:
    ends = [each.ended.finished_at for each in pod.containers if each.ended is not None]
    return max((end - pod.created_at for end in ends if end is not None), default=timedelta())
