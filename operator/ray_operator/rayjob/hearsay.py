"""What is known of the job in hand: Ray's word, or what the submitter heard it say.

Owns: taking answers into the state, and what proves that the head, and the job with it, is lost.
Does not own: what follows (`verdict`). Invariant: only the life of Ray that the attempt belongs to
is listened to; an answer that there is none is no answer.
"""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from ray_operator import conditions, ray_records, records
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import vocabulary
from ray_operator.raycluster import fault_tolerance
from ray_operator.raycluster import observed as cluster_seen
from ray_operator.rayjob.case import Case
from ray_operator.rayjob.state import Head, State

MESSAGE_LENGTH = 4096
"""Of Ray's message, which ends in up to 20,000 characters of log."""


class LastWords(msgspec.Struct):
    """What the submitter left when it ended; `end_time` in milliseconds."""

    submission_id: str = ""
    status: str = ""
    message: str = ""
    end_time: float | None = None
    error: str = ""


class Left(NamedTuple):
    """How a submitter's container ended, and its last words, if they can be read."""

    ended: records.Ended
    words: LastWords


def heard(case: Case) -> State:
    """Return the state with what Ray has said since."""
    state, answer = case.state, case.observed.ray
    is_expected = bool(state.dashboard_url) or case.observed.is_cluster_ready()
    if answer.error and is_expected:
        since = state.unanswered_since or _whole(case.now - answer.in_vain)
        state = dataclasses.replace(state, unanswered_since=since)
    elif not answer.error and answer.answered_at is not None:
        state = dataclasses.replace(state, unanswered_since=None)
    info = answer.info if is_own_life(case, state) else None
    if info is None or info.status not in ray_records.JOB_ENDS:
        info = _by_submitter(case) or info
    return state if info is None else _with(state, info, now=case.now)


def identified(case: Case, state: State) -> State:
    """Record the head that answers, if none is recorded yet."""
    answer = case.observed.ray
    goes_on = answer.info is not None and _survives(case)  # with another life of Ray
    is_known = state.head is not None and not goes_on
    if is_known or not answer.pod_uid or not answer.session or answer.error:
        return state
    return dataclasses.replace(state, head=Head(pod_uid=answer.pod_uid, session=answer.session))


def is_own_life(case: Case, state: State) -> bool:
    """Tell whether the answer is of the life of Ray that the attempt belongs to.

    With fault tolerance another life that knows the job goes on with it.
    """
    answer = case.observed.ray
    is_same = state.head is None or answer.session in {"", state.head.session}
    return is_same or (answer.info is not None and _survives(case))


def loss(case: Case, state: State) -> str:
    """Say what proves that the head is lost, and the job's driver with it; `""` when nothing does.

    With fault tolerance another head knows the job as well, or says itself that it doesn't.
    """
    cluster, head = case.observed.cluster, state.head
    if head is None:
        return ""
    is_answered = bool(case.observed.ray.session) and not case.observed.ray.error
    is_another = is_answered and not is_own_life(case, state)
    if _survives(case):
        return "Ray was started anew and doesn't know the job" if is_another else ""
    pod = case.observed.pod(head.pod_uid)
    if pod is None:
        return "the head Pod in which the job was is gone" + _because(cluster)
    if cluster_seen.is_broken(pod):
        return f"the head Pod {pod.name} has ended" + _how(pod)
    return f"Ray in the head Pod {pod.name} was started anew" + _how(pod) if is_another else ""


def last_words(case: Case) -> Iterator[Left]:
    """Yield what the submitters that have ended left."""
    beside = case.observed.submitter_container()
    found = [pod.ray() for pod in case.observed.followers()]
    for container in [*found, beside]:
        if container is not None and container.state == "terminated" and container.ended:
            yield Left(container.ended, _read(container.ended.message))


def _survives(case: Case) -> bool:
    """Tell whether what Ray knows of jobs outlives the head."""
    cluster = case.observed.cluster
    return cluster is not None and fault_tolerance.is_on(cluster)


def _by_submitter(case: Case) -> ray_records.JobInfo | None:
    """Return the end that a submitter has heard Ray tell."""
    for _, words in last_words(case):
        if words.submission_id == case.state.job_id and words.status in ray_records.JOB_ENDS:
            end = words.end_time
            return ray_records.JobInfo(
                status=words.status,
                message=words.message,
                started_at=case.state.ray_started_at,
                ended_at=datetime.fromtimestamp(end / 1000, UTC) if end else None,
            )
    return None


def _read(message: str) -> LastWords:
    try:
        return msgspec.json.decode(message, type=LastWords)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return LastWords(error=message.strip())


def _with(state: State, info: ray_records.JobInfo, *, now: datetime) -> State:
    # It has ended when we hear of it, also if the head's clock is ahead.
    ended_at = min(info.ended_at, now) if info.ended_at else None
    return dataclasses.replace(
        state,
        job_status=info.status,
        message=_bounded(info.message),
        ray_started_at=_whole(info.started_at) or state.ray_started_at,
        ray_ended_at=state.ray_ended_at or _whole(ended_at),
    )


def _bounded(text: str) -> str:
    """Keep the beginning, which says what happened, and the end, which is the newest of the log."""
    if len(text) <= MESSAGE_LENGTH:
        return text
    return text[:256] + "\n[…]\n" + text[-(MESSAGE_LENGTH - 261) :]


def _whole(moment: datetime | None) -> datetime | None:
    """Cut to whole seconds, as a status keeps them."""
    return moment.replace(microsecond=0) if moment else None


def _how(pod: records.Pod) -> str:
    ray = pod.ray()
    ended = ray.ended if ray is not None else None
    if ended is None:
        return f": {pod.reason} {pod.message}".rstrip(": ")
    why = f"{ended.reason}, exit code {ended.exit_code}" if ended.reason else str(ended.exit_code)
    return f" ({why})"


def _because(cluster: cluster_api.RayCluster | None) -> str:
    if cluster is None:
        return ", and so is its RayCluster"
    said = conditions.read(cluster.status.get("conditions") or ())
    ready = conditions.find(said, vocabulary.ClusterCondition.READY)
    is_told = ready is not None and ready.status == "False" and ready.message
    return f"; RayCluster {cluster.metadata.name}: {ready.message}" if ready and is_told else ""
