"""How soon workers come for tasks without room, with real Ray, beside Ray's own autoscaler.

Owns: the case. Does not own: how it is measured (`tests.support.latencies`).
"""

import statistics
from collections.abc import Sequence

from benchmarks import lines, local
from tests.support import latencies


def run(_arguments: Sequence[str] = ()) -> None:
    """Print a line for what is waited for, the Pod and the end of the tasks, by each of the two."""
    operator = local.operator()
    with local.namespace(operator.cluster) as namespace:
        found = latencies.measure(operator.cluster, operator, local.audit(), namespace)
    for name, each in found.items():
        for what, seconds in each._asdict().items():
            lines.show(
                f"workers by demand, {name}: {what}",
                median=round(statistics.median(seconds), 2),
                p90=round(statistics.quantiles(seconds, n=10)[-1], 2),
                seconds=[round(each, 2) for each in sorted(seconds)],
            )
