"""Begin: end when told to, from the first moment on, then run the command line.

Owns: the answer to SIGTERM before there is anything to shut down. Does not own: shutting down
(`__main__`). Invariant: nothing slow is imported before that answer is in place. The kernel drops a
SIGTERM to the first process of a container that has no answer to it, so an operator that is told
to end while it starts would go on, take the lease, and be killed with it.
"""

import os
import signal
from types import FrameType


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _end)
    from ray_operator import __main__ as program

    program.main()


def _end(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)
