"""Metrics about our resources, one series each, under KubeRay's names.

Owns: what is told of each resource, computed when it is asked for. Does not own: metrics about the
operator itself (`metrics`). Invariant: a resource that is gone has no series; what is told follows
from the resource alone, so that a restart changes nothing.

So of a RayJob's attempts only the present one has a duration: until the next begins, its beginning
and end are in the status. KubeRay remembers those of earlier attempts until it is restarted.
Source: KubeRay 1.7, metrics of RayClusters, RayJobs and RayServices; the last two of RayServices
are ours.
"""

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import ClassVar, Generic, NamedTuple, TypeVar

import msgspec
from prometheus_client import core, registry

from ray_operator import names, records, resources
from ray_operator.api import vocabulary

PROVISIONED = vocabulary.ClusterCondition.PROVISIONED

NO_OWNER = "None"
IDENTITY = ("name", "namespace", "uid")


class _Condition(msgspec.Struct, rename="camel"):
    type: str
    status: str
    last_transition_time: datetime | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str
    uid: str
    creation_timestamp: datetime | None = None
    labels: dict[str, str] | None = None


class _ClusterStatus(msgspec.Struct):
    conditions: list[_Condition] | None = None


class _Cluster(msgspec.Struct):
    metadata: _Metadata
    status: _ClusterStatus | None = None


class _JobStatus(msgspec.Struct, rename="camel"):
    job_deployment_status: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    teardown_start_time: datetime | None = None
    failed: int | None = None


class _Job(msgspec.Struct):
    metadata: _Metadata
    status: _JobStatus | None = None


class _ServiceStatus(msgspec.Struct, rename="camel"):
    conditions: list[_Condition] | None = None
    num_serve_endpoints: int | None = None


class _Service(msgspec.Struct):
    metadata: _Metadata
    status: _ServiceStatus | None = None


class ClusterRow(NamedTuple):
    """What is told of a RayCluster; `None` seconds mean that it never was provisioned."""

    namespace: str
    name: str
    uid: str
    owner_kind: str
    is_provisioned: bool
    provisioned_seconds: float | None


class JobRow(NamedTuple):
    """What is told of a RayJob; `None` seconds mean that no attempt has ended, or it is removed.

    `attempt` counts from 0 as KubeRay's `retry_count` does.
    """

    namespace: str
    name: str
    uid: str
    deployment_status: str
    seconds: float | None
    attempt: int


class ServiceRow(NamedTuple):
    """What is told of a RayService; `endpoints` counts the Pods that take its requests."""

    namespace: str
    name: str
    uid: str
    is_ready: bool
    is_upgrading: bool
    is_suspended: bool
    endpoints: int


R = TypeVar("R", ClusterRow, JobRow, ServiceRow)


def cluster_row(data: bytes, before: ClusterRow | None) -> ClusterRow:
    """Read a RayCluster's JSON; while it is suspended, what it took `before` stands.

    Raises `msgspec.MsgspecError`.
    """
    cluster = msgspec.json.decode(data, type=_Cluster)
    metadata, status = cluster.metadata, cluster.status or _ClusterStatus()
    seconds = before.provisioned_seconds if before and before.uid == metadata.uid else None
    found = next(
        (each for each in status.conditions or () if each.type == PROVISIONED),
        None,
    )
    is_provisioned = found is not None and found.status == "True"
    if is_provisioned and found and found.last_transition_time and metadata.creation_timestamp:
        seconds = (found.last_transition_time - metadata.creation_timestamp).total_seconds()
    owner = (metadata.labels or {}).get(names.ORIGIN_KIND_LABEL, NO_OWNER)
    return ClusterRow(
        metadata.namespace, metadata.name, metadata.uid, owner, is_provisioned, seconds
    )


def job_row(data: bytes, _: JobRow | None) -> JobRow:
    """Read a RayJob's JSON. Raises `msgspec.MsgspecError`."""
    job = msgspec.json.decode(data, type=_Job)
    metadata, status = job.metadata, job.status or _JobStatus()
    phase, failed = status.job_deployment_status or "", status.failed or 0
    ends = {
        "Complete": (status.end_time, failed),
        "Failed": (status.end_time, failed - 1),
        "Retrying": (status.teardown_start_time, failed - 1),
    }
    end, attempt = ends.get(phase, (None, 0))
    seconds = (end - status.start_time).total_seconds() if end and status.start_time else None
    return JobRow(metadata.namespace, metadata.name, metadata.uid, phase, seconds, max(attempt, 0))


def service_row(data: bytes, _: ServiceRow | None) -> ServiceRow:
    """Read a RayService's JSON. Raises `msgspec.MsgspecError`."""
    service = msgspec.json.decode(data, type=_Service)
    metadata, status = service.metadata, service.status or _ServiceStatus()
    true = {each.type for each in status.conditions or () if each.status == "True"}
    return ServiceRow(
        metadata.namespace,
        metadata.name,
        metadata.uid,
        is_ready="Ready" in true,
        is_upgrading="UpgradeInProgress" in true,
        is_suspended="Suspended" in true,
        endpoints=status.num_serve_endpoints or 0,
    )


