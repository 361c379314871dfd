"""A fake of all that a RayJob depends on: an API server, clusters, submitters, and Ray.

Passes happen only when something wakes the key, as in earnest, so that a wake-up that is missing
shows. Ray counts the drivers that it starts.
"""

import collections
import dataclasses
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ray_operator import actions, errors, job_pollers, names, records, settings, wire
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayjob as api
from ray_operator.rayjob import inquiry, observed, plan, status, transitions
from ray_operator.rayjob import state as states
from tests.unit import builders
from tests.unit.rayjob import given

START_SECONDS, DRIVER_SECONDS = 7, 20
"""How long a cluster takes to be ready, and a driver to end."""
TERMINATION_SECONDS = 3
PROBE_SECONDS = 2


@dataclasses.dataclass(kw_only=True)
class Record:
    """A job in Ray's table."""

    status: str
    ends_at: datetime
    ended_at: datetime | None = None


@dataclasses.dataclass(kw_only=True)
class Head:
    """A head Pod, with the life of Ray in it, and with what submits beside it, if anything."""

    uid: str
    session: str
    beside: dict[str, Any] | None = None
    ended: records.Container | None = None


@dataclasses.dataclass(kw_only=True)
class Cluster:
    """A RayCluster; `since` is when it was made, or asked to go."""

    uid: str
    manifest: dict[str, Any]
    since: datetime
    is_ready: bool = False
    is_going: bool = False
    head: Head | None = None


@dataclasses.dataclass(kw_only=True)
class Submitter:
    """A Job, the session that it is to submit to, its Pods, and since when it goes."""

    record: records.Job
    session: str
    retries: int
    pods: list[records.Pod] = dataclasses.field(default_factory=list)
    goes_since: datetime | None = None


