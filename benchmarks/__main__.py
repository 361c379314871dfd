"""Measure the operator: one JSON line a case.

Owns: which cases there are. Does not own: any of them. Invariant: what is compared is measured in
the same run; seconds are those of a shared machine, CPU seconds, counts of requests and ratios can
be compared.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import demand, fleet, jobs, scaling, silence

CASES: dict[str, Callable[[Sequence[str]], None]] = {
    "scaling": scaling.run,
    "fleet": fleet.run,
    "silence": silence.run,
    "jobs": jobs.run,
    "demand": demand.run,
}
"""Those on the local cluster, which takes CPU from all others, come last."""


def main() -> None:
    """Run all cases, or those that are named first; what follows the name is for them.

    See `python -m benchmarks fleet --help`.
    """
    if sys.argv[1:]:
        CASES[sys.argv[1]](sys.argv[2:])
        return
    for name in CASES:  # some become another process
        again = [sys.executable, "-m", "benchmarks", name]
        subprocess.run(again, cwd=Path(__file__).parent.parent, check=True)


if __name__ == "__main__":
    main()
