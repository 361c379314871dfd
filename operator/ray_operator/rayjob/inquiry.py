"""What a RayJob wants of a head: to know of its job, to submit it, or to stop it.

Owns: the inquiry of one pass. Does not own: asking (`job_pollers`). Invariant: nothing is asked
that can't change a decision; nothing is submitted before the head that gets it is written.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ray_operator import actions, ray_records, settings
from ray_operator.api import rayjob as api
from ray_operator.raycluster import reach
from ray_operator.rayjob import plan, retention, submission
from ray_operator.rayjob import state as states
from ray_operator.rayjob.case import Case
from ray_operator.rayjob.observed import Observed
from ray_operator.rayjob.state import Phase, State

_LONG_AGO = datetime.fromtimestamp(0, UTC)
"""What is asked doesn't depend on the time, but on what is due at the end."""


def inquiry(
    job: api.RayJob,
    observed: Observed,
    decided: actions.Plan,
    *,
    options: settings.Settings,
) -> ray_records.JobInquiry | None:
    """Return what is wanted after a pass that decided so; None: nothing, of nobody."""
    state = states.of(job)
    address = state.dashboard_url
    if not address and observed.cluster is not None:
        address = reach.dashboard(observed.cluster, options=options)
    if not plan.is_ours(job) or not state.cluster or not address:
        return None
    case = Case(
        job=job,
        spec=plan.spec_in_force(job, decided.invalid),
        state=state,
        observed=observed,
        options=options,
        now=state.ended_at or _LONG_AGO,
    )
    head = reach.head(observed.cluster, observed.head(), address)
    if job.metadata.deletion_timestamp:
        return _asked(head, state, stops=True) if plan.is_to_be_stopped(job) else None
    match state.phase:
        case Phase.INITIALIZING:
            is_beside = case.mode == "SidecarMode" and head.is_up
            return _asked(head, state) if is_beside or observed.is_cluster_ready() else None
        case Phase.RUNNING:
            return _of_running(case, head)
        case Phase.FAILED if decided.asks_ray:
            runs = retention.outlives(case) and not _has_stopped(observed)
            return _asked(head, state, stops=True) if runs else None
    return None


def _has_stopped(observed: Observed) -> bool:
    """Tell whether there is nothing left to stop, and nothing that is yet to be written."""
    answer = observed.ray
    is_over = answer.info is None or answer.info.status == states.SUCCEEDED
    return answer.is_stopped and is_over and not answer.error


def _of_running(case: Case, head: ray_records.RayHead) -> ray_records.JobInquiry:
    state = case.state
    submits = case.mode == "HTTPMode" and state.head is not None and not state.job_status
    is_left = case.has_submitter and case.observed.submitter_ended_at() is not None
    return _asked(
        head,
        state,
        payload=submission.payload(case.spec, state.job_id) if submits else None,
        is_urgent=is_left and not state.is_ended,
    )


def _asked(
    head: ray_records.RayHead,
    state: State,
    *,
    stops: bool = False,
    payload: Mapping[str, Any] | None = None,
    is_urgent: bool = False,
) -> ray_records.JobInquiry:
    return ray_records.JobInquiry(
        head=head,
        job_id=state.job_id,
        session=state.head.session if state.head else "",
        submission=payload,
        stops=stops,
        is_urgent=is_urgent,
    )
