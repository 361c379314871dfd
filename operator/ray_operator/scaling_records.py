"""Small frozen types that cross layers: what Ray asks for, and what its autoscaling makes of it.

Owns: requests for resources as the GCS tells them, and what is said of a cluster's scaling. Does
not own: nodes and heads (`ray_records`), translation (`gcs`) or decisions (`autoscaler`).
Invariant: every value is immutable and can be a key of a dict.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec


class LabelConstraint(msgspec.Struct, frozen=True):
    """What a node's label must be (`is_in`) or mustn't be; a missing one mustn't be anything."""

    key: str
    is_in: bool
    values: tuple[str, ...]


Selector = tuple[LabelConstraint, ...]
"""All must hold; an empty one holds of every node."""


class ResourceRequest(msgspec.Struct, frozen=True):
    """Resources that have to be free on one node.

    Attributes:
        amounts: by name, sorted; 1.0 is one CPU, one GPU, one byte.
        selectors: alternatives, the best first; none means any node.
        apart: requests of the same mark need nodes of their own; empty without.
        together: requests of the same mark share one node; empty without.
    """

    amounts: tuple[tuple[str, float], ...]
    selectors: tuple[Selector, ...] = ()
    apart: str = ""
    together: str = ""


class Gang(msgspec.Struct, frozen=True):
    """Requests that are worth something only all together: a placement group.

    Attributes:
        alternatives: lists of requests, of which one is enough; the best first.
        details: how Ray names it, as `<id>:STRICT_SPREAD|PENDING`.
        locality: label of which all its nodes must have one value; empty without.
    """

    alternatives: tuple[tuple[ResourceRequest, ...], ...]
    details: str = ""
    locality: str = ""


Counted = tuple[tuple[ResourceRequest, int], ...]
"""Requests, and how many of each."""


class Demand(msgspec.Struct, frozen=True):
    """All that Ray asks for and hasn't got.

    Attributes:
        requests: of tasks and actors.
        gangs: of placement groups.
        constraint: what the whole cluster shall be able to hold, running work notwithstanding.
    """

    requests: Counted = ()
    gangs: tuple[Gang, ...] = ()
    constraint: Counted = ()

    def __bool__(self) -> bool:
        """Tell whether anything is asked for."""
        return bool(self.requests or self.gangs or self.constraint)


class Unmet(msgspec.Struct, frozen=True):
    """A request that gets no node: what it asks for, how often, why not.

    `is_infeasible` says that no group could ever hold it.
    """

    request: str
    count: int
    why: str
    is_infeasible: bool = False


class Scale(msgspec.Struct, frozen=True):
    """How a group stands, in replicas; `idle` ones are running too."""

    group: str
    desired: int
    pending: int
    running: int
    idle: int


class Standing(msgspec.Struct, frozen=True):
    """What is said of a cluster's scaling by the operator.

    Attributes:
        decision: what was last changed and why; empty before the first.
        decided_at: when; None before the first.
        trouble: why nothing is decided now; empty while it is.
    """

    groups: tuple[Scale, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    decision: str = ""
    decided_at: datetime | None = None
    trouble: str = ""


class PendingPod(msgspec.Struct, frozen=True):
    """A worker Pod whose Ray node isn't there yet; `details` say what it waits for."""

    group: str
    name: str
    ip: str = ""
    details: str = ""


class MissingPods(msgspec.Struct, frozen=True):
    """Pods of a group that can't be made, or can't run; `since` is when that began."""

    group: str
    count: int
    reason: str
    since: datetime


class Report(msgspec.Struct, frozen=True):
    """What Ray is told of its cluster's scaling, to show by `ray status` and on the dashboard.

    Attributes:
        requested: Pods that are still to be made, by group.
        infeasible, infeasible_gangs: what no group could ever hold, whatever its number.
    """

    requested: tuple[tuple[str, int], ...] = ()
    pending: tuple[PendingPod, ...] = ()
    failed: tuple[MissingPods, ...] = ()
    infeasible: tuple[ResourceRequest, ...] = ()
    infeasible_gangs: tuple[Gang, ...] = ()


class GroupConfig(msgspec.Struct, frozen=True):
    """How large a group may get, in Pods, and what each offers to Ray."""

    name: str
    resources: Mapping[str, float]
    minimum: int
    maximum: int


class Drivers(msgspec.Struct, frozen=True):
    """How many drivers are connected as of `at`; when the last left, in ms since 1970, or 0."""

    at: datetime
    count: int
    last_ended_ms: int = 0