class World:
    """All there is around one RayJob; `ends` says how the drivers end, one after the other."""

    def __init__(
        self,
        *,
        ends: tuple[str, ...] = ("SUCCEEDED",),
        options: settings.Settings = builders.SETTINGS,
        shared: bool = False,
        **spec: Any,
    ) -> None:
        self.now = given.NOW
        self.options = options
        self.spec = spec
        self.is_deleted = False
        self.finalizers: list[str] = []
        self.status: dict[str, Any] = {}
        self.generation = 1
        self.clusters: dict[str, Cluster] = {}
        self.submitter: Submitter | None = None
        self.service: records.Service | None = None
        self.tables: dict[str, dict[str, Record]] = collections.defaultdict(dict)
        self.starts: collections.Counter[tuple[str, str]] = collections.Counter()
        self.ends = ends
        self.silent_until = self.now
        self.writes = 0
        self.told: list[str] = []
        self.phases: list[str] = []
        self._serial = 0
        self._inquiry: records.JobInquiry | None = None
        self.answer = records.JobAnswer()
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
        table = self._table(after.cluster)
        record = table.get(after.job_id) if table is not None else None
        is_heard = self._is_own_life(after) and self.silent_until <= self.now
        assert not (record and record.status == "SUCCEEDED" and is_heard), after

    def _is_own_life(self, state: states.State) -> bool:
        head = self._head(state.cluster)
        return bool(head and state.head and head.session == state.head.session)

    def record(self) -> Record | None:
        """Return what Ray has of the present attempt's job."""
        return (self._table(self.state.cluster) or {}).get(self.state.job_id)

    # What goes on by itself

    def elapse(self, seconds: int = 1, *, polls: bool = True) -> None:
        """Let time go by; while the operator is down nobody `polls`."""
        for _ in range(seconds):
            self.now += timedelta(seconds=1)
            for name, cluster in list(self.clusters.items()):
                self._run_cluster(name, cluster)
            self._run_drivers()
            self._run_submitter()
            if polls and self._inquiry is not None:
                self._poll(self._inquiry)

    def lose_head(self) -> None:
        """End the head Pod; the cluster makes another one, unless it was told not to."""
        cluster = self.clusters.get(self.state.cluster)
        if cluster is None or cluster.head is None:
            return
        before, cluster.head = cluster.head, None
        self._kill_drivers(before.session, survives=self._survives(cluster))
        keeps = names.KEEP_HEAD_ANNOTATION in cluster.manifest["metadata"].get("annotations", {})
        if not keeps:
            cluster.head = self._new_head(cluster)
            if self._survives(cluster):
                cluster.head.session = before.session

    def restart_ray(self) -> None:
        """Start Ray anew in the head Pod."""
        head = self._head(self.state.cluster)
        if head is not None and head.beside is None:
            self._kill_drivers(head.session, survives=False)
            head.session = self._name("session")

    def kill_submitter(self) -> None:
        """End what submits without a word."""
        if self.submitter and self.submitter.pods:
            self._end_pod(self.submitter, exit_code=137, words=None)

    def remove_submitter(self) -> None:
        """Delete the Job, as somebody might."""
        if self.submitter is not None and self.submitter.goes_since is None:
            self._delete_submitter(self.submitter)

    def _run_cluster(self, name: str, cluster: Cluster) -> None:
        if cluster.is_going:
            if self.now >= cluster.since + timedelta(seconds=TERMINATION_SECONDS):
                del self.clusters[name]
            return
        if not cluster.is_ready and self.now >= cluster.since + timedelta(seconds=START_SECONDS):
            cluster.is_ready, cluster.head = True, self._new_head(cluster)
        if cluster.head and cluster.head.beside and cluster.head.ended is None:
            self._run_beside(name, cluster.head, cluster.head.beside)

    def _run_beside(self, cluster: str, head: Head, container: dict[str, Any]) -> None:
        env = {each["name"]: each.get("value") for each in container["env"]}
        job_id = env["RAY_JOB_SUBMISSION_ID"]
        record = self.tables[head.session].get(job_id)
        if record is None:
            self._start(cluster, head.session, job_id)
        elif record.ended_at is not None:
            exit_code = int(record.status == "FAILED")
            words = self._words(job_id, record)
            head.ended = given.ended_container(message=words, exit_code=exit_code, at=self.now)

    def _run_drivers(self) -> None:
        for table in self.tables.values():
            for record in table.values():
                if record.ended_at is None and self.now >= record.ends_at:
                    record.status, record.ended_at = self._next_end(), self.now

    def _run_submitter(self) -> None:
        submitter = self.submitter
        if submitter is None:
            return
        if submitter.goes_since is not None:
            if self.now >= submitter.goes_since + timedelta(seconds=TERMINATION_SECONDS):
                self.submitter = None
            return
        if submitter.record.is_finished:
            return
        if not submitter.pods or submitter.pods[-1].phase != "Running":
            submitter.pods.append(given.submitter_pod(self._name("pod"), job_uid=self._uid()))
            return
        env = self._env
        head = self._head(env["cluster"])
        if head is None:
            return
        record = self.tables[head.session].get(env["job_id"])
        if record is None and head.session == submitter.session:
            self._start(env["cluster"], head.session, env["job_id"])
        elif record is None:
            self._end_pod(submitter, exit_code=1, words='{"error": "another head than before"}')
        elif record.ended_at is not None:
            self._end_pod(submitter, exit_code=0, words=self._words(env["job_id"], record))

    def _end_pod(self, submitter: Submitter, *, exit_code: int, words: str | None) -> None:
        pod = submitter.pods[-1]
        if pod.phase != "Running":
            return
        container = given.ended_container(message=words or "", exit_code=exit_code, at=self.now)
        phase = "Failed" if exit_code else "Succeeded"
        submitter.pods[-1] = msgspec.structs.replace(pod, phase=phase, containers=(container,))
        failures = sum(each.phase == "Failed" for each in submitter.pods)
        if exit_code == 0 or failures > submitter.retries:
            failure = "BackoffLimitExceeded: too often" if exit_code else ""
            submitter.record = msgspec.structs.replace(
                submitter.record, is_finished=True, ended_at=self.now, failure=failure
            )

    def _poll(self, wanted: records.JobInquiry) -> None:
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
        if wanted.stops and is_written and found and found.ended_at is None:
            found.status, found.ended_at = "STOPPED", self.now
        self.answer = records.JobAnswer(
            answered_at=self.now,
            session=head.session,
            pod_uid=wanted.head.pod_uid,
            info=records.JobInfo(found.status, ended_at=found.ended_at) if found else None,
            is_stopped=wanted.stops,
        )

    def _ask(self, wanted: records.JobInquiry | None) -> None:
        before = self._inquiry
        if wanted is None or before is None or job_pollers._is_another(before, wanted):
            self.answer, self._tried_at = records.JobAnswer(), None
        self._inquiry = wanted

    def _start(self, cluster: str, session: str, job_id: str) -> None:
        self.starts[cluster, job_id] += 1
        ends_at = self.now + timedelta(seconds=DRIVER_SECONDS)
        self.tables[session][job_id] = Record(status="RUNNING", ends_at=ends_at)

    def _next_end(self) -> str:
        end, *others = self.ends
        self.ends = tuple(others) or (end,)
        return end

    def _kill_drivers(self, session: str, *, survives: bool) -> None:
        if not survives:
            self.tables.pop(session, None)
            return
        for record in self.tables[session].values():
            if record.ended_at is None:
                record.status, record.ended_at = "FAILED", self.now

    # The API server

    def _apply(self, action: actions.Action) -> None:
        kind = action.resource.kind
        match action:
            case actions.Patch(resource=records.RAYJOBS):
                self.finalizers = action.change["metadata"]["finalizers"]
                self._due = self.now
            case actions.Patch():
                cluster = self.clusters[action.name]
                assert (action.uid, action.name) == (cluster.uid, self.state.cluster)
                assert action.name != "shared"
                cluster.manifest["spec"] |= action.change["spec"]
            case actions.Delete():
                self._delete(kind, action)
            case actions.Create(resource=records.RAYCLUSTERS):
                if action.manifest["metadata"]["name"] in self.clusters:
                    raise errors.AlreadyExists("already exists")
                self._add_cluster(dict(action.manifest))
            case actions.Create(resource=records.JOBS):
                self._add_submitter(dict(action.manifest))
            case actions.Apply(resource=records.SERVICES):
                assert (self.service is None) is action.is_new
                data = msgspec.json.encode(action.manifest)
                self.service = msgspec.structs.replace(wire.service(data), owner=given.OWNER)
            case other:
                raise AssertionError(other)

    def _delete(self, kind: str, action: actions.Delete) -> None:
        if kind == "RayCluster":
            cluster = self.clusters[action.name]
            assert action.name != "shared"
            assert cluster.uid == action.uid
            cluster.is_going, cluster.since = True, self.now
            if cluster.head:
                self.tables.pop(cluster.head.session, None)
        elif kind == "Job":
            assert self.submitter is not None
            assert self.submitter.record.uid == action.uid
            self._delete_submitter(self.submitter)
        else:
            assert (kind, action.uid) == ("RayJob", given.UID)
            self.is_deleted = True

    def _delete_submitter(self, submitter: Submitter) -> None:
        submitter.goes_since = self.now
        submitter.record = msgspec.structs.replace(submitter.record, deletion_at=self.now)

    def _add_cluster(self, manifest: dict[str, Any]) -> None:
        made = Cluster(uid=self._name("cluster"), manifest=manifest, since=self.now)
        self.clusters[manifest["metadata"]["name"]] = made

    def _add_submitter(self, manifest: dict[str, Any]) -> None:
        assert self.submitter is None
        container = manifest["spec"]["template"]["spec"]["containers"][0]
        args = container["args"]
        env = {each["name"]: each.get("value") for each in container["env"]}
        cluster = env["RAY_DASHBOARD_ADDRESS"].split("-head-svc")[0]
        self._env = {"job_id": env["RAY_JOB_SUBMISSION_ID"], "cluster": cluster}
        self.submitter = Submitter(
            record=given.submitter(uid=self._name("job")),
            session=args[args.index("--session") + 1],
            retries=manifest["spec"]["backoffLimit"],
        )

    def _uid(self) -> str:
        assert self.submitter is not None
        return self.submitter.record.uid

    def _new_head(self, cluster: Cluster) -> Head:
        template = cluster.manifest["spec"]["headGroupSpec"]["template"]
        beside = [
            each for each in template["spec"]["containers"] if each["name"] == names.SUBMITTER
        ]
        return Head(
            uid=self._name("head"),
            session=self._name("session"),
            beside=beside[0] if beside else None,
        )

    def _model(self, cluster: Cluster) -> cluster_api.RayCluster:
        metadata = {**cluster.manifest["metadata"], "uid": cluster.uid}
        if cluster.is_going:
            metadata["deletionTimestamp"] = cluster.since.isoformat()
        state = {"state": "ready"} if cluster.is_ready else {}
        body = {"metadata": metadata, "spec": cluster.manifest["spec"], "status": state}
        return cluster_api.RayCluster.model_validate({"kind": "RayCluster", **body})

    def _pod(self, head: Head) -> records.Pod:
        if head.beside is None:
            return given.head(head.uid)
        running = records.Container(names.SUBMITTER, state="running")
        return given.beside(head.ended or running, uid=head.uid)

    def _head(self, cluster: str) -> Head | None:
        found = self.clusters.get(cluster)
        return found.head if found and not found.is_going else None

    def _table(self, cluster: str) -> dict[str, Record] | None:
        head = self._head(cluster)
        return self.tables[head.session] if head else None

    def _survives(self, cluster: Cluster) -> bool:
        return "gcsFaultToleranceOptions" in cluster.manifest["spec"]

    def _words(self, job_id: str, record: Record) -> str:
        assert record.ended_at is not None
        end = record.ended_at.timestamp() * 1000
        words = {"submission_id": job_id, "status": record.status, "end_time": end}
        return msgspec.json.encode(words).decode()

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

    def _name(self, what: str) -> str:
        self._serial += 1
        return f"{what}-{self._serial}"


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
