"""Letting Pods go kindly: their Ray nodes take no new work and finish what they run.

Owns: the mark on a Pod that shall go, its deadline, and when it may be deleted. Does not own: which
Pods shall go (`scale_down` and others that call `dismiss`), or telling Ray (`pollers`, which drain
whatever is marked). Invariant: a mark is never taken back, since Ray can't undo a drain; so a Pod
that is marked counts as going, and is deleted soon after its deadline, whatever Ray says.

The mark is an annotation of the Pod, so that a drain goes on when the operator starts anew.
Source: Ray, DrainNode; a drained raylet ends, but its container doesn't.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from ray_operator import actions, conditions, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import fault_tolerance, turnover
from ray_operator.raycluster import observed as seen

LEAST = timedelta(seconds=30)
MARK = actions.Reasons("DrainingPod", "FailedToDrainPod", "FailedDrainPod")
LOOK_AGAIN = timedelta(seconds=5)
"""A change that Ray tells wakes the cluster; this is for what it doesn't."""


def is_draining(pod: records.Pod) -> bool:
    """Tell whether the Pod is marked to go."""
    return names.DRAINING_ANNOTATION in pod.annotations


def deadline(pod: records.Pod) -> datetime | None:
    """Return until when a marked Pod may finish its work; None for one without a mark.

    A mark that can't be read is over.
    """
    text = pod.annotations.get(names.DRAINING_ANNOTATION)
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def dismiss(
    cluster: api.RayCluster,
    observed: seen.Observed,
    replicas: Iterable[Sequence[records.Pod]],
    *,
    why: str,
    options: settings.Settings,
    now: datetime,
) -> actions.Plan:
    """Let replicas go kindly; the Pods of one (a single Pod, mostly) go together.

    To be asked for again in every pass until the Pods are gone: marked Pods must be among them.
    `why` is for events.
    """
    todo: list[actions.Action] = []
    marked: list[records.Pod] = []
    waits: list[timedelta] = []
    for replica in replicas:
        ends = [moment for pod in replica if (moment := deadline(pod)) is not None]
        end = min(ends, default=now + max(_patience(pod, options) for pod in replica))
        finished = all(is_finished(cluster, pod, observed, now=now) for pod in replica)
        if finished or end <= now:
            todo += [turnover.delete(pod, turnover.DELETE_WORKER, why) for pod in replica]
            continue
        fresh = [pod for pod in replica if not is_draining(pod)]
        todo += [_mark(pod, end) for pod in fresh]
        marked += fresh
        waits.append(timedelta() if fresh else min(end - now + timedelta(seconds=1), LOOK_AGAIN))
    return actions.Plan(
        actions=tuple(todo),
        requeue_after=min(waits, default=None),
        events=_told(marked, why),
        asks_ray=bool(waits),
    )


def is_finished(
    cluster: api.RayCluster, pod: records.Pod, observed: seen.Observed, *, now: datetime
) -> bool:
    """Tell whether a Pod that shall go has nothing (more) to finish, or no more time for it."""
    end = deadline(pod)
    if not seen.has_ray(pod) or (end is not None and now >= end):
        return True
    if observed.head() is None:
        # A head with fault tolerance comes back, and its workers go on meanwhile.
        return not fault_tolerance.is_on(cluster)
    state = observed.ray.state
    return state is not None and state.life_of(pod) is None


def _patience(pod: records.Pod, options: settings.Settings) -> timedelta:
    return max(pod.grace, LEAST) if options.drain_timeout is None else options.drain_timeout


def _mark(pod: records.Pod, end: datetime) -> actions.Patch:
    annotations = {names.DRAINING_ANNOTATION: conditions.timestamp(end)}
    return actions.Patch(
        resource=records.PODS,
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        change={"metadata": {"annotations": annotations}},
        reasons=MARK,
    )


def _told(marked: Sequence[records.Pod], why: str) -> tuple[actions.Event, ...]:
    if not marked:
        return ()
    shown = ", ".join(pod.name for pod in marked[:10])
    more = f" and {len(marked) - 10} more" if len(marked) > 10 else ""
    message = f"Pod {shown}{more} may finish what runs, then goes: {why}"
    return (
        actions.Event(type="Normal", reason="DrainingWorkerPod", action="Drain", message=message),
    )