class _Collector(registry.Collector, Generic[R]):
    """Tell of all resources of a kind; what changed since the last time is read anew."""

    kind: ClassVar[str]

    def __init__(self, entries: Callable[[], list[tuple[records.Key, resources.Entry]]]) -> None:
        """`entries` may be called from any thread."""
        self._entries = entries
        self._rows: dict[records.Key, tuple[str, R]] = {}
        self._lock = threading.Lock()

    def collect(self) -> Iterator[core.Metric]:
        """Tell of each resource there is."""
        with self._lock:
            rows = self._refreshed()
        return self._told(rows)

    @abstractmethod
    def _row(self, data: bytes, before: R | None) -> R:
        """Read a resource's JSON; `before` is its row of the last time. Raises `MsgspecError`."""

    @abstractmethod
    def _told(self, rows: list[R]) -> Iterator[core.Metric]:
        """Make metrics of the rows."""

    def _refreshed(self) -> list[R]:
        fresh: dict[records.Key, tuple[str, R]] = {}
        for key, entry in self._entries():
            if key.kind != self.kind:
                continue
            version, before = self._rows.get(key, ("", None))
            if before is None or version != entry.resource_version:
                try:
                    before = self._row(entry.data, before)
                except msgspec.MsgspecError:  # of an older CRD; one resource mustn't end them all
                    continue
            fresh[key] = (entry.resource_version, before)
        self._rows = fresh
        return [each for _, each in fresh.values()]


class RayClusters(_Collector[ClusterRow]):
    """Tell of all RayClusters in the store."""

    kind = records.RAYCLUSTERS.kind

    def _row(self, data: bytes, before: ClusterRow | None) -> ClusterRow:
        return cluster_row(data, before)

    def _told(self, rows: list[ClusterRow]) -> Iterator[core.Metric]:
        info = core.GaugeMetricFamily(
            "kuberay_cluster_info",
            "Metadata information about RayCluster custom resources",
            labels=[*IDENTITY, "owner_kind"],
        )
        provisioned = core.GaugeMetricFamily(
            "kuberay_cluster_condition_provisioned",
            "Indicates whether the RayCluster is provisioned",
            labels=[*IDENTITY, "condition"],
        )
        duration = core.GaugeMetricFamily(
            "kuberay_cluster_provisioned_duration_seconds",
            "The time, in seconds, from a RayCluster's creation until it was provisioned",
            labels=IDENTITY,
        )
        for each in rows:
            values = [each.name, each.namespace, each.uid]
            info.add_metric([*values, each.owner_kind], 1)
            provisioned.add_metric([*values, str(each.is_provisioned).lower()], 1)
            if each.provisioned_seconds is not None:
                duration.add_metric(values, each.provisioned_seconds)
        yield from (info, provisioned, duration)


class RayJobs(_Collector[JobRow]):
    """Tell of all RayJobs in the store."""

    kind = records.RAYJOBS.kind

    def _row(self, data: bytes, before: JobRow | None) -> JobRow:
        return job_row(data, before)

    def _told(self, rows: list[JobRow]) -> Iterator[core.Metric]:
        info = core.GaugeMetricFamily(
            "kuberay_job_info",
            "Metadata information about RayJob custom resources",
            labels=IDENTITY,
        )
        phase = core.GaugeMetricFamily(
            "kuberay_job_deployment_status",
            "The RayJob's current deployment status",
            labels=[*IDENTITY, "deployment_status"],
        )
        duration = core.GaugeMetricFamily(
            "kuberay_job_execution_duration_seconds",
            "The time, in seconds, from an attempt's beginning until it ended",
            labels=[*IDENTITY, "job_deployment_status", "retry_count"],
        )
        for each in rows:
            values = [each.name, each.namespace, each.uid]
            info.add_metric(values, 1)
            phase.add_metric([*values, each.deployment_status], 1)
            if each.seconds is not None:
                told = [*values, each.deployment_status, str(each.attempt)]
                duration.add_metric(told, each.seconds)
        yield from (info, phase, duration)


class RayServices(_Collector[ServiceRow]):
    """Tell of all RayServices in the store."""

    kind = records.RAYSERVICES.kind

    def _row(self, data: bytes, before: ServiceRow | None) -> ServiceRow:
        return service_row(data, before)

    def _told(self, rows: list[ServiceRow]) -> Iterator[core.Metric]:
        info = core.GaugeMetricFamily(
            "kuberay_service_info",
            "Metadata information about RayService custom resources",
            labels=IDENTITY,
        )
        ready, upgrading, suspended = (
            core.GaugeMetricFamily(
                f"kuberay_service_condition_{what}",
                f"Whether the RayService's condition holds: {what}",
                labels=[*IDENTITY, "condition"],
            )
            for what in ("ready", "upgrade_in_progress", "suspended")
        )
        endpoints = core.GaugeMetricFamily(
            "kuberay_service_serve_endpoints",
            "The number of Pods that take the RayService's requests",
            labels=IDENTITY,
        )
        for each in rows:
            values = [each.name, each.namespace, each.uid]
            info.add_metric(values, 1)
            ready.add_metric([*values, str(each.is_ready).lower()], 1)
            upgrading.add_metric([*values, str(each.is_upgrading).lower()], 1)
            suspended.add_metric([*values, str(each.is_suspended).lower()], 1)
            endpoints.add_metric(values, each.endpoints)
        yield from (info, ready, upgrading, suspended, endpoints)
