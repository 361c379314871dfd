"""A RayJob that runs as it should, by default; a test overrides what it is about."""

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ray_operator import names, ray_records, records, settings
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayjob as api
from ray_operator.rayjob import decide, observed, plan
from ray_operator.rayjob.case import Case, Step
from ray_operator.rayjob.state import Head, Phase, Reason, State
from tests.unit import builders

NOW = builders.NOW
STARTED = NOW - timedelta(minutes=1)
UID = "22222222-2222-2222-2222-222222222222"
CLUSTER = "job-bbbbb"
JOB_ID = "job-ccccc"
SESSION = "session_1"
DASHBOARD = f"{CLUSTER}-head-svc.ns1.svc.cluster.local:8265"
OWNER = records.Owner("RayJob", "job", UID)
OWNERS = [
    {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "name": "job",
        "uid": UID,
        "controller": True,
        "blockOwnerDeletion": True,
    }
]
CLUSTER_SPEC: dict[str, Any] = {
    "rayVersion": "2.46.0",
    "headGroupSpec": {"rayStartParams": {}, "template": builders.template("ray-head")},
    "workerGroupSpecs": [builders.group()],
}


def rayjob(
    *,
    metadata: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> api.RayJob:
    """Build one that is held by the finalizer; a field given as None is left out."""
    given = {"entrypoint": "python -c 'print(1)'", "rayClusterSpec": CLUSTER_SPEC} | spec
    manifest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {
            "name": "job",
            "namespace": "ns1",
            "uid": UID,
            "generation": 1,
            "resourceVersion": "7",
            "finalizers": [plan.FINALIZER],
        }
        | (metadata or {}),
        "spec": {key: value for key, value in given.items() if value is not None},
        "status": status or {},
    }
    return api.RayJob.model_validate_json(msgspec.json.encode(manifest))


def cluster(
    *, name: str = CLUSTER, ready: bool = True, metadata: dict[str, Any] | None = None, **spec: Any
) -> cluster_api.RayCluster:
    """Build the RayJob's cluster."""
    given = {"name": name, "uid": "uid-cluster", "ownerReferences": OWNERS} | (metadata or {})
    return builders.raycluster(metadata=given, status={"state": "ready"} if ready else {}, **spec)


def head(uid: str = "uid-head", **fields: Any) -> records.Pod:
    """Build the head Pod of that cluster."""
    running = records.Container("ray-head", ready=True, state="running")
    given: dict[str, Any] = {"uid": uid, "containers": (running,)}
    return builders.pod(f"{CLUSTER}-head", **(given | fields))


def beside(container: records.Container, **fields: Any) -> records.Pod:
    """Build the head Pod of SidecarMode with that container in it."""
    running = records.Container("ray-head", ready=True, state="running")
    return head(containers=(running, container), restart_policy="Never", **fields)


def ended_container(
    name: str = names.SUBMITTER,
    *,
    message: str = "",
    exit_code: int = 0,
    at: datetime = NOW,
    **fields: Any,
) -> records.Container:
    """Build a container that has ended and left a message."""
    reason = "Error" if exit_code else "Completed"
    ended = records.Ended(reason, message, exit_code, at)
    return records.Container(name, state="terminated", exit_code=exit_code, ended=ended, **fields)


def submitter(**fields: Any) -> records.Job:
    """Build the Kubernetes Job that submits."""
    given: dict[str, Any] = {
        "uid": "uid-job",
        "resource_version": "1",
        "labels": {names.ORIGIN_KIND_LABEL: "RayJob", names.ORIGIN_NAME_LABEL: "job"},
        "owner": OWNER,
    }
    return records.Job(namespace="ns1", name="job", **(given | fields))


def submitter_pod(
    name: str = "job-aaaaa", *, job_uid: str = "uid-job", **fields: Any
) -> records.Pod:
    """Build a Pod of that Job."""
    given: dict[str, Any] = {
        "uid": f"uid-{name}",
        "resource_version": "1",
        "labels": {names.ORIGIN_KIND_LABEL: "RayJob", names.ORIGIN_NAME_LABEL: "job"},
        "owner": records.Owner("RayJob", "job", job_uid),
        "created_at": STARTED + timedelta(seconds=20),
        "ray_container": names.SUBMITTER,
        "phase": "Running",
    }
    return records.Pod(namespace="ns1", name=name, **(given | fields))


