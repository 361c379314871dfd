"""Small frozen types that cross layers: what Ray says, and what is wanted of it.

Owns: what the operator knows of a head, its nodes and its jobs. Does not own: objects of the
cluster (`records`), asking (`gcs`, `dashboard`) or decisions. Invariant: every value is immutable,
times are aware UTC.
"""

import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ray_operator import records, scaling_records


class NodeStatus(enum.StrEnum):
    """What Ray says of one of its nodes; idle since it last had work, draining until it leaves."""

    UNKNOWN = "unknown"
    RUNNING = "running"
    DEAD = "dead"
    IDLE = "idle"
    DRAINING = "draining"


class RayNode(msgspec.Struct, frozen=True):
    """A node as Ray's GCS knows it: one life of a raylet.

    Attributes:
        node_id: binary; a restarted container is another node.
        instance_id: name of the Pod; empty where nobody told Ray.
        idle: how long it has had no work; zero when it has some.
        available, total: resources by name; one that is all used is missing in `available`.
        labels: Ray's node labels, and those of the placement groups on it.
    """

    node_id: bytes
    instance_id: str
    status: NodeStatus
    idle: timedelta = timedelta()
    ip: str = ""
    available: Mapping[str, float] = {}
    total: Mapping[str, float] = {}
    labels: Mapping[str, str] = {}


@dataclass(frozen=True)
class ResourceState:
    """All nodes that a GCS knows, dead ones too, and what it has no room for, as of `at`.

    `session` is the life of the cluster; `version` grows with each answer of one life of the GCS.
    """

    at: datetime
    nodes: tuple[RayNode, ...]
    demand: scaling_records.Demand = field(default_factory=scaling_records.Demand)
    session: str = ""
    version: int = 0

    def life_of(self, pod: records.Pod) -> RayNode | None:
        """Return the Pod's node that lives, None when there is none (any more, or yet)."""
        return self._living.get(pod.name) or self._living.get(pod.ip)

    @functools.cached_property
    def _living(self) -> Mapping[str, RayNode]:
        """Nodes by the Pod's name, or by its address where nobody told Ray the name."""
        living = (each for each in self.nodes if each.status is not NodeStatus.DEAD)
        return {each.instance_id or each.ip: each for each in living}


class RayAnswer(msgspec.Struct, frozen=True):
    """What a head has said so far.

    Attributes:
        version: of Ray, as `2.46.0`; empty while it is unknown.
        state: the newest; None before the first, after a failure, and while nobody needs any.
        drivers: None while nobody needs to know.
        error: why the newest attempt at a state failed; empty when it didn't.
    """

    version: str = ""
    state: ResourceState | None = None
    drivers: scaling_records.Drivers | None = None
    error: str = ""

    def is_idle(self) -> bool:
        """Tell whether nothing at all goes on: no driver, no actor, no task, nothing asked for."""
        if self.state is None or self.drivers is None or self.drivers.count:
            return False
        at_rest = {NodeStatus.IDLE, NodeStatus.DEAD}
        return not self.state.demand and all(each.status in at_rest for each in self.state.nodes)


class RayHead(msgspec.Struct, frozen=True):
    """One life of a head: where it is, and how to be let in.

    Attributes:
        pod_uid, restarts: of the head Pod, and of the container that runs Ray in it.
        is_up: the container runs, so there is somebody to ask.
        dashboard_port: 0 where there is no dashboard.
        token_secret: name of the Secret with the token of Ray's token authentication.
        wants_own_token: Ray knows callers by their service accounts.
        service: name of the Service that leads to it; empty where there is none yet.
    """

    pod_uid: str
    restarts: int
    is_up: bool
    host: str
    gcs_port: int
    dashboard_port: int
    token_secret: str = ""
    wants_own_token: bool = False
    service: str = ""


class Drain(msgspec.Struct, frozen=True):
    """A Pod whose Ray node shall leave, and until when it may finish its work."""

    pod: records.Pod
    until: datetime


class Inquiry(msgspec.Struct, frozen=True):
    """What a cluster wants of its head, until it says otherwise.

    The version is always wanted; that it is `expected` is no news. `asks_state` wants the state of
    Ray's nodes, kept new; `asks_drivers` whether anything goes on at all; `is_scaled` that the
    operator scales the workers by it.
    """

    head: RayHead
    expected: str = ""
    asks_state: bool = False
    asks_drivers: bool = False
    is_scaled: bool = False
    drains: tuple[Drain, ...] = ()

    @property
    def wants_state(self) -> bool:
        """The state is wanted, for whatever reason."""
        return self.asks_state or self.asks_drivers or self.is_scaled


JOB_ENDS = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
"""What Ray says last of a job."""


class JobInfo(msgspec.Struct, frozen=True):
    """What Ray says of a job: `status` is PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.

    `message` may end in the last of the driver's log.
    """

    status: str
    message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class JobAnswer(msgspec.Struct, frozen=True):
    """What a head has said of a job so far.

    Attributes:
        answered_at: when the newest question was asked that got an answer; None before the first.
        session: the life of Ray that answered; another life has another table of jobs.
        pod_uid: of the head Pod that was asked.
        info: None when Ray doesn't know the job.
        error: why the newest question got no answer; empty when it did.
        in_vain: how long we have been asking without an answer.
        refusal: why Ray won't take the job at all; empty while it may.
        is_stopped: Ray was told to stop the job, or has nothing to stop.
    """

    answered_at: datetime | None = None
    session: str = ""
    pod_uid: str = ""
    info: JobInfo | None = None
    error: str = ""
    in_vain: timedelta = timedelta()
    refusal: str = ""
    is_stopped: bool = False


class JobInquiry(msgspec.Struct, frozen=True):
    """What a RayJob wants of a head, until it says otherwise.

    Attributes:
        session: the only life of Ray that may be told anything; empty while it isn't known.
        submission: what to submit as soon as Ray is known not to have the job; None for nothing.
        is_urgent: something is about to happen, so ask often.
    """

    head: RayHead
    job_id: str
    session: str = ""
    submission: Mapping[str, Any] | None = None
    stops: bool = False
    is_urgent: bool = False
