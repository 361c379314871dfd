"""Say first what a user has to cure first: roots before consequences.

Owns: the order of causes, and how long each is said. Does not own: finding them
(`obstacles`, `refusals`, `pods`). Invariant: pure and total; while a fault lasts the words stay
the same, and a cured cluster has no cause.

The order: what the head lacks, then what its Pod suffers, then the same for workers, and in the
end what workers suffer only because of the head.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice

from ray_operator import actions, conditions, records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import versions
from ray_operator.raycluster.diagnosis import cause, obstacles, pods, refusals, subject

MOST = 500
"""Unready Pods looked at in a pass: some ten milliseconds. The others' turn comes when these are
ready, and thousands that start at once rarely have a cause of their own each.
"""
Told = conditions.Condition | None


def first(
    cluster: api.RayCluster,
    observed: seen.Observed,
    outcome: actions.Outcome,
    *,
    before: Told,
    now: datetime,
) -> cause.Cause | None:
    """Return the cause to say, None when nothing is known to be wrong.

    `before` is what was said last.
    """
    generation = cluster.metadata.generation
    told = before if before is not None and before.observed_generation == generation else None
    late: list[Sequence[cause.Cause]] = []
    for alternatives in _all(cluster, observed, outcome):
        due = [each for each in alternatives if each.due <= now]
        if due and due[0].reason in cause.CONSEQUENCES and not late:
            late.append(due)
        elif due and due[0].reason not in cause.CONSEQUENCES:
            return _settled(due, told)
    if late:
        return _settled(late[0], told)
    if told is not None and told.status == "False" and told.reason in cause.LASTING:
        return cause.Cause(cause.Reason(told.reason), told.message)
    return None


def look_again(
    cluster: api.RayCluster, observed: seen.Observed, *, now: datetime
) -> timedelta | None:
    """Return how long until the first cause is to be told that isn't yet; None for never."""
    waits = (
        each.due - now
        for alternatives in _all(cluster, observed, actions.Outcome())
        for each in alternatives
        if each.due > now
    )
    return min(waits, default=None)


def _all(
    cluster: api.RayCluster, observed: seen.Observed, outcome: actions.Outcome
) -> Iterator[Sequence[cause.Cause]]:
    """Give the causes of one object after the other, for each the most likely first."""
    lost = {pod.uid: pod for pod in _lost(outcome)}
    kept = sorted(observed.pods, key=lambda pod: pod.deletion_at is not None)
    everyone = [*(pod for pod in kept if pod.uid not in lost), *lost.values()]

    def of_pods(chosen: Iterable[records.Pod]) -> Iterator[Sequence[cause.Cause]]:
        unready = (pod for pod in chosen if not pod.ready or pod.deletion_at is not None)
        for each in subject.subjects(cluster, observed, islice(unready, MOST)):
            if found := [*pods.causes(each)]:
                yield found

    return chain(
        obstacles.causes(cluster, observed),
        refusals.causes(outcome, of_workers=False),
        _version(cluster, observed),
        of_pods(pod for pod in everyone if subject.is_head(pod)),
        refusals.causes(outcome, of_workers=True),
        of_pods(pod for pod in everyone if not subject.is_head(pod)),
    )


def _version(cluster: api.RayCluster, observed: seen.Observed) -> Iterator[Sequence[cause.Cause]]:
    """Give the head's version if probes and flags are made for another one.

    A head that is down has another cause.
    """
    head, message = observed.head(), versions.obstacle(cluster, observed)
    if head is None or not message:
        return
    ray = next((each for each in head.containers if each.name == head.ray_container), None)
    if ray is None or ray.state == "running":
        yield [cause.Cause(cause.Reason.RAY_VERSION_MISMATCH, message)]


def _lost(outcome: actions.Outcome) -> Iterator[records.Pod]:
    """Give the Pods as they were that this pass removed because they were broken."""
    for result in outcome.results:
        was = result.action.was if isinstance(result.action, actions.Delete) else None
        if was is not None and result.error is None and seen.is_broken(was):
            yield was


def _settled(causes: Sequence[cause.Cause], told: Told) -> cause.Cause:
    """Keep to what was said for as long as it is one of the likely causes."""
    best = causes[0]
    for each in causes:
        same = told is not None and each.reason == best.reason == told.reason
        if told is not None and same and cause.is_same(each.message, told.message):
            return best._replace(message=told.message)
    return best
