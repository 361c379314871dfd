"""What was spent: by the operator, CPU, memory, passes, requests and waiting; by all others, CPU.

Owns: reading all of that from outside. Does not own: the cases. Invariant: nothing is measured by
the operator that its users couldn't measure.
"""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import control_plane
from tests.api import operators

QUEUE = "workqueue_queue_duration_seconds"
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


class Spent:
    """What an operator has spent since this was made."""

    def __init__(self, plane: control_plane.ControlPlane, port: int, pid: int) -> None:
        self._plane, self._port, self._pid = plane, port, pid
        self._cpu, self._passes = self._now()
        self._waits = _buckets(port)
        self._since = plane.written()

    def _now(self) -> tuple[float, float]:
        cpu = operators.counted(self._port, "process_cpu_seconds_total")
        return cpu, operators.passes(self._port)

    def told(self) -> dict[str, Any]:
        """Return CPU seconds, MiB, passes, seconds in the queue, and requests."""
        cpu, passes = self._now()
        waits = {edge: n - self._waits.get(edge, 0) for edge, n in _buckets(self._port).items()}
        return {
            "cpu_seconds": round(cpu - self._cpu, 3),
            "rss_mib": memory(self._pid, "VmRSS"),
            "peak_rss_mib": memory(self._pid, "VmHWM"),
            "passes": round(passes - self._passes),
            "queued_p50": quantile(waits, 0.5),
            "queued_p99": quantile(waits, 0.99),
            **asked(self._plane, self._since),
        }


def asked(plane: control_plane.ControlPlane, since: int) -> dict[str, Any]:
    """Return the operator's requests from that byte of the log on, those about its lease apart."""
    found = dict(sorted(plane.requests(since).items()))
    leases = sum(found.pop(each) for each in list(found) if "leases" in each)
    writes = sum(count for each, count in found.items() if each.partition(" ")[0] in WRITES)
    return {"requests": found, "lease_requests": leases, "writes": writes}


class Processes:
    """The CPU that all processes of the control plane and the benchmark spend from now on."""

    def __init__(self) -> None:
        self._before = _processes()

    def told(self) -> dict[str, float]:
        """Return seconds by program, without what is in the noise."""
        found: defaultdict[str, float] = defaultdict(float)
        for key, seconds in _processes().items():
            found[key[1]] += seconds - self._before.get(key, 0.0)
        most = sorted(found.items(), key=lambda each: -each[1])
        return {name: round(seconds, 1) for name, seconds in most if seconds >= 1}


def _processes() -> dict[tuple[str, str], float]:
    """Return CPU seconds by process and its program: those that we see, which are our own."""
    found: dict[tuple[str, str], float] = {}
    tick = os.sysconf("SC_CLK_TCK")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            program, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:  # gone meanwhile
            continue
        user, system = rest.split()[11:13]
        found[folder.name, program] = (int(user) + int(system)) / tick
    return found


def _buckets(port: int) -> dict[float, int]:
    """Return how many keys waited at most so long, by seconds."""
    _, text = operators.get(port, "/metrics")
    found: Counter[float] = Counter()
    for line in text.splitlines():
        if line.startswith(f"{QUEUE}_bucket"):
            edge = line.partition('le="')[2].partition('"')[0]
            found[float(edge.replace("+Inf", "inf"))] += int(float(line.split()[-1]))
    return dict(sorted(found.items()))


def quantile(buckets: Mapping[float, int], share: float) -> float | None:
    """Interpolate within the bucket that it is in, as Prometheus does; None of nothing.

    `buckets` have how many are at most the edge, by edges in their order.
    """
    wanted = share * max(buckets.values(), default=0)
    if not wanted:
        return None
    edges = iter(buckets.items())
    lower, below = 0.0, 0
    edge, count = next(edges)
    while count < wanted:
        lower, below = edge, count
        edge, count = next(edges)
    if edge == math.inf:
        return lower
    return float(f"{lower + (edge - lower) * (wanted - below) / (count - below):.2g}")


def memory(pid: int, what: str) -> float:
    """Return the resident set (`VmRSS`), or the most that it ever was (`VmHWM`), in MiB."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(int(next(line for line in status if what in line).split()[1]) / 1024, 1)
