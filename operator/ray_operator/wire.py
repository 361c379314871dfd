"""Decoding of objects as the API server sends them into `records`.

Owns: which fields of the wire format we read. Does not own: fetching. Invariant: fields that are
not named here are never decoded, which keeps a watched Pod at microseconds and kilobytes.
Source: Kubernetes core/v1, storage.k8s.io/v1, batch/v1.
"""

from datetime import datetime
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


def terminates(answer: bytes, uid: str) -> bool:
    """Tell by the answer to a delete whether that object is still there, on its way out."""
    metadata = msgspec.json.decode(answer, type=Stub).metadata
    return metadata.uid == uid and metadata.deletion_timestamp is not None


class ListMetadata(msgspec.Struct, rename="camel"):
    """Metadata of a list; `following` leads to its next page, and is empty after the last."""

    resource_version: str = ""
    following: str = msgspec.field(name="continue", default="")


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


class _ServicePort(msgspec.Struct, rename="camel"):
    port: int
    name: str = ""
    target_port: int | str = 0
    node_port: int = 0


class _ServiceSpec(msgspec.Struct, rename="camel"):
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    ports: list[_ServicePort] = []
    selector: dict[str, str] = {}


class _Service(msgspec.Struct):
    metadata: Metadata
    spec: _ServiceSpec


_SERVICE = msgspec.json.Decoder(_Service)


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
        selector=spec.selector,
        deletion_at=metadata.deletion_timestamp,
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


class Version(msgspec.Struct):
    """Of an API server, as at `/version`; `minor` may end in a plus."""

    major: str = ""
    minor: str = ""

    def number(self) -> tuple[int, int] | None:
        """Return it; None when it can't be read."""
        found = self.major, self.minor.rstrip("+")
        return (int(found[0]), int(found[1])) if all(map(str.isdigit, found)) else None


class Groups(msgspec.Struct):
    """The API groups that are served."""

    groups: list[_Group]


class _JobCondition(msgspec.Struct, rename="camel"):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


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
    said = {each.type: each for each in decoded.status.conditions if each.status == "True"}
    failed = said.get("Failed")
    end = said.get("Complete") or failed
    return records.Job(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        labels=metadata.labels,
        owner=metadata.owner(),
        is_finished=bool(end) or "FailureTarget" in said,
        ended_at=end.last_transition_time if end else None,
        failure=f"{failed.reason}: {failed.message}" if failed else "",
        deletion_at=metadata.deletion_timestamp,
    )


class _Secret(msgspec.Struct):
    data: dict[str, bytes] = {}


def secret(data: bytes) -> dict[str, bytes]:
    """Decode what a Secret holds.

    Raises:
        msgspec.DecodeError: it is no Secret.
    """
    return msgspec.json.decode(data, type=_Secret).data
