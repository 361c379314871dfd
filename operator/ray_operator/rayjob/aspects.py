"""The conditions of a RayJob: what holds of it now, and why.

Owns: which conditions there are and what each says. Does not own: their names and reasons
(`api.job_vocabulary`), or the state that they follow from (`decide`). Invariant: pure; equal
observations give equal conditions; their types are those of Kubernetes' Jobs where these have one,
so that `kubectl wait` needs no other words.
"""

from collections.abc import Iterator

from ray_operator import actions, conditions, validity
from ray_operator.api import job_vocabulary as vocabulary
from ray_operator.api import rayjob as api
from ray_operator.raycluster import rollup
from ray_operator.rayjob.observed import Observed
from ray_operator.rayjob.state import FINISHED, STOPPED, Phase, State

Type = vocabulary.JobCondition
Told = vocabulary.JobReason
_ATTEMPT = frozenset({Phase.INITIALIZING, Phase.WAITING, Phase.RUNNING})


def current(
    job: api.RayJob, observed: Observed, *, outcome: actions.Outcome, state: State
) -> list[conditions.Condition]:
    """Return the conditions of now, in the order in which they are written."""
    found = [
        *_ends(state),
        _suspended(state),
        validity.condition(Type.SPEC_VALID, outcome.invalid),
        *_cluster(job, observed, state),
        *_reachable(observed, state),
        *_failure(outcome),
    ]
    generation = job.metadata.generation
    return [_at(each, generation) for each in found]


def _ends(state: State) -> Iterator[conditions.Condition]:
    if state.phase not in FINISHED:
        return
    if state.phase is Phase.FAILED:
        yield conditions.make(Type.FAILED, "True", state.reason or Told.FAILED, state.message)
        return
    how = Told.STOPPED if state.job_status == STOPPED else Told.SUCCEEDED
    yield conditions.make(Type.COMPLETE, "True", how, state.message)


def _suspended(state: State) -> conditions.Condition:
    if state.phase is Phase.SUSPENDED:
        return conditions.make(Type.SUSPENDED, "True", Told.SUSPENDED)
    if state.phase is Phase.SUSPENDING:
        return conditions.make(
            Type.SUSPENDED, "False", Told.SUSPENDING, "the cluster is being removed"
        )
    return conditions.make(Type.SUSPENDED, "False", Told.RESUMED)


def _cluster(job: api.RayJob, observed: Observed, state: State) -> Iterator[conditions.Condition]:
    """Roll up the cluster's own diagnosis, while an attempt needs the cluster.

    Of one that was named by this very pass nothing is observed yet.
    """
    is_seen = job.status.get("rayClusterName") == state.cluster
    if state.phase not in _ATTEMPT or not state.cluster or not is_seen:
        return
    yield rollup.ready(state.cluster, observed.cluster)


def _reachable(observed: Observed, state: State) -> Iterator[conditions.Condition]:
    """Say whether what is told of the job is Ray's newest word."""
    if state.phase not in {Phase.INITIALIZING, Phase.RUNNING} or not state.dashboard_url:
        return
    answer = observed.ray
    if answer.error and state.unanswered_since is not None:
        text = (
            f"unknown, cannot reach the head since {state.unanswered_since:%FT%TZ}: {answer.error}"
        )
        yield conditions.make(Type.REACHABLE, "False", Told.UNREACHABLE, text)
    elif answer.answered_at is not None:
        yield conditions.make(Type.REACHABLE, "True", Told.ANSWERS)
    else:
        yield conditions.make(
            Type.REACHABLE, "Unknown", Told.NOT_ASKED, "Ray hasn't been asked yet"
        )


def _failure(outcome: actions.Outcome) -> Iterator[conditions.Condition]:
    for first in outcome.failures[:1]:
        reason = first.action.reasons.condition
        yield conditions.make(Type.CHILD_FAILURE, "True", reason, actions.told(first))


def _at(item: conditions.Condition, generation: int) -> conditions.Condition:
    return conditions.Condition(
        type=item.type,
        status=item.status,
        reason=item.reason,
        message=item.message,
        observed_generation=generation,
    )
