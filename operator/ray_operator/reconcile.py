"""The one loop, the same for every kind: observe, plan, apply, status, requeue.

Owns: the order of a pass, the retry policy and events. Does not own: writing statuses (`statuses`),
or anything that differs between kinds (a `Kind` is handed in). Invariant: a pass depends on nothing
but the stores, so it may end anywhere and start again.
"""

import asyncio
import contextlib
import functools
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from ray_operator import (
    actions,
    apply,
    errors,
    events,
    kube,
    metrics,
    records,
    resources,
    settings,
    statuses,
    wire,
    workqueue,
)

SLOW_PASS = timedelta(minutes=3)
"""A pass that takes longer hangs: every request in it has a time-out of its own."""

JITTER = 1.2

_log = logging.getLogger(__name__)

R = TypeVar("R")
O = TypeVar("O")  # noqa: E741 - the Observed of a kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[R, O]):
    """All that the loop must know of a kind.

    Attributes:
        refresh: make the children of the key true to the server's newest state.
        look_up: read what the resource depends on and doesn't own, for `observe`.
        inquire: what is wanted of Ray after a pass that decided so then; None wants nothing.
        ask: take in what a key wants of Ray from now on; doesn't wait for it.
        next_status: the whole next status; None leaves the status alone.
        news: the events that a change to this status is worth.
        goes_on: tell whether a status that was written asks for another pass at once.
        follows: when the status was last written that this one only carries on, `conditions.NEVER`
            when none was yet; None for news.
    """

    resource: records.Resource
    decode: Callable[[bytes], R]
    refresh: Callable[[records.Key], Awaitable[None]]
    look_up: Callable[[R], Awaitable[Any]]
    observe: Callable[[R, Any], O]
    plan: Callable[[R, O, settings.Settings, datetime], actions.Plan]
    inquire: Callable[[R, O, actions.Plan, datetime], Any]
    ask: Callable[[records.Key, Any], None]
    next_status: Callable[[R, O, actions.Outcome, datetime], Mapping[str, Any] | None]
    news: Callable[[R, Mapping[str, Any]], Sequence[actions.Event]] = lambda _, __: ()
    goes_on: Callable[[R, Mapping[str, Any]], bool] = lambda _, __: False
    follows: Callable[[R, Mapping[str, Any]], datetime | None] = lambda *_: None


