"""What the end of a container means: exit codes, and what Ray says last.

Owns: the tables of known endings. Does not own: which ending counts (`containers`). Invariant: the
first entry that fits is the most specific one.
Source: POSIX shells and signals; the texts of Ray 2.46 to 2.60.
"""

import re
from datetime import timedelta
from typing import NamedTuple

from ray_operator import quantity, records
from ray_operator.raycluster import resources
from ray_operator.raycluster.diagnosis import cause
from ray_operator.raycluster.diagnosis import subject as subjects

Reason = cause.Reason

HEAD_NEEDS = quantity.parse("1Gi")
"""Memory below which the processes of a Ray head alone hardly fit."""
PROBE_KILLS_WITHIN = timedelta(minutes=2)
"""From the last failure of a liveness probe to the end, with time to stop."""

SAME_RAY = "give head and workers images with the same Ray and Python"
_MORE_MEMORY = "raise resources.limits.memory"
_RAISE_TO = "a Ray head needs 1Gi or more"
_NO_PROGRAM = "the image needs bash and Ray"


class Ending(NamedTuple):
    """How a container ended: what is `said`, and the hint (empty for none)."""

    reason: Reason
    said: str
    hint: str


_START = re.compile(
    r'(exec: "[^"]*": )?(?:(?!exec: ).)*(no such file or directory|not found in \$PATH)', re.DOTALL
)
_WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE), reason, hint)
    for pattern, reason, hint in (
        (
            r"\bray: (command )?not found|no module named '?ray\b",
            Reason.PROGRAM_MISSING,
            _NO_PROGRAM,
        ),
        (
            r"version mismatch: (the )?cluster (was started with|has ray)",
            Reason.RAY_VERSION_MISMATCH,
            SAME_RAY,
        ),
        (
            r"failed to connect to gcs|unable to connect to gcs",
            Reason.HEAD_UNREACHABLE,
            "is the head down, or does a NetworkPolicy keep workers from it?",
        ),
        (
            r"wrongpass|noauth|could not establish connection to redis|redis.*connection refused",
            Reason.CONTAINER_CRASHED,
            "check address and password of the Redis in gcsFaultToleranceOptions",
        ),
        (
            r"session name .* does not match persisted value",
            Reason.CONTAINER_CRASHED,
            "the state in Redis is another cluster's: use an externalStorageNamespace of its own",
        ),
        (
            r"address already in use",
            Reason.CONTAINER_CRASHED,
            "something else in the Pod or, with hostNetwork, on its node uses the port",
        ),
        (
            r"exec format error",
            Reason.CONTAINER_CRASHED,
            "the image is made for another CPU architecture than the node's",
        ),
        (
            r"exit code=-9\b",
            Reason.CONTAINER_CRASHED,
            f"a process of Ray was killed, mostly for want of memory: {_MORE_MEMORY}",
        ),
    )
)
_CODES = {
    126: "the command isn't executable",
    127: "the command isn't in the image",
    137: "killed from outside (SIGKILL), by a probe or for want of memory",
    139: "a segmentation fault: does the image suit the node's CPU, and its native libraries Ray?",
    143: "ended from outside (SIGTERM)",
}


def of_start(said: str) -> Ending | None:
    """Read why the runtime couldn't start the command, None when it isn't for want of it."""
    found = _START.search(said)
    return Ending(Reason.PROGRAM_MISSING, found[0], _NO_PROGRAM) if found else None


def read(subject: subjects.Subject, container: records.Container, ended: records.Ended) -> Ending:
    """Read an ending other than success."""
    if ended.reason == "OOMKilled":
        return _out_of_memory(subject, container)
    if ended.reason in ("StartError", "ContainerCannotRun") and (found := of_start(ended.message)):
        return found
    said = f"exit code {ended.exit_code}"
    if ended.message:
        said += f": {cause.last_words(ended.message)}"
    if probe := _killing_probe(subject, container, ended):
        return Ending(Reason.PROBE_FAILING, f"restarted because of its probe: {probe}", "")
    # Ray 2.60 ends with a traceback about something else when it joins a 2.46.
    if container.name == subject.pod.ray_container and (other := subject.other_ray()):
        return Ending(Reason.RAY_VERSION_MISMATCH, f"{said}: {other}", SAME_RAY)
    for pattern, reason, hint in _WORDS:
        if pattern.search(ended.message):
            return _with_memory(subject, container, Ending(reason, said, hint))
    hint = _CODES.get(ended.exit_code, "")
    return _with_memory(subject, container, Ending(Reason.CONTAINER_CRASHED, said, hint))


def small_head(subject: subjects.Subject, container: records.Container) -> str:
    """Return the memory limit of a head that is below what Ray needs, else nothing."""
    limit = _limit(subject, container)
    is_ray = subject.is_head and container.name == subject.pod.ray_container
    return str(limit) if is_ray and limit and limit.value < HEAD_NEEDS.value else ""


def _out_of_memory(subject: subjects.Subject, container: records.Container) -> Ending:
    limit = _limit(subject, container)
    said = f"killed at its memory limit of {limit}" if limit else "killed for want of memory"
    hint = _RAISE_TO if small_head(subject, container) else _MORE_MEMORY
    return Ending(Reason.OUT_OF_MEMORY, said, hint)


def _with_memory(subject: subjects.Subject, container: records.Container, ending: Ending) -> Ending:
    """Blame memory where processes are killed below what a head needs."""
    killed = "exit code 137" in ending.said or "exit code=-9" in ending.said
    limit = small_head(subject, container)
    if not killed or not limit:
        return ending
    said = f"{ending.said}: its memory limit is {limit}"
    return Ending(Reason.MEMORY_TOO_SMALL, said, _RAISE_TO)


def unresponsive(limit: str) -> Ending:
    """Return the ending-to-be of a head that doesn't answer within too small a limit."""
    return Ending(
        Reason.MEMORY_TOO_SMALL, f"doesn't answer, and its memory limit is {limit}", _RAISE_TO
    )


def _killing_probe(
    subject: subjects.Subject, container: records.Container, ended: records.Ended
) -> str:
    """Return what the probe said that had the container ended, if one had."""
    if ended.exit_code not in (137, 143) or ended.finished_at is None:
        return ""
    for event in subject.said("Unhealthy", container=container.name):
        ago = ended.finished_at - event.last_at
        is_recent = timedelta(seconds=-2) <= ago <= PROBE_KILLS_WITHIN
        if event.message.startswith(("Liveness", "Startup")) and is_recent:
            return cause.one_line(event.message)
    return ""


def _limit(subject: subjects.Subject, container: records.Container) -> quantity.Quantity:
    return resources.amount(resources.limits(subject.template(container.name)), "memory")
