"""What a plan may ask for, and what came of it: data, no I/O.

Owns: `Action`, `Plan`, `Outcome` and the events that a pass is worth. Does not own: carrying
actions out (`apply`). Invariant: a plan is a value; two equal inputs make two equal plans (random
name suffixes are drawn by `apply`, never here).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from ray_operator import errors, records
from ray_operator.api import rules

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
    verb: str
    kind: str
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _message(group: _Group) -> str:
    shown = ", ".join(group.names[:10])
    more = f" and {len(group.names) - 10} more" if len(group.names) > 10 else ""
    notes = "; ".join(dict.fromkeys(note for note in group.notes if note))
    return f"{group.verb} {group.kind} {shown}{more}" + (f": {notes}" if notes else "")


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
    """Sum up an outcome as at most one event a reason, naming at most ten objects each."""
    groups: dict[str, _Group] = {}
    types: dict[str, tuple[str, str]] = {}
    for result in outcome.results:
        action, error = result.action, result.error
        if isinstance(action, Patch) and error is None and not action.is_told:
            continue
        verb = _verb(action)
        reason = action.reasons.failed if error else action.reasons.done
        told = f"Failed to {verb.lower()}" if error else f"{verb}d"
        types[reason] = ("Warning" if error else "Normal", verb)
        group = groups.setdefault(reason, _Group(told, action.resource.kind))
        group.names.append(result.name)
        why = action.why if isinstance(action, Delete) else ""
        group.notes.append(error.message if error else why)
    return [
        Event(
            type=types[reason][0], reason=reason, action=types[reason][1], message=_message(group)
        )
        for reason, group in groups.items()
    ]
