"""A fake of what a RayJob depends on: an API server, clusters, submitters, and Ray.

Ray counts the drivers that it starts; a submitter submits only to the life of Ray that it was told
of.
"""

import collections
import dataclasses
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ray_operator import actions, errors, names, records, wire
from ray_operator.api import raycluster as cluster_api
from tests.unit.rayjob import given

START_SECONDS, DRIVER_SECONDS = 7, 20
"""How long a cluster takes to be ready, and a driver to end."""
TERMINATION_SECONDS = 3


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


class Surroundings:
    """All there is around one RayJob; `ends` says how the drivers end, one after the other.

    `fault` is what submitters suffer from: they end `before` they submit, or `after` it.
    """

    present = ""
    """The cluster of the present attempt."""

    def __init__(self, ends: tuple[str, ...], fault: str) -> None:
        self.now = given.NOW
        self.is_deleted = False
        self.finalizers: list[str] = []
        self.clusters: dict[str, Cluster] = {}
        self.submitter: Submitter | None = None
        self.service: records.Service | None = None
        self.tables: dict[str, dict[str, Record]] = collections.defaultdict(dict)
        self.starts: collections.Counter[tuple[str, str]] = collections.Counter()
        self.ends = ends
        self.fault = fault
        self._serial = 0
        self._env: dict[str, str] = {}

    def step(self) -> None:
        """Let a second go by."""
        self.now += timedelta(seconds=1)
        for name, cluster in list(self.clusters.items()):
            self._run_cluster(name, cluster)
        self._run_drivers()
        self._run_submitter()

    def lose_head(self) -> None:
        """End the head Pod; the cluster makes another one, unless it was told not to."""
        cluster = self.clusters.get(self.present)
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
        head = self._head(self.present)
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
        self._submit(submitter, self._env)

    def _submit(self, submitter: Submitter, env: dict[str, str]) -> None:
        head = self._head(env["cluster"])
        if head is None:
            return
        record = self.tables[head.session].get(env["job_id"])
        if self.fault and (self.fault == "before" or record):
            self._end_pod(submitter, exit_code=1, words="an error of its own")
        elif record is None and head.session == submitter.session:
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
            case actions.Patch():
                cluster = self.clusters[action.name]
                assert (action.uid, action.name) == (cluster.uid, self.present)
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
        env = {each["name"]: each.get("value") for each in container["env"]}
        cluster = env["RAY_DASHBOARD_ADDRESS"].split("-head-svc")[0]
        self._env = {"job_id": env["RAY_JOB_SUBMISSION_ID"], "cluster": cluster}
        self.submitter = Submitter(
            record=given.submitter(uid=self._name("job")),
            session=env["RAY_JOB_SESSION"] or "",
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

    def _name(self, what: str) -> str:
        self._serial += 1
        return f"{what}-{self._serial}"
