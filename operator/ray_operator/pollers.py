"""Tasks that ask Ray heads, so that no pass over a cluster ever waits for one.

Owns: asking each head for what its cluster wants, draining, the newest answers, and how to deal
with heads that don't answer. Does not own: what is wanted (`raycluster.inquiry`), scaling by an
answer (`scaling`) or what else follows from it. Invariant: a task of one head waits for no other; a
cluster that wants nothing has no task and no connection; nodes are drained only while this process
may write.

What a head said is kept only as long as it is kept new, the version as long as the head Pod lives.
A task for each head was chosen over a pool, in which dead heads would take the places of others.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import msgspec

from ray_operator import drains, errors, gcs, heads, ray_records, records, scaling_records

STATE_PERIOD_SECONDS = 1.0
"""The GCS hears of its nodes' loads no more often."""
IDLE_PERIOD_SECONDS = 5.0
"""Where it only matters whether anything goes on at all."""
DRIVERS_PERIOD_SECONDS = 30.0
"""What drivers need shows as demand; that there are some only keeps the operator awake."""
PATIENCE = timedelta(seconds=3)
"""A scale-down waits this long for a head that doesn't answer."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
"""Between attempts at a head that doesn't answer."""
LONGEST_VERSION_PAUSE_SECONDS = 600.0
"""A head that runs for an hour without a dashboard hardly gets one in the next minute."""
BEGINNINGS_PER_SECOND = 200
"""An operator that starts meets all heads at once."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Poll:
    """One cluster: what it wants, what was said, and the tasks that find out."""

    inquiry: ray_records.Inquiry
    answer: ray_records.RayAnswer = field(default_factory=ray_records.RayAnswer)
    learned: tuple[str, int] = ("", 0)
    version: asyncio.Task[None] | None = None
    state: asyncio.Task[None] | None = None
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: drains.Drains = field(default_factory=drains.Drains)
    drivers: scaling_records.Drivers | None = None
    drivers_at: float = 0.0


class Scaler(Protocol):
    """Who scales a cluster by what its GCS says."""

    async def look(
        self,
        key: records.Key,
        client: gcs.Gcs,
        state: ray_records.ResourceState,
        drivers: scaling_records.Drivers | None,
        /,
    ) -> timedelta:
        """Act on an answer; return when to ask again."""

    def forget(self, key: records.Key, /) -> None:
        """Drop what is remembered of a cluster that isn't scaled, or not any more."""

    def miss(self, key: records.Key, error: str, /) -> None:
        """Take in that there was no answer."""


