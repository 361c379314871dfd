"""When a status is written that is no news: soon, or once things have calmed down.

Owns: how long it waits, and waking what waits when they have. Does not own: what is news
(`reconcile.Kind.follows`), or the write itself (`statuses`). Invariant: none waits longer than
`LONGEST` from when it was first to be written, and what waits is written at the latest when the
next one is news.

A status costs the API server 6 ms of CPU, as much as three Pods: of 1,000 clusters that start
together, whose Pods come up one by one, each had 2.6 written, and of those only the last was news.
"""

import asyncio
import itertools
from datetime import datetime, timedelta

from ray_operator import recent, records, workqueue

SHORTEST, LONGEST = timedelta(seconds=2), timedelta(seconds=60)
"""Between two statuses while little goes on, and at most."""
LOOK_SECONDS = 1.0


class Pacing:
    """Remember since when keys have had a status to write that waits because much goes on."""

    def __init__(self, queue: workqueue.WorkQueue) -> None:
        self._queue = queue
        self._since: dict[records.Key, datetime] = {}
        self._changes = recent.Recent()
        self._look: asyncio.TimerHandle | None = None

    def changes(self, key: records.Key) -> None:
        """Take in that its status is another one now, whether it is written or waits."""
        self._changes.note(key)

    def wait(self, key: records.Key, *, last: datetime, now: datetime) -> timedelta:
        """Return how long it has to wait from now on; nothing when it is to be written.

        `last` is when one was last written; it is in the future after a clock was put back. While
        little goes on that is what counts. While much does, it is written once it has been due for
        two seconds for each status that changed in the last one.
        """
        pace = self._changes.count()
        if pace < recent.BUSY:
            due = last + SHORTEST if last <= now else now
        else:
            due = self._since.setdefault(key, now) + min(pace * SHORTEST, LONGEST)
            self._look_soon()
        return max(due - now, timedelta())

    def waits(self, key: records.Key) -> bool:
        """Tell whether it has a status to write that waits because much goes on."""
        return key in self._since

    def written(self, key: records.Key) -> None:
        """Take in that nothing is to be written (any more)."""
        self._since.pop(key, None)

    def _look_soon(self) -> None:
        if self._look is None:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(LOOK_SECONDS, self._wake)

    def _wake(self) -> None:
        """Ask for passes over what has waited longest, so many that little goes on still."""
        self._look = None
        if self._changes.count() < recent.BUSY:
            for key in itertools.islice(self._since, recent.BUSY - 1):
                self._queue.add(key)
        if self._since:
            self._look_soon()
