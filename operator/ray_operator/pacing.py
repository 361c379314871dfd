"""When a status is written that is no news: at once, or once things have calmed down.

Owns: how long it waits. Does not own: what is news (`reconcile.Kind.follows`), or the write itself
(`reconcile`). Invariant: none waits longer than `LONGEST` from when it was first to be written, and
what waits is written at the latest when the next one is news.

A status costs the API server 6 ms of CPU, as much as three Pods: of 1,000 clusters that start
together, whose Pods come up one by one, each had 2.6 written, and of those only the last was news.
"""

from datetime import datetime, timedelta

from ray_operator import records, workqueue

SHORTEST, LONGEST = timedelta(seconds=2), timedelta(seconds=30)
"""Between two statuses while little goes on, and at most."""
BUSY = 10
"""Resources worked on in a second, from which on much goes on."""


class Pacing:
    """Remember since when keys have had a status to write that is no news."""

    def __init__(self, queue: workqueue.WorkQueue) -> None:
        self._queue = queue
        self._since: dict[records.Key, datetime] = {}

    def wait(self, key: records.Key, *, last: datetime, now: datetime) -> timedelta:
        """Return how long it has to wait from now on; nothing when it is to be written.

        `last` is when one was last written; it is in the future after a clock was put back. While
        little goes on that is what counts. While much does, it is written once it has been due for
        as many seconds as there are resources that were worked on in the last one.
        """
        pace = self._queue.pace()
        if pace < BUSY:
            due = last + SHORTEST if last <= now else now
        else:
            due = self._since.setdefault(key, now) + min(timedelta(seconds=pace), LONGEST)
        return max(due - now, timedelta())

    def written(self, key: records.Key) -> None:
        """Take in that nothing is to be written (any more)."""
        self._since.pop(key, None)
