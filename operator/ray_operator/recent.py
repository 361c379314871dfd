"""What happened in the last second, by key: how often anything does, and when it last did.

Owns: remembering just that long. Does not own: what follows from it (`workqueue`, `pacing`).
Invariant: what is remembered is of the last second; a key counts once.
"""

import math
import time

from ray_operator import records

SECONDS = 1.0
BUSY = 10
"""Keys in that time, from which on much goes on."""


class Recent:
    """Keys to which something happened in the last second."""

    def __init__(self) -> None:
        self._moments: dict[records.Key, float] = {}

    def note(self, key: records.Key) -> None:
        """Take in that it happens now."""
        self._moments.pop(key, None)  # the oldest come first
        self._moments[key] = time.monotonic()
        self._forget()

    def last(self, key: records.Key) -> float:
        """Return when it last happened, by the monotonic clock; `-inf` when it didn't."""
        return self._moments.get(key, -math.inf)

    def count(self) -> int:
        """Return to how many keys it happened."""
        self._forget()
        return len(self._moments)

    def _forget(self) -> None:
        since = time.monotonic() - SECONDS
        while self._moments:
            oldest = next(iter(self._moments))
            if self._moments[oldest] >= since:
                return
            del self._moments[oldest]
