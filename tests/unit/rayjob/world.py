"""An operator in a fake world, one pass at a time.

Passes happen only when something wakes the key, as in earnest, so that a wake-up that is missing
shows.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from ray_operator import actions, job_pollers, names, ray_records, records, settings
from ray_operator.api import rayjob as api
from ray_operator.rayjob import inquiry, observed, plan, status, transitions
from ray_operator.rayjob import state as states
from tests.unit import builders
from tests.unit.rayjob import given
from tests.unit.rayjob.surroundings import TERMINATION_SECONDS, Record, Surroundings


class World(Surroundings):
    """One RayJob and its operator, which asks Ray every so many seconds."""

    def __init__(
        self,
        *,
        ends: tuple[str, ...] = ("SUCCEEDED",),
        fault: str = "",
        shared: bool = False,
        polls_every: int = 1,
        **spec: Any,
    ) -> None:
        super().__init__(ends, fault)
        self.options: settings.Settings = builders.SETTINGS
        self.spec = spec
        self.status: dict[str, Any] = {}
        self.generation = 1
        self.silent_until = self.now
        self.writes = 0
        self.told: list[str] = []
        self.phases: list[str] = []
        self.answer = ray_records.JobAnswer()
        self._polls_every = polls_every
        self._inquiry: ray_records.JobInquiry | None = None
        self._polled_at = self.now
        self._tried_at: datetime | None = None
        self._seen: object = None
        self._due: datetime | None = self.now
        if shared:
            spec["clusterSelector"] = {names.CLUSTER_LABEL: "shared"}
            manifest = {"metadata": {"name": "shared", "namespace": "ns1"}}
            manifest |= {"spec": given.CLUSTER_SPEC}
            self._add_cluster(manifest)

    # What the operator sees and does

    @property
    def present(self) -> str:  # type: ignore[override]
        """Name the cluster of the present attempt."""
        return self.state.cluster

    @property
    def state(self) -> states.State:
        return states.read(self.status)

    def job(self) -> api.RayJob:
        metadata: dict[str, Any] = {"finalizers": self.finalizers, "generation": self.generation}
        if self.is_deleted:
            metadata["deletionTimestamp"] = given.NOW.isoformat()
        return given.rayjob(metadata=metadata, status=self.status, **self.spec)

    def seen(self) -> observed.Observed:
        cluster = self.clusters.get(self.state.cluster)
        submitter = self.submitter
        return observed.Observed(
            cluster=self._model(cluster) if cluster else None,
            pods=(self._pod(cluster.head),) if cluster and cluster.head else (),
            submitter=submitter.record if submitter else None,
            submitter_pods=tuple(submitter.pods) if submitter else (),
            service=self.service,
            ray=self.answer,
        )

    def is_awake(self) -> bool:
        """Tell whether something wakes the key: a change that it hears of, or the time."""
        is_due = self._due is not None and self.now >= self._due
        return is_due or self._facts() != self._seen

    def edit(self, **spec: Any) -> None:
        """Change the RayJob's spec."""
        self.spec |= spec
        self.generation += 1
        self._due = self.now

    def passes(self, *, most: int | None = None, writes: bool = True) -> None:
        """Make one pass; the operator ends after `most` actions, or before it writes the status."""
        job, before = self.job(), self._facts()
        decided = plan.plan(job, self.seen(), self.options, self.now)
        self._ask(inquiry.inquiry(job, self.seen(), decided, options=self.options))
        todo = decided.actions if most is None else decided.actions[:most]
        for each in todo:
            self._apply(each)
            if each.resource == records.RAYJOBS:
                self._due = self.now
        if most is not None or not writes:
            self.restart()
            return
        outcome = actions.Outcome(invalid=decided.invalid)
        written = status.next_status(job, self.seen(), outcome, self.now, options=self.options)
        goes_on = False
        if written is not None and written != self.status:
            self._check(states.read(written))
            self.writes += 1
            self.status = dict(written)
            self.phases.append(self.state.phase.value)
            self.told += [each.reason for each in transitions.events(job, written)]
            goes_on = status.goes_on(job, written)
        self._seen = before if todo else self._facts()
        wait = timedelta() if goes_on else decided.requeue_after
        self._due = None if wait is None else self.now + wait

    def restart(self) -> None:
        """Begin anew with what is stored: all that was only known is forgotten."""
        self._ask(None)
        self._seen, self._due = None, self.now

    def _check(self, after: states.State) -> None:
        """Refuse that a job fails of which Ray's word that it succeeded can be read."""
        failed = after.phase in {states.Phase.FAILED, states.Phase.RETRYING}
        if not failed or self.state.phase == after.phase:
            return
        if after.reason == states.Reason.DEADLINE_EXCEEDED:
            record = self.record()
            deadline = after.started_at
            assert deadline is not None
            deadline += timedelta(seconds=self.spec["activeDeadlineSeconds"])
            ended = record.ended_at if record else None
            assert ended is None or ended > deadline or self.silent_until > self.now
            return
        assert after.job_status != "SUCCEEDED"
        assert not any(self._succeeded(pod) for pod in self.seen().followers()), after
        table = self._table(after.cluster)
        record = table.get(after.job_id) if table is not None else None
        is_heard = self._is_own_life(after) and self.silent_until <= self.now
        assert not (record and record.status == "SUCCEEDED" and is_heard), after

    def _succeeded(self, pod: records.Pod) -> bool:
        """Tell whether the Pod of the submitter left word of success."""
        container = pod.ray()
        ended = container.ended if container else None
        return ended is not None and '"SUCCEEDED"' in ended.message

    def _is_own_life(self, state: states.State) -> bool:
        head = self._head(state.cluster)
        return bool(head and state.head and head.session == state.head.session)

    def record(self) -> Record | None:
        """Return what Ray has of the present attempt's job."""
        return (self._table(self.state.cluster) or {}).get(self.state.job_id)

    def elapse(self, seconds: int = 1, *, polls: bool = True) -> None:
        """Let time go by; while the operator is down nobody `polls`."""
        for _ in range(seconds):
            self.step()
            wanted = self._inquiry
            pause = 1 if wanted is None or wanted.is_urgent else self._polls_every
            if polls and wanted and self.now >= self._polled_at + timedelta(seconds=pause):
                self._polled_at = self.now
                self._poll(wanted)

    def _poll(self, wanted: ray_records.JobInquiry) -> None:
        """Answer as a poller would."""
        head = self._head(self.state.cluster)
        is_silent = self.now < self.silent_until
        if head is None or not wanted.head.is_up or is_silent:
            since = self._tried_at or self.now
            spent = min(self.now - since, job_pollers.LONGEST_ATTEMPT)
            self._tried_at = self.now
            self.answer = msgspec.structs.replace(
                self.answer, error="no answer", in_vain=self.answer.in_vain + spent
            )
            return
        self._tried_at = None
        table, is_written = self.tables[head.session], head.session == wanted.session
        if wanted.job_id not in table and wanted.submission is not None and is_written:
            self._start(self.state.cluster, head.session, wanted.job_id)
        found = table.get(wanted.job_id)
        may_stop = wanted.session in {"", head.session}
        if wanted.stops and may_stop and found and found.ended_at is None:
            found.status, found.ended_at = "STOPPED", self.now
        self.answer = ray_records.JobAnswer(
            answered_at=self.now,
            session=head.session,
            pod_uid=wanted.head.pod_uid,
            info=ray_records.JobInfo(found.status, ended_at=found.ended_at) if found else None,
            is_stopped=wanted.stops,
        )

    def _ask(self, wanted: ray_records.JobInquiry | None) -> None:
        before = self._inquiry
        if wanted is None or before is None or job_pollers._is_another(before, wanted):
            self.answer, self._tried_at = ray_records.JobAnswer(), None
        self._inquiry = wanted

    def _facts(self) -> object:
        cluster = self.clusters.get(self.state.cluster)
        submitter = self.submitter
        return (
            (cluster.uid, cluster.is_ready, cluster.is_going) if cluster else None,
            self._pod(cluster.head) if cluster and cluster.head else None,
            submitter.record if submitter else None,
            tuple(submitter.pods) if submitter else (),
            self.service,
            job_pollers._facts(self.answer),
        )


FINAL = {states.Phase.COMPLETE, states.Phase.FAILED, states.Phase.SUSPENDED, states.Phase.INVALID}


def settle(world: World, *, within: timedelta = timedelta(hours=1)) -> World:
    """Let time go by, with passes whenever something wakes the key, until all is quiet."""
    until, quiet = world.now + within, 0
    while quiet < TERMINATION_SECONDS + 2:
        for _ in range(12):
            if not world.is_awake():
                break
            world.passes()
        else:
            raise AssertionError(f"passes without end: {world.state}")
        is_over = world.state.phase in FINAL and (world._due is None or world._due > until)
        quiet = quiet + 1 if is_over else 0
        world.elapse()
        if world.now > until:
            raise AssertionError(f"no end within {within}: {world.state}, {world.phases}")
    return world
