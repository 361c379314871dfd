"""The part of a RayJob's status that decides what happens next.

Owns: its fields as a typed value, reading it from a status and writing it back. Does not own: how
it changes (`decide`), or what else a status says (`status`). Invariant: reading what was written
gives the same value, so that a new leader goes on where the last one stopped.
Source: KubeRay 1.7, RayJobStatus; `head`, `usedJobId` and `teardownStartTime` are ours.
"""

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ray_operator import conditions, names, ray_records
from ray_operator.api import job_vocabulary
from ray_operator.api import rayjob as api


class Phase(enum.StrEnum):
    """`jobDeploymentStatus`: where an attempt stands."""

    NEW = ""
    INITIALIZING = "Initializing"
    WAITING = "Waiting"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDING = "Suspending"
    SUSPENDED = "Suspended"
    RETRYING = "Retrying"
    INVALID = "ValidationFailed"


FINISHED = frozenset({Phase.COMPLETE, Phase.FAILED})
Reason = job_vocabulary.JobFailure
SUCCEEDED, FAILED, STOPPED = "SUCCEEDED", "FAILED", "STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head that an attempt belongs to: its Pod, and the life of Ray in it."""

    pod_uid: str
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All of a status that decisions read; times are of whole seconds.

    Attributes:
        job_status: what Ray said last, `""` before it said anything.
        head: recorded before anything is submitted; None until then.
        used_job_id: of an earlier attempt in InteractiveMode, not to be followed again.
        unanswered_since: since when Ray hasn't answered, None while it does.
        teardown_since: since when the present attempt is being removed, None while it isn't.
    """

    phase: Phase = Phase.NEW
    job_status: str = ""
    job_id: str = ""
    cluster: str = ""
    dashboard_url: str = ""
    head: Head | None = None
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    succeeded: int = 0
    failed: int = 0
    ray_started_at: datetime | None = None
    ray_ended_at: datetime | None = None
    unanswered_since: datetime | None = None
    teardown_since: datetime | None = None
    used_job_id: str = ""

    @property
    def is_ended(self) -> bool:
        """Tell whether Ray has said its last about the job."""
        return self.job_status in ray_records.JOB_ENDS


def read(status: Mapping[str, Any]) -> State:
    """Read it from a stored status, whoever wrote that; what can't be read is as if absent."""
    head = status.get("head") or {}
    info = status.get("rayJobInfo") or {}
    phase = status.get("jobDeploymentStatus") or ""
    return State(
        phase=Phase(phase) if phase in set(Phase) else Phase.NEW,
        job_status=status.get("jobStatus") or "",
        job_id=status.get("jobId") or "",
        cluster=status.get("rayClusterName") or "",
        dashboard_url=status.get("dashboardURL") or "",
        head=Head(pod_uid=head.get("podUID", ""), session=head.get("session", ""))
        if head
        else None,
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        started_at=_moment(status.get("startTime")),
        ended_at=_moment(status.get("endTime")),
        succeeded=status.get("succeeded") or 0,
        failed=status.get("failed") or 0,
        ray_started_at=_moment(info.get("startTime")),
        ray_ended_at=_moment(info.get("endTime")),
        unanswered_since=_moment(status.get("jobStatusCheckFailureStartTime")),
        teardown_since=_moment(status.get("teardownStartTime")),
        used_job_id=status.get("usedJobId") or "",
    )


def of(job: api.RayJob) -> State:
    """Read it from a RayJob; where its CRD knows no `status.head`, an annotation has that."""
    state = read(job.status)
    cluster, _, rest = job.metadata.annotations.get(names.HEAD_ANNOTATION, "").partition("/")
    pod_uid, _, session = rest.partition("/")
    if state.head is not None or not session or cluster != state.cluster:
        return state
    return dataclasses.replace(state, head=Head(pod_uid=pod_uid, session=session))


def annotation(state: State) -> str:
    """Write the head for that annotation, with the attempt that it is of."""
    head = state.head
    return f"{state.cluster}/{head.pod_uid}/{head.session}" if head else ""


def manifest(state: State) -> dict[str, Any]:
    """Write it as a part of a status; what isn't known is left out."""
    info = {"startTime": _text(state.ray_started_at), "endTime": _text(state.ray_ended_at)}
    head = state.head
    fields: dict[str, Any] = {
        "jobDeploymentStatus": state.phase.value,
        "jobStatus": state.job_status,
        "jobId": state.job_id,
        "rayClusterName": state.cluster,
        "dashboardURL": state.dashboard_url,
        "head": {"podUID": head.pod_uid, "session": head.session} if head else None,
        "reason": state.reason,
        "message": state.message,
        "startTime": _text(state.started_at),
        "endTime": _text(state.ended_at),
        "rayJobInfo": {key: text for key, text in info.items() if text},
        "jobStatusCheckFailureStartTime": _text(state.unanswered_since),
        "teardownStartTime": _text(state.teardown_since),
        "usedJobId": state.used_job_id,
    }
    counts = {"succeeded": state.succeeded, "failed": state.failed}
    return {**{key: value for key, value in fields.items() if value}, **counts}


def without_attempt(state: State, phase: Phase) -> State:
    """Forget the attempt that was removed; what is counted over all attempts stays."""
    return State(
        phase=phase,
        started_at=state.started_at,
        ended_at=state.ended_at,
        succeeded=state.succeeded,
        failed=state.failed,
        used_job_id=state.used_job_id,
    )


def failed(state: State, reason: Reason, message: str) -> State:
    """End the attempt as failed; whether another follows is decided later."""
    return dataclasses.replace(state, phase=Phase.FAILED, reason=reason, message=message)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(moment: datetime | None) -> str:
    return conditions.timestamp(moment) if moment else ""