class Pollers:
    """Ask heads; `changed` is told of every answer that a pass could care for."""

    def __init__(
        self,
        way: heads.Heads,
        *,
        scaler: Scaler,
        changed: Callable[[records.Key], None],
        may_write: Callable[[], bool],
    ) -> None:
        self._heads = way
        self._scaler = scaler
        self._changed = changed
        self._may_write = may_write
        self._polls: dict[records.Key, _Poll] = {}
        self._beginning = 0

    def ask(self, key: records.Key, inquiry: ray_records.Inquiry | None) -> None:
        """Take in what a cluster wants from now on; never waits."""
        if inquiry is None or not inquiry.is_scaled:
            self._scaler.forget(key)
        poll = self._polls.get(key)
        if inquiry is None:
            if poll is not None:
                _stop(poll.version, poll.state)
                del self._polls[key]
            return
        if poll is None:
            poll = self._polls[key] = _Poll(inquiry)
        if poll.inquiry.head != inquiry.head:
            _stop(poll.version, poll.state)
            poll.version = poll.state = poll.drivers = None
            is_same_pod = poll.inquiry.head.pod_uid == inquiry.head.pod_uid
            poll.answer = ray_records.RayAnswer(version=poll.answer.version if is_same_pod else "")
        if inquiry.drains != poll.inquiry.drains:
            poll.wakeup.set()
        poll.inquiry = inquiry
        self._start(key, poll)

    def answer(self, key: records.Key) -> ray_records.RayAnswer:
        """Return what the cluster's head has said."""
        poll = self._polls.get(key)
        return poll.answer if poll else ray_records.RayAnswer()

    async def close(self) -> None:
        """End all tasks and forget all answers."""
        tasks = [
            task for poll in self._polls.values() for task in (poll.version, poll.state) if task
        ]
        self._polls.clear()
        _stop(*tasks)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: records.Key, poll: _Poll) -> None:
        """Have the tasks that the inquiry needs, and no other."""
        head = poll.inquiry.head
        has_dashboard = head.is_up and head.dashboard_port
        if has_dashboard and poll.learned != (head.pod_uid, head.restarts) and _idle(poll.version):
            poll.version = _task(self._learn_version(key, poll), f"version of {key}")
        if head.is_up and poll.inquiry.wants_state:
            if _idle(poll.state):
                poll.state = _task(self._follow_state(key, poll), f"state of {key}")
        elif poll.state is not None:
            _stop(poll.state)
            poll.state = None
            poll.answer = ray_records.RayAnswer(version=poll.answer.version)

    async def _learn_version(self, key: records.Key, poll: _Poll) -> None:
        """Ask until the dashboard says it; ever more slowly, as long as a third of it took."""
        head = poll.inquiry.head
        await self._begin()
        started = time.monotonic()
        while (version := await self._version(key, head)) is None:
            waited = time.monotonic() - started
            await _pause(min(FIRST_PAUSE_SECONDS + waited / 3, LONGEST_VERSION_PAUSE_SECONDS))
        poll.learned = (head.pod_uid, head.restarts)
        if version != poll.answer.version:
            poll.answer = msgspec.structs.replace(poll.answer, version=version)
            if version != poll.inquiry.expected:
                self._changed(key)

    async def _begin(self) -> None:
        """Wait for a turn among all who begin now; one alone has it at once."""
        self._beginning += 1
        try:
            await asyncio.sleep(random.uniform(0, (self._beginning - 1) / BEGINNINGS_PER_SECOND))
        finally:
            self._beginning -= 1

    async def _version(self, key: records.Key, head: ray_records.RayHead) -> str | None:
        try:
            client = await self._heads.dashboard(key.namespace, head)
            return (await client.version()).ray_version
        except (errors.RayError, errors.KubeError) as error:
            _log.debug("%s %s/%s: version of Ray: %s", *key, error)
            return None

    async def _follow_state(self, key: records.Key, poll: _Poll) -> None:
        """Keep the state of Ray's nodes new, drain those that shall leave, and scale."""
        head, failures = poll.inquiry.head, 0
        client: gcs.Gcs | None = None
        await self._begin()
        try:
            while True:
                poll.wakeup.clear()
                try:
                    if client is None:
                        token = await self._heads.token(key.namespace, head)
                        client = gcs.Gcs(head.host, head.gcs_port, token=token)
                    pause = await self._look(key, client, poll)
                except errors.NotLeading:
                    pause = FIRST_PAUSE_SECONDS  # until the lease is renewed after all
                except Exception as error:  # noqa: BLE001 - whatever it is, the task has to live
                    if client is not None and isinstance(error, errors.Rejected):
                        await client.close()  # the token may be another by now
                        client = None
                    failures += 1
                    self._failed(key, poll, error, failures)
                    await _pause(_back_off(failures))
                    continue
                failures = 0
                await _pause(pause, poll.wakeup)
        finally:
            if client is not None:
                await client.close()

    async def _look(self, key: records.Key, client: gcs.Gcs, poll: _Poll) -> float:
        """Ask once, and act on the answer; return when to ask again, in seconds."""
        state = await client.resource_state(within=PATIENCE)
        if self._may_write() and await poll.leaving.tell(client, poll.inquiry.drains, state):
            state = await client.resource_state(within=PATIENCE)
        drivers = await _drivers(client, poll)
        pause = await self._scale(key, client, poll, state, drivers)
        self._said(key, poll, state=state, drivers=drivers)
        return pause

    def _failed(self, key: records.Key, poll: _Poll, error: Exception, failures: int) -> None:
        """Say that there is no answer; what isn't Ray's or Kubernetes' fault is ours."""
        is_known = isinstance(error, errors.RayError | errors.KubeError)
        text = str(error) if is_known else f"internal error: {error!r}"
        if not is_known:
            _log.error("%s %s/%s: internal error", *key, exc_info=error)
        elif failures == 1:
            _log.warning("%s %s/%s: Ray doesn't answer: %s", *key, error)
        self._said(key, poll, error=text)

    async def _scale(
        self,
        key: records.Key,
        client: gcs.Gcs,
        poll: _Poll,
        state: ray_records.ResourceState,
        drivers: scaling_records.Drivers | None,
    ) -> float:
        """Scale the cluster if it is ours to scale; return when to ask again, in seconds."""
        pause = STATE_PERIOD_SECONDS if poll.inquiry.asks_state else IDLE_PERIOD_SECONDS
        if not poll.inquiry.is_scaled:
            return pause
        found = (await self._scaler.look(key, client, state, drivers)).total_seconds()
        return min(found, pause) if poll.inquiry.asks_state else found

    def _said(
        self,
        key: records.Key,
        poll: _Poll,
        *,
        state: ray_records.ResourceState | None = None,
        drivers: scaling_records.Drivers | None = None,
        error: str = "",
    ) -> None:
        """Keep the answer; tell of it if it is of another kind, or nodes come closer to leaving."""
        if error and poll.inquiry.is_scaled:
            self._scaler.miss(key, error)
        before, drains = poll.answer, poll.inquiry.drains
        poll.answer = ray_records.RayAnswer(
            version=before.version, state=state, drivers=drivers, error=error
        )
        if _facts(before, drains) != _facts(poll.answer, drains):
            self._changed(key)


