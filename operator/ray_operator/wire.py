"""Decoding of objects as the API server sends them into `records`.

Owns: which fields of the wire format we read. Does not own: fetching. Invariant: fields that are
not named here are never decoded, which keeps a watched Pod at microseconds and kilobytes.
Source: Kubernetes core/v1, storage.k8s.io/v1, batch/v1.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from ray_operator import quantity, records


class _OwnerReference(msgspec.Struct, rename="camel"):
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Metadata(msgspec.Struct, rename="camel"):
    """The part of ObjectMeta that the operator reads of anything."""

    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[_OwnerReference] = []
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None

    def owner(self) -> records.Owner | None:
        """Return the controlling owner, None when nobody controls the object."""
        for reference in self.owner_references:
            if reference.controller:
                return records.Owner(reference.kind, reference.name, reference.uid)
        return None


class Stub(msgspec.Struct):
    """Any object, or a Status, metadata only."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)


class ListMetadata(msgspec.Struct, rename="camel"):
    """Metadata of a list."""

    resource_version: str = ""


class RawList(msgspec.Struct):
    """A list whose items are decoded later, one by one; an empty one may hold null."""

    metadata: ListMetadata
    items: list[msgspec.Raw] | None = None


class StubList(msgspec.Struct):
    """A list of which only the items' metadata is read; an empty one may hold null."""

    metadata: ListMetadata = msgspec.field(default_factory=ListMetadata)
    items: list[Stub] | None = None


