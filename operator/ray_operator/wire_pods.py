"""Decoding of Pods, and of what is told of them, into `records`.

Owns: which of their fields we read. Does not own: what all objects have (`wire`). Invariant: as
`wire`'s. Source: Kubernetes core/v1.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from ray_operator import names, records, wire


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
    env: msgspec.Raw = msgspec.Raw(b"")


_RAY_VARIABLE = f'"{names.START_COMMAND_VARIABLE}"'.encode()
"""Which the Ray container alone has, in Pods of ours and of KubeRay's."""


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
    metadata: wire.Metadata
    spec: _PodSpec
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


_POD = msgspec.json.Decoder(_Pod)


def _ray_container(containers: Sequence[_PodContainer]) -> _PodContainer:
    """Return the first container of the template, before which others may have been injected."""
    if len(containers) > 1:
        for each in containers:
            if _RAY_VARIABLE in bytes(each.env):
                return each
    return containers[0]


def submitter(data: bytes | msgspec.Raw) -> records.Pod:
    """Decode the JSON of a Pod of a RayJob's submitter, whose owner is the Job between the two.

    The owner becomes the RayJob, with the Job's UID, which tells Pods of different attempts apart.
    """
    found = pod(data)
    owner = found.owner
    if owner is None:
        return found
    name = found.labels.get(names.ORIGIN_NAME_LABEL, "")
    kept = records.Owner(kind=records.RAYJOBS.kind, name=name, uid=owner.uid)
    return msgspec.structs.replace(found, owner=kept)


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
    ray = _ray_container(decoded.spec.containers)
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
        ray_container=ray.name,
        ray_image=ray.image,
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


class _InvolvedObject(msgspec.Struct, rename="camel"):
    name: str = ""
    uid: str = ""
    field_path: str = ""


class _Series(msgspec.Struct, rename="camel"):
    last_observed_time: datetime | None = None


class _Event(msgspec.Struct, rename="camel"):
    metadata: wire.Metadata
    involved_object: _InvolvedObject
    reason: str = ""
    message: str = ""
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: _Series | None = None


_EVENT = msgspec.json.Decoder(_Event)


def event(data: bytes | msgspec.Raw) -> records.PodEvent:
    """Decode the JSON of an event about a Pod, of which each recorder fills other times.

    Raises:
        msgspec.DecodeError: it is no event.
    """
    decoded = _EVENT.decode(data)
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
