"""What can be said of a cluster that isn't ready: reasons, and one cause in words.

Owns: what a cause is, and when two say the same. Does not own: the reasons (`api.vocabulary`), or
finding them. Invariant: a message names the object, the cause and a hint, in this order, and has no
clock or counter in it: what lasts is written once.
"""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from ray_operator.api import vocabulary

ALWAYS = datetime.min.replace(tzinfo=UTC)
SHOWN = 300
"""Characters of what others said that fit into a message somebody reads."""


Reason = vocabulary.NotReady

CONSEQUENCES = frozenset({Reason.HEAD_UNREACHABLE, Reason.WAITING_FOR_HEAD})
"""What a worker suffers when its head is down: told when nothing else is."""
LASTING = frozenset(
    {
        Reason.CONTAINER_CRASHED,
        Reason.MEMORY_TOO_SMALL,
        Reason.NODE_LOST,
        Reason.OUT_OF_MEMORY,
        Reason.POD_EVICTED,
        Reason.POD_FAILED,
        Reason.POD_PREEMPTED,
        Reason.PROGRAM_MISSING,
        Reason.RAY_VERSION_MISMATCH,
    }
)
"""What ends a Pod, and so is still why the cluster isn't ready while a new one starts."""

_VOLATILE = re.compile(r"(?<!exit code )\b\d[\d.:,-]*\b|\b0x[0-9a-f]+\b")


class Cause(NamedTuple):
    """One cause; it is to be told from `due` on, since some things cure themselves."""

    reason: Reason
    message: str
    due: datetime = ALWAYS


def is_same(one: str, other: str) -> bool:
    """Tell whether two messages say the same but for numbers: times, process ids, node counts."""
    return one == other or _VOLATILE.sub("", one) == _VOLATILE.sub("", other)


def one_line(text: str) -> str:
    """Return what others said as one line, its middle left out when it is long."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= SHOWN else f"{line[: SHOWN // 3]} … {line[-2 * SHOWN // 3 :]}"


def last_words(log: str) -> str:
    """Return the end of a log as one line."""
    line = " ".join(log.split())
    return line if len(line) <= SHOWN else "…" + line[-SHOWN:]
