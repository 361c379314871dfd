"""What a plan may ask for, and what came of it: data, no I/O.

Owns: `Action`, `Plan`, `Outcome` and the events that a pass is worth. Does not own: carrying
actions out (`apply`). Invariant: a plan is a value; two equal inputs make two equal plans (random
name suffixes are drawn by `apply`, never here).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NamedTuple

from ray_operator import errors, records
from ray_operator.api import rules

MOST_NAMES = 10
"""Of a kind, in one event."""
MOST_CHANGES = 256
"""Patches and deletions of one pass."""

Manifest = Mapping[str, Any]
"""A Kubernetes object as plain JSON."""


class Reasons(NamedTuple):
    """How an action is told of: event reasons, and the condition reason when it fails."""

    done: str
    failed: str
    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Create an object; with `metadata.generateName` the name's suffix is drawn in `apply`.

    So is a token, under `secret_key` in the data of a Secret, if a key is given. `otherwise` is
    what to do if the namespace is going away, in which nothing can be made any more.
    """

    resource: records.Resource
    manifest: Manifest
    reasons: Reasons
    secret_key: str = ""
    otherwise: "Action | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete the object of that name only if it still has that UID; gone already is success.

    `why` ends the event's message; `was` is the Pod as last seen, to tell later how it ended.
    `propagation` is Kubernetes' for what the object owns; empty means the default of its kind.
    """

    resource: records.Resource
    namespace: str
    name: str
    uid: str
    reasons: Reasons
    why: str = ""
    was: records.Pod | None = None
    propagation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Merge `change` into the object of that name only if it still has that UID.

    No event tells of it when it succeeds, since it is bookkeeping, unless `is_told`.
    """

    resource: records.Resource
    namespace: str
    name: str
    uid: str
    change: Manifest
    reasons: Reasons
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Make an object as the manifest says, and later unsay what the manifest no longer does.

    `is_new` tells that there is none yet; one of that name that isn't ours is then refused.
    """

    resource: records.Resource
    manifest: Manifest
    reasons: Reasons
    is_new: bool = False


Action = Create | Delete | Patch | Apply


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A Kubernetes event about the resource in hand; `type` is `Normal` or `Warning`."""

    type: str
    reason: str
    action: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one pass does: actions in order, then look again after `requeue_after` at the latest.

    `requeue_after=None` means that only a change or the resync wakes the key. `invalid` says what
    is wrong with the spec, for which nothing is done. `events` are posted once the status stands.
    `asks_ray` tells that the next pass wants to hear of Ray what it isn't always asked.
    """

    actions: tuple[Action, ...] = ()
    requeue_after: timedelta | None = None
    invalid: tuple[rules.FieldError, ...] = ()
    events: tuple[Event, ...] = ()
    asks_ray: bool = False


def joined(*plans: Plan) -> Plan:
    """Return all that the plans do, in their order; the soonest requeue wins."""
    waits = [each.requeue_after for each in plans if each.requeue_after is not None]
    return Plan(
        actions=tuple(action for each in plans for action in each.actions),
        requeue_after=min(waits, default=None),
        invalid=tuple(error for each in plans for error in each.invalid),
        events=tuple(event for each in plans for event in each.events),
        asks_ray=any(each.asks_ray for each in plans),
    )


def bounded(plan: Plan) -> Plan:
    """Leave what is too much for one pass to the next, so that none takes minutes.

    Objects to be made don't count: who plans them makes few at a time. What is deleted isn't left
    behind them, or a quota that it would free refuses them for ever.
    """
    late = {id(each) for each in [a for a in plan.actions if not makes(a)][MOST_CHANGES:]}
    if not late:
        return plan
    first = tuple(action for action in plan.actions if id(action) not in late)
    return replace(plan, actions=first, requeue_after=timedelta())


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One action carried out; `name` is the object's, `error` is None on success."""

    action: Action
    name: str
    error: errors.KubeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All results of a pass, in the plan's order, and what the plan found wrong with the spec.

    Every action is tried; errors don't stop it.
    """

    results: tuple[Result, ...] = ()
    invalid: tuple[rules.FieldError, ...] = ()

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that carry an error."""
        return tuple(result for result in self.results if result.error is not None)


@dataclass(slots=True)
class _Group:
    """Results to tell of together: the objects' names by kind."""

    verb: str
    has_failed: bool
    reasons: set[str] = field(default_factory=set)
    names: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def event(self) -> Event:
        """Return what to tell; its reason is that of the actions if they share one."""
        told = f"Failed to {self.verb.lower()}" if self.has_failed else f"{self.verb}d"
        kinds = "; ".join(f"{kind} {_shown(names)}" for kind, names in self.names.items())
        notes = "; ".join(dict.fromkeys(note for note in self.notes if note))
        return Event(
            type="Warning" if self.has_failed else "Normal",
            reason=min(self.reasons) if len(self.reasons) == 1 else f"{self.verb}d",
            action=self.verb,
            message=f"{told} {kinds}" + (f": {notes}" if notes else ""),
        )


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"


def makes(action: Action) -> bool:
    """Tell whether the action makes an object that isn't there."""
    return isinstance(action, Create) or (isinstance(action, Apply) and action.is_new)


def told(failure: Result) -> str:
    """Say what failed and why, without the suffix drawn for this attempt: each would be news."""
    assert failure.error is not None
    manifest = failure.action.manifest if isinstance(failure.action, Create) else {}
    stem = manifest.get("metadata", {}).get("generateName")
    name = f"{stem}…" if stem else failure.name
    return f"{name}: {failure.error.message.replace(failure.name, name)}"


def _verb(action: Action) -> str:
    if makes(action):
        return "Create"
    return "Update" if isinstance(action, Apply | Patch) else type(action).__name__


def events(outcome: Outcome) -> Sequence[Event]:
    """Sum up an outcome: one event for all that was made, and one a reason for the rest.

    Each names at most ten objects a kind.
    """
    groups: dict[tuple[bool, str], _Group] = {}
    for result in outcome.results:
        action, error = result.action, result.error
        if isinstance(action, Patch) and error is None and not action.is_told:
            continue
        verb, has_failed = _verb(action), error is not None
        reason = action.reasons.failed if has_failed else action.reasons.done
        together = verb if makes(action) and not has_failed else reason
        group = groups.setdefault((has_failed, together), _Group(verb, has_failed))
        group.reasons.add(reason)
        group.names.setdefault(action.resource.kind, []).append(result.name)
        why = action.why if isinstance(action, Delete) else ""
        group.notes.append(error.message if error else why)
    return [group.event() for group in groups.values()]
