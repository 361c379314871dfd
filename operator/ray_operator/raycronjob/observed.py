"""What the world looks like for one RayCronJob.

Owns: the frozen snapshot and questions about one run in it. Does not own: reading it from the store
(`observe`). Invariant: only RayJobs controlled by this very RayCronJob (by UID) are in it.
Source: KubeRay 1.7, values of `jobDeploymentStatus` and `jobStatus`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

ENDED = frozenset({"Complete", "Failed", "ValidationFailed"})
"""A RayJob whose spec is refused doesn't run, and nothing but an edit changes that."""
STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A RayJob.

    Attributes:
        tick: what it was made for; None where that can't be read.
        phase: its `jobDeploymentStatus`, empty in the beginning.
        job_status: what Ray says of it, empty as long as it says nothing.
        ended_at: None until it ended.
        is_going: its deletion was asked for.
    """

    namespace: str
    name: str
    uid: str
    created_at: datetime | None = None
    tick: datetime | None = None
    phase: str = ""
    job_status: str = ""
    ended_at: datetime | None = None
    is_going: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The RayJobs of a RayCronJob, the oldest first."""

    runs: tuple[Run, ...] = ()

    def active(self) -> Sequence[Run]:
        """Return those that haven't ended, on their way out too: their clusters still run."""
        return [run for run in self.runs if run.phase not in ENDED]

    def succeeded(self) -> Sequence[Run]:
        """Return those that did what they were for."""
        return [run for run in self.runs if has_succeeded(run)]

    def failed(self) -> Sequence[Run]:
        """Return those that ended otherwise: they failed, were stopped or refused."""
        return [run for run in self.runs if run.phase in ENDED and not has_succeeded(run)]


def has_succeeded(run: Run) -> bool:
    """Tell whether the run did what it was for; a job that somebody stopped didn't."""
    return run.phase == "Complete" and run.job_status != STOPPED
