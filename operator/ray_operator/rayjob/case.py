"""One RayJob in one pass: all that its steps decide on, and what a step comes to.

Owns: the bundle, its deadlines, and questions that several phases ask. Does not own: the answers'
consequences (`decide`). Invariant: a step is a value; nothing is done by making one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ray_operator import actions, names, settings
from ray_operator.api import rayjob as api
from ray_operator.rayjob.observed import Observed
from ray_operator.rayjob.state import State

SOON = timedelta(seconds=1)
"""Until a deadline that has passed is looked at again, for want of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`spec` is the last valid one, which may not be the RayJob's own."""

    job: api.RayJob
    spec: api.RayJobSpec
    state: State
    observed: Observed
    options: settings.Settings
    now: datetime

    @property
    def mode(self) -> str:
        """Who submits."""
        return self.spec.submission_mode

    @property
    def has_submitter(self) -> bool:
        """Tell whether something other than the operator submits and shows the output."""
        return self.mode in {"K8sJobMode", "SidecarMode"}

    @property
    def selects_cluster(self) -> bool:
        """Tell whether the attempt runs on a cluster that isn't its own.

        A selector that was edited since selects for the next attempt.
        """
        cluster, uid = self.observed.cluster, self.job.metadata.uid
        is_anothers = cluster is not None and cluster.metadata.controller() != uid
        return is_anothers or self.selected == self.state.cluster != ""

    @property
    def selected(self) -> str:
        """The cluster that the spec selects; `""` when the RayJob is to have one of its own."""
        return self.spec.cluster_selector.get(names.CLUSTER_LABEL) or ""

    def owns_cluster(self) -> bool:
        """Tell whether the cluster is this RayJob's to delete."""
        return self.observed.cluster is not None and not self.selects_cluster

    def active_deadline(self) -> datetime | None:
        """Return until when the attempt may take; None for ever."""
        return self._after_start(self.spec.active_deadline_seconds)

    def pre_running_deadline(self) -> datetime | None:
        """Return until when the attempt must have come to running; None for ever."""
        return self._after_start(self.spec.pre_running_deadline_seconds)

    def has_answer_since(self, moment: datetime) -> bool:
        """Tell whether Ray has answered a question asked then or later, and does still."""
        answer = self.observed.ray
        return not answer.error and answer.answered_at is not None and answer.answered_at >= moment

    def until(self, *moments: datetime | None) -> timedelta | None:
        """Return how long it is to the first of the moments, soon if one has passed."""
        waits = [max(each - self.now, SOON) for each in moments if each is not None]
        return min(waits, default=None)

    def _after_start(self, seconds: int | None) -> datetime | None:
        started = self.state.started_at
        return started + timedelta(seconds=seconds) if started and seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a pass comes to: the next state, actions, and when to look again at the latest."""

    state: State
    todo: tuple[actions.Action, ...] = ()
    events: tuple[actions.Event, ...] = ()
    wait: timedelta | None = None
