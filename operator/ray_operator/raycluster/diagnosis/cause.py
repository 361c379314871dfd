"""What can be said of a cluster that isn't ready: reasons, and one cause in words.

Owns: the closed set of reasons, which README explains. Does not own: finding them. Invariant: a
message names the object, the cause and a hint, in this order, and has no clock or counter in it:
what lasts is written once.
"""

import enum
import re
from datetime import UTC, datetime
from typing import NamedTuple

ALWAYS = datetime.min.replace(tzinfo=UTC)
SHOWN = 300
"""Characters of what others said that fit into a message somebody reads."""


class Reason(enum.StrEnum):
    """Reasons of a false `RayClusterReady`, one word each."""

    ADMISSION_DENIED = "AdmissionDenied"
    ADMISSION_UNAVAILABLE = "AdmissionUnavailable"
    CONTAINER_CONFIG_INVALID = "ContainerConfigInvalid"
    CONTAINER_CRASHED = "ContainerCrashed"
    CREATE_REFUSED = "CreateRefused"
    HEAD_UNREACHABLE = "HeadUnreachable"
    IMAGE_NOT_FOUND = "ImageNotFound"
    IMAGE_PULL_DENIED = "ImagePullDenied"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    LIMIT_RANGE_VIOLATED = "LimitRangeViolated"
    MEMORY_TOO_SMALL = "MemoryTooSmall"
    NAME_TAKEN = "NameTaken"
    NODE_LOST = "NodeLost"
    OBJECT_MISSING = "ObjectMissing"
    OPERATOR_FORBIDDEN = "OperatorForbidden"
    OUT_OF_MEMORY = "OutOfMemory"
    POD_EVICTED = "PodEvicted"
    POD_FAILED = "PodFailed"
    POD_PREEMPTED = "PodPreempted"
    POD_SECURITY_VIOLATED = "PodSecurityViolated"
    PROBE_FAILING = "ProbeFailing"
    PROGRAM_MISSING = "ProgramMissing"
    QUOTA_EXCEEDED = "QuotaExceeded"
    RAY_VERSION_MISMATCH = "RayVersionMismatch"
    SANDBOX_FAILED = "SandboxFailed"
    SCHEDULING_GATED = "SchedulingGated"
    UNSCHEDULABLE = "Unschedulable"
    VOLUME_UNAVAILABLE = "VolumeUnavailable"
    WAITING_FOR_HEAD = "WaitingForHead"


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
