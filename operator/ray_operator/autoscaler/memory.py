"""What is remembered of a cluster from one look to the next.

Owns: its shape, and what the life of the GCS means for it. Does not own: decisions (`decide`).
Invariant: without it nothing is decided wrongly, only later: whoever leads next starts with none.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from ray_operator import ray_records, scaling_records
from ray_operator.autoscaler import demand, scale_up

UP_HOLD = timedelta(seconds=5)
"""After a start of the GCS, which then lists nodes before it hears what they do."""
DOWN_HOLD = timedelta(seconds=30)
"""At least; an idle time that begins anew is longer than it seems."""


Place = tuple[str, str]
"""A node, and a kind of resource of it."""
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What was seen, and since when.

    Attributes:
        looks: how many in a row got an answer.
        short: plain requests that find no room; `free` is what the nodes have.
        removable: replicas that may go if they still may at the next look.
        unneeded: Pods on their way that nothing asks for (any more).
        owed: groups some of whose Pods aren't made.
        failed: groups that failed to bring nodes, last.
        refused: Pods that Ray wouldn't let go, last.
        dead: Pods whose Ray node ended.
        known: what a node of a group has, and of which template it is.
        solved: the last problem and its solution.
        active_at: when anything was asked for, on its way or at work; of what was before the first
            look, only what Ray tells of its nodes is known.
    """

    session: str = ""
    version: int = 0
    head: str = ""
    looks: int = 0
    up_from: datetime | None = None
    down_from: datetime | None = None
    constraint: scaling_records.Counted = ()
    short: Mapping[demand.Shape, datetime] = field(default_factory=dict)
    free: Mapping[Place, tuple[int, datetime]] = field(default_factory=dict)
    removable: Mapping[str, datetime] = field(default_factory=dict)
    unneeded: Mapping[str, datetime] = field(default_factory=dict)
    owed: Mapping[str, datetime] = field(default_factory=dict)
    failed: Mapping[str, datetime] = field(default_factory=dict)
    refused: Mapping[str, datetime] = field(default_factory=dict)
    dead: Mapping[str, datetime] = field(default_factory=dict)
    known: Mapping[str, tuple[str, Mapping[str, int]]] = field(default_factory=dict)
    solved: tuple[scale_up.Problem, scale_up.Solution] | None = None
    active_at: datetime | None = None


def look(
    before: Memory,
    state: ray_records.ResourceState,
    *,
    head: str,
    idle_timeout: timedelta,
    now: datetime,
) -> Memory:
    """Take in whose answer it is: another life of the GCS knows little at first."""
    is_other = bool(before.session) and (
        state.session != before.session or head != before.head or state.version < before.version
    )
    after = replace(
        before,
        session=state.session,
        version=state.version,
        head=head,
        looks=before.looks + 1,
        constraint=state.demand.constraint,
        active_at=before.active_at or now - _idle(state),
    )
    if not is_other:
        return after
    return replace(
        after,
        looks=1,
        up_from=now + UP_HOLD,
        down_from=now + max(DOWN_HOLD, idle_timeout),
        short={},
        free={},
        removable={},
    )


def _idle(state: ray_records.ResourceState) -> timedelta:
    """Return how long no node has done anything."""
    alive = [each for each in state.nodes if each.status is not ray_records.NodeStatus.DEAD]
    return min((each.idle for each in alive), default=timedelta())


def failed(before: Memory) -> Memory:
    """Take in that there was no answer."""
    return replace(before, looks=0, removable={}, short={}, free={})


def lost_constraint(before: Memory, state: ray_records.ResourceState) -> scaling_records.Counted:
    """Return what a GCS that started anew has forgotten that it was asked to hold."""
    is_same_session = state.session == before.session and state.version < before.version
    return before.constraint if is_same_session and not state.demand.constraint else ()


def since(before: Mapping[T, datetime], names: Iterable[T], now: datetime) -> dict[T, datetime]:
    """Return since when each of these has been so; others are forgotten."""
    return {name: before.get(name, now) for name in names}
