"""Which Pods are due to be replaced, how that is told, and which places are free.

Owns: the judgement of single Pods, deletions with their reasons, replica indices. Does not own: how
many Pods there shall be (`nodes`, `replicas`) or how long a broken one waits (`backoff`).
Invariant: pure. Source: KubeRay 1.7, Pod reconciliation.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ray_operator import actions, names, records, settings
from ray_operator.raycluster import backoff
from ray_operator.raycluster import observed as seen

CREATE_HEAD = actions.Reasons("CreatedHeadPod", "FailedToCreateHeadPod", "FailedCreateHeadPod")
DELETE_HEAD = actions.Reasons("DeletedHeadPod", "FailedToDeleteHeadPod", "FailedDeleteHeadPod")
CREATE_WORKER = actions.Reasons(
    "CreatedWorkerPod", "FailedToCreateWorkerPod", "FailedCreateWorkerPod"
)
DELETE_WORKER = actions.Reasons(
    "DeletedWorkerPod", "FailedToDeleteWorkerPod", "FailedDeleteWorkerPod"
)


MOST_CREATED = 256
"""Worker Pods that one pass makes of a cluster, so that none takes minutes or much memory."""


class Health(NamedTuple):
    """Pods sorted: those to replace now with their failures in a row, the rest, and a wait."""

    broken: Sequence[tuple[records.Pod, int]]
    rest: Sequence[records.Pod]
    wait: timedelta | None


def sort_broken(
    pods: Iterable[records.Pod],
    judge: Callable[[records.Pod], backoff.Verdict],
    *,
    now: datetime,
) -> Health:
    """Split into Pods to replace now and the rest; and when to look again for the rest.

    A broken Pod keeps its place until its successor is due.
    """
    broken, rest, wait = [], [], None
    for pod in pods:
        if not seen.is_broken(pod):
            rest.append(pod)
            continue
        verdict = judge(pod)
        if verdict.due > now:
            rest.append(pod)
            wait = soonest(wait, verdict.due - now)
        else:
            broken.append((pod, verdict.failures))
    return Health(broken, rest, wait)


def until_stuck(
    pods: Iterable[records.Pod], *, options: settings.Settings, now: datetime
) -> timedelta | None:
    """Return how long until the first of the Pods, which terminate, no longer counts."""
    moments = [pod.deletion_at + options.stuck_after for pod in pods if pod.deletion_at is not None]
    if not moments:
        return None
    return max(min(moments) - now, timedelta()) + timedelta(seconds=1)


def soonest(*waits: timedelta | None) -> timedelta | None:
    """Return the shortest of the waits that there are."""
    return min((wait for wait in waits if wait is not None), default=None)


def free_indices(pods: Iterable[records.Pod], count: int) -> list[int]:
    """Return the `count` smallest replica indices that no Pod uses."""
    used = {index(pod) for pod in pods}
    free = (index for index in range(len(used) + max(count, 0)) if index not in used)
    return [index for index, _ in zip(free, range(max(count, 0)), strict=False)]


def failures_by_index(
    broken: Iterable[tuple[records.Pod, int]], free: Iterable[int]
) -> dict[int, int]:
    """Map replica indices to the failures in a row of their former Pods.

    Those of Pods without an index, as older operators made them, go to the first of `free`.
    """
    found: dict[int, int] = {}
    lost: list[int] = []
    for pod, failures in broken:
        at = index(pod)
        if at < 0:
            lost.append(failures)
        else:
            found[at] = max(found.get(at, 0), failures)
    others = (at for at in free if at not in found)
    return found | dict(zip(others, lost, strict=False))


def index(pod: records.Pod) -> int:
    """Return the Pod's replica index, -1 when it has none."""
    text = pod.labels.get(names.REPLICA_INDEX_LABEL, "")
    return int(text) if text.isdigit() else -1


def delete(pod: records.Pod, reasons: actions.Reasons, why: str) -> actions.Delete:
    """Return the deletion of a Pod; `why` is for the event."""
    return actions.Delete(
        resource=records.PODS,
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        reasons=reasons,
        why=why,
        was=pod,
    )


def describe(pod: records.Pod) -> str:
    """Say how a broken Pod ended."""
    ray = next((item for item in pod.containers if item.name == pod.ray_container), None)
    said = f"phase {pod.phase}, restartPolicy {pod.restart_policy}"
    if pod.reason:
        said += f", {pod.reason} {pod.message}".rstrip()
    if ray is not None and ray.state == "terminated":
        said += f", container {ray.name}: {ray.reason}, exit code {ray.exit_code}"
    return said