def _facts(
    answer: ray_records.RayAnswer, drains: Iterable[ray_records.Drain]
) -> tuple[object, ...]:
    """Return what of an answer could change a decision about the Pods that go, or all of them."""
    if answer.state is None:
        return (None, bool(answer.error))
    lives = (answer.state.life_of(drain.pod) for drain in drains)
    left = answer.drivers.last_ended_ms if answer.drivers else 0
    return (answer.is_idle(), left, *(life.status if life else None for life in lives))


async def _drivers(client: gcs.Gcs, poll: _Poll) -> scaling_records.Drivers | None:
    """Count the drivers, now and then, where somebody wants to know; None while nobody knows."""
    if not (poll.inquiry.is_scaled or poll.inquiry.asks_drivers):
        return None
    now = time.monotonic()
    if poll.drivers is None or now - poll.drivers_at > DRIVERS_PERIOD_SECONDS:
        poll.drivers_at = now
        try:
            poll.drivers = await client.drivers()
        except errors.RayError as error:
            poll.drivers = None
            _log.debug("drivers: %s", error)
    return poll.drivers


def _back_off(failures: int) -> float:
    return min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE_SECONDS)


async def _pause(seconds: float, wakeup: asyncio.Event | None = None) -> None:
    """Sleep about so long, or until `wakeup`."""
    seconds *= random.uniform(0.9, 1.1)
    if wakeup is None:
        await asyncio.sleep(seconds)
        return
    # Not `wait_for`, which before Python 3.12 loses a cancellation that comes with the wake-up.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wakeup.wait()


def _task(work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell_failure)
    return task


def _tell_failure(task: asyncio.Task[None]) -> None:
    """Log what shouldn't happen; the next pass starts the task anew."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("%s: internal error", task.get_name(), exc_info=error)


def _idle(task: asyncio.Task[None] | None) -> bool:
    return task is None or task.done()


def _stop(*tasks: asyncio.Task[None] | None) -> None:
    for task in tasks:
        if task is not None:
            task.cancel()