class WatchEvent(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class Status(msgspec.Struct):
    """A metav1.Status, the object of an ERROR event."""

    kind: str = ""
    code: int = 0
    message: str = ""


class _StateDetail(msgspec.Struct, rename="camel"):
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class _State(msgspec.Struct):
    waiting: _StateDetail | None = None
    running: _StateDetail | None = None
    terminated: _StateDetail | None = None


class _ContainerStatus(msgspec.Struct, rename="camel"):
    name: str
    ready: bool = False
    restart_count: int = 0
    state: _State = msgspec.field(default_factory=_State)
    last_state: _State = msgspec.field(default_factory=_State)

    def record(self) -> records.Container:
        states = ("waiting", "running", "terminated")
        name = next((each for each in states if getattr(self.state, each) is not None), "")
        detail: _StateDetail = getattr(self.state, name) if name else _StateDetail()
        end = self.state.terminated or self.last_state.terminated
        return records.Container(
            name=self.name,
            ready=self.ready,
            restarts=self.restart_count,
            state=name,
            reason=detail.reason,
            message=detail.message,
            exit_code=detail.exit_code,
            started_at=self.state.running.started_at if self.state.running else None,
            ended=records.Ended(end.reason, end.message, end.exit_code or 0, end.finished_at)
            if end
            else None,
        )


class _PodCondition(msgspec.Struct, rename="camel"):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class _PodContainer(msgspec.Struct):
    name: str
    image: str = ""


class _PodSpec(msgspec.Struct, rename="camel"):
    containers: list[_PodContainer]
    restart_policy: str = "Always"
    node_name: str = ""
    termination_grace_period_seconds: int = 30


class _PodStatus(msgspec.Struct, rename="camel"):
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: list[_PodCondition] = []
    init_container_statuses: list[_ContainerStatus] = []
    container_statuses: list[_ContainerStatus] = []


class _Pod(msgspec.Struct):
    metadata: Metadata
    spec: _PodSpec
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _ServicePort(msgspec.Struct, rename="camel"):
    port: int
    name: str = ""
    target_port: int | str = 0
    node_port: int = 0


class _ServiceSpec(msgspec.Struct, rename="camel"):
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    ports: list[_ServicePort] = []


class _Service(msgspec.Struct):
    metadata: Metadata
    spec: _ServiceSpec


_POD = msgspec.json.Decoder(_Pod)
_SERVICE = msgspec.json.Decoder(_Service)


def pod(data: bytes | msgspec.Raw) -> records.Pod:
    """Decode a Pod's JSON.

    Raises:
        msgspec.DecodeError: it is no Pod.
    """
    decoded = _POD.decode(data)
    metadata, status = decoded.metadata, decoded.status
    said = {item.type: item for item in status.conditions}
    ready, placed = said.get("Ready"), said.get("PodScheduled")
    target = said.get("DisruptionTarget")
    assert metadata.creation_timestamp is not None
    return records.Pod(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        labels=metadata.labels,
        annotations=metadata.annotations,
        owner=metadata.owner(),
        created_at=metadata.creation_timestamp,
        deletion_at=metadata.deletion_timestamp,
        ray_container=decoded.spec.containers[0].name,
        ray_image=decoded.spec.containers[0].image,
        restart_policy=decoded.spec.restart_policy,
        node=decoded.spec.node_name,
        grace=timedelta(seconds=decoded.spec.termination_grace_period_seconds),
        phase=status.phase,
        reason=status.reason,
        message=status.message,
        ip=status.pod_ip,
        ready=None if ready is None else ready.status == "True",
        ready_reason=ready.reason if ready else "",
        ready_message=ready.message if ready else "",
        ready_since=ready.last_transition_time if ready else None,
        unscheduled=placed.message if placed and placed.status == "False" else "",
        disrupted=target.reason if target and target.status == "True" else "",
        containers=tuple(
            item.record() for item in (*status.init_container_statuses, *status.container_statuses)
        ),
    )


def service(data: bytes | msgspec.Raw) -> records.Service:
    """Decode a Service's JSON.

    Raises:
        msgspec.DecodeError: it is no Service.
    """
    decoded = _SERVICE.decode(data)
    metadata, spec = decoded.metadata, decoded.spec
    return records.Service(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        labels=metadata.labels,
        annotations=metadata.annotations,
        owner=metadata.owner(),
        type=spec.type,
        cluster_ip=spec.cluster_ip,
        ports=tuple(
            records.ServicePort(item.name, item.port, item.target_port, item.node_port)
            for item in spec.ports
        ),
    )


def meta(data: bytes | msgspec.Raw, *, kind: str) -> records.Meta:
    """Decode the metadata of any object, whole or stripped; `kind` is what it was asked for as.

    Raises:
        msgspec.DecodeError: it is no object.
    """
    metadata = msgspec.json.decode(data, type=Stub).metadata
    return records.Meta(
        kind=kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        labels=metadata.labels,
        annotations=metadata.annotations,
        owner=metadata.owner(),
        deletion_at=metadata.deletion_timestamp,
    )


class _Requests(msgspec.Struct):
    storage: str | int = 0


class _ClaimResources(msgspec.Struct):
    requests: _Requests = msgspec.field(default_factory=_Requests)


class _ClaimSpec(msgspec.Struct, rename="camel"):
    access_modes: list[str] = []
    storage_class_name: str | None = None
    resources: _ClaimResources = msgspec.field(default_factory=_ClaimResources)


class _WholeOwners(msgspec.Struct, rename="camel"):
    owner_references: list[dict[str, Any]] = []


class _Phase(msgspec.Struct):
    phase: str = ""


class _Claim(msgspec.Struct):
    spec: _ClaimSpec
    metadata: _WholeOwners
    status: _Phase = msgspec.field(default_factory=_Phase)


_CLAIM = msgspec.json.Decoder(_Claim)


def claim(data: bytes) -> records.Claim:
    """Decode a PersistentVolumeClaim's JSON.

    Raises:
        msgspec.DecodeError: it is none.
    """
    decoded, metadata = _CLAIM.decode(data), msgspec.json.decode(data, type=Stub).metadata
    return records.Claim(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        size=quantity.parse(decoded.spec.resources.requests.storage),
        access_modes=tuple(decoded.spec.access_modes),
        storage_class=decoded.spec.storage_class_name or "",
        owners=tuple(decoded.metadata.owner_references),
        is_bound=decoded.status.phase == "Bound",
        deletion_at=metadata.deletion_timestamp,
    )


class StorageClass(msgspec.Struct, rename="camel"):
    """The part of a storage class that tells whether its claims may grow."""

    allow_volume_expansion: bool = False


class _Group(msgspec.Struct):
    name: str


class Groups(msgspec.Struct):
    """The API groups that are served."""

    groups: list[_Group]


class _JobCondition(msgspec.Struct):
    type: str
    status: str


class _JobStatus(msgspec.Struct):
    conditions: list[_JobCondition] = []


class _Job(msgspec.Struct):
    metadata: Metadata
    status: _JobStatus = msgspec.field(default_factory=_JobStatus)


_JOB = msgspec.json.Decoder(_Job)


def job(data: bytes | msgspec.Raw) -> records.Job:
    """Decode a Job's JSON.

    Raises:
        msgspec.DecodeError: it is no Job.
    """
    decoded = _JOB.decode(data)
    metadata = decoded.metadata
    ends = {"Complete", "Failed", "FailureTarget"}
    return records.Job(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        labels=metadata.labels,
        owner=metadata.owner(),
        is_finished=any(
            each.type in ends and each.status == "True" for each in decoded.status.conditions
        ),
    )


class _Secret(msgspec.Struct):
    data: dict[str, bytes] = {}


def secret(data: bytes) -> dict[str, bytes]:
    """Decode what a Secret holds.

    Raises:
        msgspec.DecodeError: it is no Secret.
    """
    return msgspec.json.decode(data, type=_Secret).data


class _InvolvedObject(msgspec.Struct, rename="camel"):
    name: str = ""
    uid: str = ""
    field_path: str = ""


class _Series(msgspec.Struct, rename="camel"):
    last_observed_time: datetime | None = None


class _Event(msgspec.Struct, rename="camel"):
    metadata: Metadata
    involved_object: _InvolvedObject
    reason: str = ""
    message: str = ""
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: _Series | None = None


_POD_EVENT = msgspec.json.Decoder(_Event)


def pod_event(data: bytes | msgspec.Raw) -> records.PodEvent:
    """Decode the JSON of an event about a Pod, of which each recorder fills other times.

    Raises:
        msgspec.DecodeError: it is no event.
    """
    decoded = _POD_EVENT.decode(data)
    metadata, about = decoded.metadata, decoded.involved_object
    assert metadata.creation_timestamp is not None
    series = decoded.series.last_observed_time if decoded.series else None
    path = about.field_path  # such as `spec.containers{ray-head}`
    return records.PodEvent(
        namespace=metadata.namespace,
        name=metadata.name,
        resource_version=metadata.resource_version,
        pod=about.name,
        pod_uid=about.uid,
        reason=decoded.reason,
        message=decoded.message,
        last_at=series
        or decoded.last_timestamp
        or decoded.event_time
        or metadata.creation_timestamp,
        container=path[path.index("{") + 1 : -1] if path.endswith("}") else "",
    )
