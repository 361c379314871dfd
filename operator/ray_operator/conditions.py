"""Status conditions: one value type and the merge that keeps transition times true.

Owns: the shape of a condition and when `lastTransitionTime` moves. Does not own: which types and
reasons a kind has (its `status.py`). Invariant: merging equal conditions gives an equal tuple, so
that equal means no write.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

NEVER = datetime.min.replace(tzinfo=UTC)
"""When something was last said that was not said yet."""
MESSAGE_LENGTH = 32768
"""The API server refuses a status with a longer message as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A metav1.Condition; `status` is `True`, `False` or `Unknown` (strings, as in the API)."""

    type: str
    status: str
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = ""

    def manifest(self) -> dict[str, Any]:
        """Render as JSON."""
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message[:MESSAGE_LENGTH],
            "observedGeneration": self.observed_generation,
            "lastTransitionTime": self.last_transition_time,
        }


def timestamp(moment: datetime) -> str:
    """Format as the API server does: RFC 3339, seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def make(type_: str, status: str, reason: str, message: str = "") -> Condition:
    """Return a condition whose time and generation are still to be filled in."""
    return Condition(type=type_, status=status, reason=reason, message=message)


def moment(text: str) -> datetime | None:
    """Read what `timestamp` wrote; None when it is nothing such."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def read(manifests: Iterable[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Read `status.conditions`; missing keys read as empty."""
    return tuple(
        Condition(
            type=item.get("type", ""),
            status=item.get("status", ""),
            reason=item.get("reason", ""),
            message=item.get("message", ""),
            observed_generation=item.get("observedGeneration", 0),
            last_transition_time=item.get("lastTransitionTime", ""),
        )
        for item in manifests
    )


def find(conditions: Sequence[Condition], type_: str) -> Condition | None:
    """Return the condition of that type, None when there is none."""
    return next((item for item in conditions if item.type == type_), None)


def is_true(conditions: Sequence[Condition], type_: str) -> bool:
    """Tell whether the condition exists and holds."""
    found = find(conditions, type_)
    return found is not None and found.status == "True"


def merge(
    previous: Sequence[Condition], current: Sequence[Condition], *, now: datetime
) -> tuple[Condition, ...]:
    """Give `current` its transition times: kept from `previous` unless the status flipped."""

    def stamped(item: Condition) -> Condition:
        before = find(previous, item.type)
        same = before is not None and before.status == item.status
        return replace(
            item,
            last_transition_time=before.last_transition_time if before and same else timestamp(now),
        )

    return tuple(stamped(item) for item in current)
