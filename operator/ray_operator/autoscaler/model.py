"""A cluster as its scaling sees it: groups that may grow and shrink, and the nodes there are.

Owns: the types. Does not own: making them (`survey`) or deciding (`decide`). Invariant: immutable;
numbers of groups are in replicas, amounts in the units of `amounts`.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ray_operator.autoscaler import amounts, packing


class State(enum.Enum):
    """Where a worker stands.

    PENDING: its Ray node isn't there yet. LEAVING: Ray lets nothing new onto it. DEAD: its Ray node
    ended, and its Pod didn't.
    """

    PENDING = enum.auto()
    RUNNING = enum.auto()
    LEAVING = enum.auto()
    DEAD = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker Pod.

    Attributes:
        template: of which template it is, as the group says of its own.
        idle: how long its node has had no work; None while it has some, or isn't there.
        obstacle: why it doesn't start; empty while nothing is known to be in its way.
    """

    pod: str
    group: str
    replica: str
    state: State
    created_at: datetime
    node_id: bytes = b""
    ip: str = ""
    idle: timedelta | None = None
    free: amounts.Amounts
    total: amounts.Amounts
    labels: Mapping[str, str]
    template: str = ""
    obstacle: str = ""
    phase: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A worker group.

    Attributes:
        index: in the spec.
        stored: `replicas` as the spec says.
        desired: that, held between the bounds.
        workers: its Pods, less those that are on their way out.
        listed: `workersToDelete`; `lingering` are those of them that are still there.
        offers: all the hosts of a new replica; empty when nobody knows what they would have.
        template: what tells its template from others.
    """

    name: str
    index: int
    hosts: int
    minimum: int
    maximum: int
    stored: int
    desired: int
    idle_timeout: timedelta
    priority: int
    workers: tuple[Worker, ...]
    listed: tuple[str, ...]
    lingering: tuple[str, ...]
    offers: tuple[packing.Offer, ...]
    template: str = ""

    def replicas(self) -> Mapping[str, Sequence[Worker]]:
        """Return the workers of each replica."""
        found: dict[str, list[Worker]] = {}
        for worker in self.workers:
            found.setdefault(worker.replica, []).append(worker)
        return found

    def count(self) -> int:
        """Count the replicas that are there, whatever they do."""
        return len({worker.replica for worker in self.workers})

    def present(self) -> int:
        """Count the replicas that are there or will be, as far as the bound lets them."""
        return min(max(self.desired, self.count()), self.maximum)

    def owed(self) -> int:
        """Count the replicas that are still to be made."""
        return max(0, self.desired - self.count())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """All of it; `head` is None while its Ray node isn't there."""

    groups: tuple[Group, ...]
    head: packing.Bin | None
    is_conservative: bool
    refusal: str = ""
    """Why Pods can't be made now, as the status says; empty while nothing is known."""

    def workers(self) -> Sequence[Worker]:
        """Return all workers."""
        return [worker for group in self.groups for worker in group.workers]
