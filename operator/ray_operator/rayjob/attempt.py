"""The names of an attempt: chosen once, and written to the status before anything bears them.

Owns: how they are drawn. Does not own: writing them (`status`). Invariant: they follow from the
RayJob's UID and the attempt's beginning, so pure code can draw them; no two attempts of any RayJobs
share one but by a chance of one in millions, and never of one RayJob's.
"""

import dataclasses
from datetime import datetime

from ray_operator import conditions, names
from ray_operator.rayjob.case import Case
from ray_operator.rayjob.state import Phase, State


def begun(case: Case) -> State:
    """Return the state of a new attempt, on the selected cluster or on one to be made."""
    spec = case.spec
    started = case.now.replace(microsecond=0)
    job_id = case.state.job_id or spec.job_id or _drawn(case, "job", started)
    return dataclasses.replace(
        case.state,
        phase=Phase.INITIALIZING,
        job_id="" if spec.submission_mode == "InteractiveMode" else job_id,
        cluster=case.state.cluster or case.selected or _drawn(case, "cluster", started),
        started_at=started,
        reason="",
        message="",
    )


def redirected(case: Case) -> State:
    """Return the state of an attempt that runs nowhere yet, on the cluster that is selected now.

    Without a selector that is one of its own, under a name that is free.
    """
    state, cluster = case.state, case.selected or case.state.cluster
    if case.observed.is_taken and not case.selected and state.started_at:
        cluster = _drawn(case, "cluster", state.started_at)
    if cluster == state.cluster:
        return state
    return dataclasses.replace(state, cluster=cluster, dashboard_url="", head=None)


def _drawn(case: Case, what: str, started: datetime) -> str:
    metadata = case.job.metadata
    seed = f"{metadata.uid}/{what}/{case.state.failed}/{conditions.timestamp(started)}"
    return names.attempt(metadata.name, names.suffix(seed))
