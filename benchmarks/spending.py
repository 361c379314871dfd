"""What an operator has spent: CPU, memory, passes, requests, and how long keys waited.

Owns: reading all of that from outside. Does not own: the cases. Invariant: nothing is measured by
the operator that its users couldn't measure.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import control_plane
from tests.api import operators

QUEUE = "workqueue_queue_duration_seconds"


class Spent:
    """What an operator has spent since this was made."""

    def __init__(self, plane: control_plane.ControlPlane, port: int, pid: int) -> None:
        self._plane, self._port, self._pid = plane, port, pid
        self._cpu, self._passes = self._now()
        self._waits = _buckets(port)
        self._since = plane.audit.stat().st_size if plane.audit.exists() else 0

    def _now(self) -> tuple[float, float]:
        cpu = operators.counted(self._port, "process_cpu_seconds_total")
        return cpu, operators.passes(self._port)

    def told(self) -> dict[str, Any]:
        """Return CPU seconds, MiB, passes, seconds in the queue, and requests."""
        cpu, passes = self._now()
        requests = self._plane.requests(self._since)
        waits = {edge: n - self._waits.get(edge, 0) for edge, n in _buckets(self._port).items()}
        return {
            "cpu_seconds": round(cpu - self._cpu, 3),
            "rss_mib": memory(self._pid, "VmRSS"),
            "peak_rss_mib": memory(self._pid, "VmHWM"),
            "passes": round(passes - self._passes),
            "queued_p50": _quantile(waits, 0.5),
            "queued_p99": _quantile(waits, 0.99),
            "requests": dict(sorted(requests.items())),
            "writes": sum(n for what, n in requests.items() if _is_write(what)),
        }


def _is_write(request: str) -> bool:
    verb, _, resource = request.partition(" ")
    return verb in {"create", "update", "patch", "delete", "deletecollection"} and not (
        resource.startswith("leases")
    )


def _buckets(port: int) -> dict[float, int]:
    """Return how many keys waited at most so long, by seconds."""
    _, text = operators.get(port, "/metrics")
    found: Counter[float] = Counter()
    for line in text.splitlines():
        if line.startswith(f"{QUEUE}_bucket"):
            edge = line.partition('le="')[2].partition('"')[0]
            found[float(edge.replace("+Inf", "inf"))] += int(float(line.split()[-1]))
    return dict(sorted(found.items()))


def _quantile(buckets: dict[float, int], share: float) -> float:
    """Return the upper edge of the bucket that the quantile is in."""
    most = max(buckets.values(), default=0)
    return next((edge for edge, count in buckets.items() if count >= share * most), 0.0)


def memory(pid: int, what: str) -> float:
    """Return the resident set (`VmRSS`), or the most that it ever was (`VmHWM`), in MiB."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(int(next(line for line in status if what in line).split()[1]) / 1024, 1)