def service(cluster_name: str = CLUSTER) -> records.Service:
    """Build the head Service of the RayJob, as it leads to that cluster."""
    return records.Service(
        namespace="ns1",
        name="job-head-svc",
        uid="uid-svc",
        resource_version="1",
        labels={},
        owner=OWNER,
        cluster_ip="None",
        selector={names.CLUSTER_LABEL: cluster_name, names.NODE_TYPE_LABEL: names.HEAD},
    )


def info(status: str = "RUNNING", **fields: Any) -> ray_records.JobInfo:
    """Build what Ray says of the job."""
    return ray_records.JobInfo(status, **fields)


def answer(status: str = "", **fields: Any) -> ray_records.JobAnswer:
    """Build an answer of this moment; without a status Ray doesn't know the job."""
    given: dict[str, Any] = {
        "answered_at": NOW,
        "session": SESSION,
        "pod_uid": "uid-head",
        "info": info(status) if status else None,
    }
    return ray_records.JobAnswer(**(given | fields))


def silence(seconds: float = 1.0, **fields: Any) -> ray_records.JobAnswer:
    """Build an answer that didn't come, for as long as that."""
    return answer("RUNNING", error="no answer", in_vain=timedelta(seconds=seconds), **fields)


def seen(**fields: Any) -> observed.Observed:
    """Build a world in which the cluster is up and the submitter follows the log."""
    given: dict[str, Any] = {
        "cluster": cluster(),
        "pods": (head(),),
        "submitter": submitter(),
        "service": service(),
        "ray": answer("RUNNING"),
    }
    return observed.Observed(**(given | fields))


def state(phase: Phase = Phase.RUNNING, **fields: Any) -> State:
    """Build the state of an attempt that runs."""
    given: dict[str, Any] = {
        "job_status": "RUNNING",
        "job_id": JOB_ID,
        "cluster": CLUSTER,
        "dashboard_url": DASHBOARD,
        "head": Head(pod_uid="uid-head", session=SESSION),
        "started_at": STARTED,
    }
    return State(phase=phase, **(given | fields))


def begun(**fields: Any) -> State:
    """Build the state of an attempt that has nothing but names."""
    given: dict[str, Any] = {"job_status": "", "dashboard_url": "", "head": None}
    return state(Phase.INITIALIZING, **(given | fields))


def case(
    before: State,
    around: observed.Observed | None = None,
    *,
    job: api.RayJob | None = None,
    now: datetime = NOW,
    options: settings.Settings = builders.SETTINGS,
    **spec: Any,
) -> Case:
    """Build a pass; `spec` are fields of the RayJob's."""
    job = rayjob(**spec) if job is None else job
    return Case(
        job=job,
        spec=job.spec,
        state=before,
        observed=seen() if around is None else around,
        options=options,
        now=now,
    )


def step(before: State, around: observed.Observed | None = None, **fields: Any) -> Step:
    """Take one step."""
    return decide.decide(case(before, around, **fields))


def after(before: State, **fields: Any) -> State:
    """Return the state with those changes."""
    return dataclasses.replace(before, **fields)


def made(taken: Step) -> list[tuple[str, str]]:
    """Tell what a step does to what."""
    return [(type(each).__name__, each.resource.kind) for each in taken.todo]


def ended(
    status: str, *, at: datetime = NOW - timedelta(seconds=1), **fields: Any
) -> ray_records.JobAnswer:
    """Build an answer that the job has ended."""
    return answer(info=info(status, ended_at=at), **fields)


def failed(before: State, reason: Reason, message: str, **fields: Any) -> State:
    """Return the end of the only attempt."""
    return after(
        before,
        phase=Phase.FAILED,
        reason=reason,
        message=message,
        failed=before.failed + 1,
        ended_at=NOW,
        **fields,
    )


RUNNING = state()
UNSEEN = state(job_status="")
OVER: dict[str, Any] = {"activeDeadlineSeconds": 60}
"""Makes NOW the deadline."""
EXCEEDED = "The attempt began at 2026-01-01T11:59:00Z and exceeds activeDeadlineSeconds, 60"
