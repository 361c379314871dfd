"""Why a container that runs isn't ready: its probes, or a head that it waits for.

Owns: reading failed probes and long waits, and how long each is normal. Does not own: ended
containers (`containers`). Invariant: a cluster that starts as it should is never accused: a probe
is told once it failed for as long as it may, a wait once it is longer than a head takes.
Source: Kubernetes 1.34, the kubelet's prober; `probes` and `containers` for what ours ask.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from ray_operator import conditions, names, records
from ray_operator.raycluster import containers as wanted
from ray_operator.raycluster import metadata, probes, rayparams
from ray_operator.raycluster.diagnosis import cause, endings
from ray_operator.raycluster.diagnosis import subject as subjects

Reason = cause.Reason

HEAD_STARTS_WITHIN = timedelta(minutes=2)
READY_HEAD_ANSWERS_WITHIN = timedelta(seconds=60)
_PROBES = ("Readiness", "Liveness", "Startup")


def unwell(subject: subjects.Subject, container: records.Container) -> Iterator[cause.Cause]:
    """Give what is wrong with a container that runs and isn't ready."""
    if container.state != "running" or container.ready or container.started_at is None:
        return
    if container.name == wanted.WAIT_GCS_READY:
        yield from _waiting(subject, container, container.started_at)
        return
    for event in subject.said("Unhealthy", container=container.name):
        if event.last_at >= container.started_at and not _is_about_serve(subject, event):
            yield _probe(subject, container, event, container.started_at)


def _probe(
    subject: subjects.Subject,
    container: records.Container,
    event: records.PodEvent,
    started: datetime,
) -> cause.Cause:
    where = subjects.where(subject.pod, container.name)
    said = cause.one_line(event.message)
    if "statuscode: 404" in event.message and _is_asked_as_new_ray(subject, container):
        version = subject.cluster.spec.ray_version
        hint = f"/api/healthz is there since Ray 2.53: is Ray in the image older than {version}?"
        return cause.Cause(Reason.RAY_VERSION_MISMATCH, f"{where}: {said}: {hint}")
    due = started + _patience(subject, container, event)
    if limit := endings.small_head(subject, container):
        found = endings.unresponsive(limit)
        return cause.Cause(found.reason, f"{where}: {found.said}: {found.hint}", due)
    return cause.Cause(Reason.PROBE_FAILING, f"{where}: {said}", due)


def _is_about_serve(subject: subjects.Subject, event: records.PodEvent) -> bool:
    """Tell whether it only says that Serve takes no requests on a worker: it may have no replica.

    The RayService tells what becomes of its applications.
    """
    is_worker = subject.pod.labels.get(names.NODE_TYPE_LABEL) == names.WORKER
    asked = is_worker and metadata.workers_serve(subject.cluster)
    return asked and _kind(event) == "readinessProbe"


def _kind(event: records.PodEvent) -> str:
    """Return the field of the probe that failed."""
    name = next((each for each in _PROBES if event.message.startswith(each)), "Readiness")
    return f"{name.lower()}Probe"


def _patience(
    subject: subjects.Subject, container: records.Container, event: records.PodEvent
) -> timedelta:
    """Return how long after the start this probe may fail."""
    kind = _kind(event)
    given = subject.template(container.name).get(kind) or {}
    if not given and container.name == subject.pod.ray_container:
        return probes.patience(probes.OURS.get(kind, {}))
    return probes.patience(given)


def _is_asked_as_new_ray(subject: subjects.Subject, container: records.Container) -> bool:
    """Tell whether the probes are ours and ask what Ray has since 2.53."""
    group = subject.group
    is_ray = container.name == subject.pod.ray_container
    return is_ray and group is not None and probes.has_http_health(subject.cluster.spec, group)


def _waiting(
    subject: subjects.Subject, container: records.Container, since: datetime
) -> Iterator[cause.Cause]:
    head = subject.head
    where = subjects.where(subject.pod, container.name)
    if other := subject.other_ray():
        told = f"{where}: {other}: {endings.SAME_RAY}"
        yield cause.Cause(Reason.RAY_VERSION_MISMATCH, told)
        return
    if head is not None and head.ready and head.ready_since is not None:
        due = max(since, head.ready_since) + READY_HEAD_ANSWERS_WITHIN
        hint = "does a NetworkPolicy or DNS keep it from the head, or has its image another Ray?"
    else:
        due = since + HEAD_STARTS_WITHIN
        hint = "the head isn't ready"
    service = rayparams.head_service_name(subject.cluster)
    namespace = subject.cluster.metadata.namespace
    address = f"{service}.{namespace}.svc:{rayparams.gcs_port(subject.cluster)}"
    told = f"waits for the GCS at {address} since {conditions.timestamp(since)}"
    yield cause.Cause(Reason.WAITING_FOR_HEAD, f"{where}: {told}: {hint}", due)
