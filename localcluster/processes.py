"""Naming processes so that a number reused by another can't be mistaken.

Owns reading /proc. Deliberately signals only what an identity names. Invariant: a process is
signalled only while PID and start time both match the record.
"""

import contextlib
import os
import pathlib
import signal
import typing


class Identity(typing.NamedTuple):
    """One process for good: its PID and its start time in clock ticks since boot."""

    pid: int
    started: int


def identity(pid: int) -> Identity | None:
    """Identify a running process; None when there is none of that number."""
    fields = _stat(pid)
    return Identity(pid, int(fields[19])) if fields else None


def children(pid: int) -> list[int]:
    """List the PIDs of a process' children."""
    return [one for one in all_pids() if (fields := _stat(one)) and int(fields[1]) == pid]


def all_pids() -> list[int]:
    """List the PIDs of all processes."""
    return sorted(int(entry.name) for entry in pathlib.Path("/proc").glob("[0-9]*"))


def is_alive(process: Identity) -> bool:
    """Tell whether this very process runs (a zombie does not)."""
    fields = _stat(process.pid)
    return bool(fields) and int(fields[19]) == process.started and fields[0] not in "ZX"


def send(process: Identity, sig: signal.Signals) -> None:
    """Signal this very process, if it still is there.

    A pidfd pins the process between the check and the signal.
    """
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            if is_alive(process):
                signal.pidfd_send_signal(descriptor, sig)
        finally:
            os.close(descriptor)


def _stat(pid: int) -> list[str]:
    """Read the fields of /proc/PID/stat after the command name; empty when there is none."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