class Reconciler:
    """Work keys off the queue, `concurrency` at a time."""

    def __init__(
        self,
        client: kube.Kube,
        *,
        kinds: Mapping[str, Kind[Any, Any]],
        store: resources.Resources,
        queue: workqueue.WorkQueue,
        applier: apply.Applier,
        options: settings.Settings,
        concurrency: int,
        may_write: Callable[[], bool],
        storable: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] = lambda _, status: status,
    ) -> None:
        """`storable` leaves out of a kind's status what the served CRD doesn't know."""
        self._client = client
        self._kinds = kinds
        self._store = store
        self._queue = queue
        self._statuses = statuses.Statuses(
            client, store=store, queue=queue, may_write=may_write, storable=storable
        )
        self._applier = applier
        self._settings = options
        self._concurrency = concurrency
        self._may_write = may_write
        self._distrusted: set[records.Key] = set()
        self._running: dict[records.Key, float] = {}
        self._draining = False
        self._idle = asyncio.Event()
        self._working_since = math.inf

    async def run(self) -> None:
        """Work until cancelled. Every known key gets a pass first."""
        for kind in self._kinds:
            # An alert on a rate needs a counter that is there before the first failure.
            metrics.reconcile_errors.labels(kind.lower())
            metrics.most_workers.labels(kind.lower()).set(self._concurrency)
        for key in self._store.known():
            self._queue.add(key)
        self._working_since = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(self._work())
            await asyncio.Event().wait()  # drained: nothing is left but to be cancelled
        finally:
            self._working_since = math.inf

    async def rehearse(self) -> int:
        """Make one pass over every known key, and follow nothing up; return how many."""
        keys = self._store.known()
        for key in sorted(keys):
            await self._pass(key)
        return len(keys)

    async def drain(self, timeout: timedelta) -> None:
        """Take no more keys and wait for the passes that run, at most that long."""
        self._draining = True
        self._idle.clear()
        if self._running:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), timeout.total_seconds())

    def is_stuck(self) -> bool:
        """Tell whether a pass hangs, or keys wait and no worker takes them."""
        now, limit = time.monotonic(), SLOW_PASS.total_seconds()
        oldest = min(self._running.values(), default=now)
        stalled = min(self._queue.stalled_for().total_seconds(), now - self._working_since)
        return now - oldest > limit or stalled > limit

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            if self._draining:
                self._queue.done(key)
                return
            started = self._running[key] = time.monotonic()
            metrics.active_workers.labels(key.kind.lower()).inc()
            try:
                result = await self._pass(key)
            except errors.NotLeading:  # for good, or until the lease is renewed after all
                self._queue.add_backed_off(key)
                result = "error"
            except Exception as error:  # noqa: BLE001 - the worker boundary: the rest must go on
                _log.exception("%s %s/%s: internal error", *key)
                self._queue.add_backed_off(key)
                await self._statuses.report(key, self._kinds[key.kind].resource, error)
                result = "error"
            finally:
                metrics.active_workers.labels(key.kind.lower()).dec()
                del self._running[key]
                if not self._running:
                    self._idle.set()
                self._queue.done(key)
            controller = key.kind.lower()
            metrics.reconcile_seconds.labels(controller).observe(time.monotonic() - started)
            metrics.reconciles.labels(controller, result).inc()
            if result == "error":
                metrics.reconcile_errors.labels(controller).inc()
            # A pass that has nothing to write never waits: at a start with 5,000 clusters they held
            # the event loop for ten seconds, and with it probes and the renewal of the lease.
            await asyncio.sleep(0)

    async def _pass(self, key: records.Key) -> str:
        data = self._store.get(key)
        if data is None:
            self._queue.forget(key)
            self._statuses.forget(key)
            self._kinds[key.kind].ask(key, None)
            self._distrusted.discard(key)
            return "success"
        kind = self._kinds[key.kind]
        try:
            if key in self._distrusted:
                await kind.refresh(key)
                self._distrusted.discard(key)
            resource = kind.decode(data)
            now = datetime.now(UTC)
            around = await kind.look_up(resource)
            observed = kind.observe(resource, around)
            plan = actions.bounded(kind.plan(resource, observed, self._settings, now))
            kind.ask(key, kind.inquire(resource, observed, plan, now))
            if self._replaces(key, plan, data) and not await self._is_alive(key, kind, data):
                return "success"
            outcome = await self._applier.apply(plan)
            done = actions.events(outcome)
            try:
                # Events of the plan are told until the status says so.
                may_wait = not plan.events and not outcome.failures
                written = await self._statuses.write(
                    key,
                    kind.resource,
                    data,
                    kind.next_status(
                        resource, kind.observe(resource, around), outcome, datetime.now(UTC)
                    ),
                    follows=functools.partial(kind.follows, resource) if may_wait else None,
                )
            except errors.KubeError:
                await self._tell(key, data, [each for each in done if each.type == "Normal"])
                raise
            # What fails again and again is news once, when the status says it.
            news = [each for each in done if written is not None or each.type == "Normal"]
            changes = kind.news(resource, written) if written is not None else ()
            await self._tell(key, data, [*plan.events, *news, *changes])
        except errors.KubeError as error:
            return self._retry(key, [error])
        if outcome.failures:
            return self._retry(key, [each.error for each in outcome.failures if each.error])
        self._queue.succeeded(key)
        again = self._revisit() if plan.requeue_after is None else plan.requeue_after
        if written is not None and kind.goes_on(resource, written):
            again = timedelta()
        self._queue.add_after(key, again)
        return "success" if plan.requeue_after is None else "requeue_after"

    def _revisit(self) -> timedelta:
        """Return when to come back to what nothing wakes: not to all of it at once."""
        return self._settings.revisit * random.uniform(1, JITTER)

    def _replaces(self, key: records.Key, plan: actions.Plan, data: bytes) -> bool:
        """Tell whether the plan creates children of a resource that had some before, and stays."""
        if not any(map(actions.makes, plan.actions)):
            return False
        envelope = msgspec.json.decode(data, type=statuses.Envelope)
        had_some = bool(envelope.status) or self._statuses.waits(key)
        return had_some and "deletionTimestamp" not in envelope.metadata

    async def _is_alive(self, key: records.Key, kind: Kind[R, O], data: bytes) -> bool:
        """Ask the API server whether the resource is still there.

        The garbage collector's deletes of children can be seen before the delete of their owner,
        and would otherwise be answered by making them anew.
        """
        found = await self._client.get(kind.resource, key.namespace, key.name)
        uid = msgspec.json.decode(data, type=wire.Stub).metadata.uid
        if found is None:
            self._store.drop(key, uid)
            return False
        self._store.put(key, msgspec.json.decode(found))
        metadata = msgspec.json.decode(found, type=wire.Stub).metadata
        return metadata.uid == uid and metadata.deletion_timestamp is None

    def _retry(self, key: records.Key, found: Sequence[errors.KubeError]) -> str:
        """Apply the one retry policy: back off, and look at the truth if an outcome is open."""
        for message in dict.fromkeys(error.message for error in found):
            _log.warning("%s %s/%s: %s", *key, message)
        unavailable = [error for error in found if isinstance(error, errors.Unavailable)]
        if unavailable:
            self._distrusted.add(key)
        after = max((error.retry_after_seconds or 0.0 for error in unavailable), default=0.0)
        self._queue.add_backed_off(key, at_least_seconds=after)
        return "error"

    async def _tell(self, key: records.Key, data: bytes, told: Sequence[actions.Event]) -> None:
        if not told:
            return
        metadata = msgspec.json.decode(data, type=statuses.Envelope).metadata
        regarding = events.regarding(self._kinds[key.kind].resource, metadata)
        for event in told:
            if not self._may_write():
                raise errors.NotLeading
            await events.post(self._client, regarding, event, now=datetime.now(UTC))
