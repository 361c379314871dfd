"""Metrics about our resources, one series each, under KubeRay's names.

Owns: what is told of each resource, computed when it is asked for. Does not own: metrics about the
operator itself (`metrics`). Invariant: a resource that is gone has no series; what is told follows
from the resource alone, so that a restart changes nothing.
Source: KubeRay 1.7, metrics of RayClusters.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec
from prometheus_client import core, registry

from ray_operator import names, records, resources
from ray_operator.api import vocabulary

PROVISIONED = vocabulary.ClusterCondition.PROVISIONED

NO_OWNER = "None"


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


class _Status(msgspec.Struct):
    conditions: list[_Condition] | None = None


class _Cluster(msgspec.Struct):
    metadata: _Metadata
    status: _Status | None = None


class Row(NamedTuple):
    """What is told of a RayCluster; `None` seconds mean that it never was provisioned."""

    namespace: str
    name: str
    uid: str
    owner_kind: str
    is_provisioned: bool
    provisioned_seconds: float | None


def row(data: bytes, before: Row | None) -> Row:
    """Read a RayCluster's JSON; while it is suspended, what it took `before` stands.

    Raises `msgspec.MsgspecError`.
    """
    cluster = msgspec.json.decode(data, type=_Cluster)
    metadata, status = cluster.metadata, cluster.status or _Status()
    seconds = before.provisioned_seconds if before and before.uid == metadata.uid else None
    found = next(
        (each for each in status.conditions or () if each.type == PROVISIONED),
        None,
    )
    is_provisioned = found is not None and found.status == "True"
    if is_provisioned and found and found.last_transition_time and metadata.creation_timestamp:
        seconds = (found.last_transition_time - metadata.creation_timestamp).total_seconds()
    owner = (metadata.labels or {}).get(names.ORIGIN_KIND_LABEL, NO_OWNER)
    return Row(metadata.namespace, metadata.name, metadata.uid, owner, is_provisioned, seconds)


class RayClusters(registry.Collector):
    """Tell of all RayClusters in the store; what changed since the last time is read anew."""

    def __init__(self, entries: Callable[[], list[tuple[records.Key, resources.Entry]]]) -> None:
        """`entries` may be called from any thread."""
        self._entries = entries
        self._rows: dict[records.Key, tuple[str, Row]] = {}
        self._lock = threading.Lock()

    def collect(self) -> Iterator[core.Metric]:
        """Tell of each RayCluster there is."""
        with self._lock:
            rows = self._refreshed()
        identity = ["name", "namespace", "uid"]
        info = core.GaugeMetricFamily(
            "kuberay_cluster_info",
            "Metadata information about RayCluster custom resources",
            labels=[*identity, "owner_kind"],
        )
        provisioned = core.GaugeMetricFamily(
            "kuberay_cluster_condition_provisioned",
            "Indicates whether the RayCluster is provisioned",
            labels=[*identity, "condition"],
        )
        duration = core.GaugeMetricFamily(
            "kuberay_cluster_provisioned_duration_seconds",
            "The time, in seconds, from a RayCluster's creation until it was provisioned",
            labels=identity,
        )
        for each in rows:
            values = [each.name, each.namespace, each.uid]
            info.add_metric([*values, each.owner_kind], 1)
            provisioned.add_metric([*values, str(each.is_provisioned).lower()], 1)
            if each.provisioned_seconds is not None:
                duration.add_metric(values, each.provisioned_seconds)
        yield from (info, provisioned, duration)

    def _refreshed(self) -> list[Row]:
        fresh: dict[records.Key, tuple[str, Row]] = {}
        for key, entry in self._entries():
            if key.kind != records.RAYCLUSTERS.kind:
                continue
            version, before = self._rows.get(key, ("", None))
            if before is None or version != entry.resource_version:
                try:
                    before = row(entry.data, before)
                except msgspec.MsgspecError:  # of an older CRD; one resource mustn't end them all
                    continue
            fresh[key] = (entry.resource_version, before)
        self._rows = fresh
        return [each for _, each in fresh.values()]
