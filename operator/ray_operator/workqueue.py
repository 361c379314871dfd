"""A keyed async work queue: what is waiting, what is being worked on, what comes back later.

Owns: deduplication, one worker a key, delayed and backed-off keys. Does not own: what a key means.
Invariant: a key added while it is being worked on is worked on once more afterwards; a key is
never handed to two workers.
Source: the semantics are those of client-go's workqueue, which operators are used to.
"""

import asyncio
import random
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from prometheus_client import core, registry

from ray_operator import metrics, recent, records

FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 60.0
SPACING_SECONDS = 0.3


class _Timer(NamedTuple):
    """A key that comes back: when, by the loop's clock, which not every loop's handles can tell."""

    due: float
    handle: asyncio.Handle


class WorkQueue(registry.Collector):
    """Hand each key to one worker at a time, soonest first.

    As a collector of metrics it tells of the work in hand.
    """

    def __init__(self) -> None:
        self._ready: deque[records.Key] = deque()
        self._waiting: dict[records.Key, float] = {}
        self._working: dict[records.Key, float] = {}
        self._again: set[records.Key] = set()
        self._again_spaced: set[records.Key] = set()
        self._timers: dict[records.Key, _Timer] = {}
        self._failures: dict[records.Key, int] = {}
        self._ended = recent.Recent()
        self._wakeup = asyncio.Event()
        self._oldest_wait = time.monotonic()

    def add(self, key: records.Key) -> None:
        """Ask for a pass as soon as a worker is free."""
        if timer := self._timers.pop(key, None):
            timer.handle.cancel()
        now = time.monotonic()
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            if not self._ready:
                self._oldest_wait = now
            self._waiting[key] = now
            self._ready.append(key)
            self._wakeup.set()
            metrics.queue_depth.labels(_name(key)).inc()
            metrics.queue_adds.labels(_name(key)).inc()

    def add_spaced(self, key: records.Key) -> None:
        """Ask for a pass at once, or a little later if the last one has only just ended.

        Of events that come in bursts, as Pods start, each would otherwise be a pass: a cluster that
        goes up to 1,000 Pods in ten seconds takes 11 instead of 25, and down 16 instead of 40.
        """
        wait = self._ended.last(key) + SPACING_SECONDS - time.monotonic()
        if key in self._working:
            self._again_spaced.add(key)
        elif wait > 0 and key not in self._waiting:
            self.add_after(key, timedelta(seconds=wait))
        else:
            self.add(key)

    def add_after(self, key: records.Key, delay: timedelta) -> None:
        """Ask for a pass after `delay`; a sooner request that stands already wins."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay.total_seconds()
        standing = self._timers.get(key)
        if standing is not None:
            if standing.due <= due:
                return
            standing.handle.cancel()
        self._timers[key] = _Timer(due, loop.call_at(due, self._due, key))

    def add_backed_off(self, key: records.Key, *, at_least_seconds: float = 0.0) -> None:
        """Ask for a pass after a delay that doubles with each failure, with jitter."""
        metrics.queue_retries.labels(_name(key)).inc()
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(FIRST_BACKOFF_SECONDS * 2 ** min(failures, 16), LAST_BACKOFF_SECONDS)
        delay *= random.uniform(0.75, 1.25)
        self.add_after(key, timedelta(seconds=max(delay, at_least_seconds)))

    def succeeded(self, key: records.Key) -> None:
        """Forget the failures of the key."""
        self._failures.pop(key, None)

    def forget(self, key: records.Key) -> None:
        """Drop all that is remembered of a key whose object is gone."""
        self._failures.pop(key, None)
        if timer := self._timers.pop(key, None):
            timer.handle.cancel()

    async def get(self) -> records.Key:
        """Wait for a key and mark it as being worked on; `done` must follow."""
        while not self._ready:
            self._wakeup.clear()
            await self._wakeup.wait()
        key = self._ready.popleft()
        self._oldest_wait = self._working[key] = time.monotonic()
        waited = self._working[key] - self._waiting.pop(key)
        metrics.queue_depth.labels(_name(key)).dec()
        metrics.queue_seconds.labels(_name(key)).observe(waited)
        return key

    def done(self, key: records.Key) -> None:
        """End the work on a key; it is queued again if it was asked for meanwhile."""
        self._ended.note(key)
        worked = time.monotonic() - self._working.pop(key)
        metrics.work_seconds.labels(_name(key)).observe(worked)
        if key in self._again:
            self.add(key)
        elif key in self._again_spaced:
            self.add_spaced(key)
        self._again.discard(key)
        self._again_spaced.discard(key)

    def stalled_for(self) -> timedelta:
        """Tell how long keys have been waiting without any being taken."""
        waited = time.monotonic() - self._oldest_wait if self._ready else 0.0
        return timedelta(seconds=waited)

    def _due(self, key: records.Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def collect(self) -> Iterator[core.Metric]:
        """Tell how long the work in hand takes by now; any thread may ask."""
        now = time.monotonic()
        durations = defaultdict(list)
        for key, since in list(self._working.items()):
            durations[_name(key)].append(now - since)
        total = core.GaugeMetricFamily(
            "workqueue_unfinished_work_seconds",
            "How long the passes that run have run, summed.",
            labels=["name"],
        )
        longest = core.GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds",
            "How long the oldest pass that runs has run.",
            labels=["name"],
        )
        for name, each in durations.items():
            total.add_metric([name], sum(each))
            longest.add_metric([name], max(each))
        yield from (total, longest)


def _name(key: records.Key) -> str:
    """Name the controller, as KubeRay does: one for each kind."""
    return key.kind.lower()
