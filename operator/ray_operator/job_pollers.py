"""Tasks that ask Ray heads after the jobs of RayJobs, so that no pass ever waits for one.

Owns: asking, submitting and stopping for the RayJob that wants it, and the newest answers. Does not
own: what is wanted (`rayjob.inquiry`) or what follows. Invariant: a task of one RayJob waits for no
other; nothing is submitted to, or stopped on, another life of Ray than the one that was written
down, but where none was, a job is stopped on whichever answers; time in which nobody asked is not
counted as time without an answer.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from ray_operator import errors, heads, ray_records, records

FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.5, 3.0
"""Between two questions; it grows by a tenth with each."""
URGENT_PAUSE_SECONDS = 0.25
LONGEST_ATTEMPT = timedelta(seconds=30)
"""More time than this between two failures was spent by somebody else."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Poll:
    """One RayJob: what it wants, what was said, and the task that finds out."""

    inquiry: ray_records.JobInquiry
    answer: ray_records.JobAnswer = field(default_factory=ray_records.JobAnswer)
    task: asyncio.Task[None] | None = None
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    pause_seconds: float = FIRST_PAUSE_SECONDS
    tried_at: float | None = None


class JobPollers:
    """Ask heads; `changed` is told of every answer that a pass could care for."""

    def __init__(
        self,
        way: heads.Heads,
        *,
        changed: Callable[[records.Key], None],
        may_write: Callable[[], bool],
    ) -> None:
        self._heads = way
        self._changed = changed
        self._may_write = may_write
        self._polls: dict[records.Key, _Poll] = {}

    def ask(self, key: records.Key, inquiry: ray_records.JobInquiry | None) -> None:
        """Take in what a RayJob wants from now on; never waits."""
        poll = self._polls.get(key)
        if inquiry is None:
            if poll is not None:
                self._forget(key, poll)
            return
        vain, tried_at = ray_records.JobAnswer(), None
        if poll is not None and _is_another(poll.inquiry, inquiry):
            if poll.answer.error and poll.inquiry.job_id == inquiry.job_id:
                # Heads that come and go without a word add up to one silence.
                vain = ray_records.JobAnswer(error=poll.answer.error, in_vain=poll.answer.in_vain)
                tried_at = poll.tried_at
            self._forget(key, poll)
            poll = None
        if poll is None:
            poll = self._polls[key] = _Poll(inquiry, answer=vain, tried_at=tried_at)
        elif poll.inquiry != inquiry:
            poll.pause_seconds = FIRST_PAUSE_SECONDS
            poll.inquiry = inquiry
            poll.wakeup.set()
        if poll.task is None or poll.task.done():
            poll.task = asyncio.create_task(self._follow(key, poll), name=f"job of {key}")

    def answer(self, key: records.Key) -> ray_records.JobAnswer:
        """Return what was said of the RayJob's job."""
        poll = self._polls.get(key)
        return poll.answer if poll else ray_records.JobAnswer()

    async def close(self) -> None:
        """End all tasks and forget all answers."""
        tasks = [poll.task for poll in self._polls.values() if poll.task is not None]
        self._polls.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: records.Key, poll: _Poll) -> None:
        if poll.task is not None:
            poll.task.cancel()
        del self._polls[key]

    async def _follow(self, key: records.Key, poll: _Poll) -> None:
        """Ask again and again, ever more slowly while nothing changes."""
        while True:
            poll.wakeup.clear()
            before, asked_at, started = poll.answer, datetime.now(UTC), time.monotonic()
            try:
                poll.answer = await self._attempt(key, poll.inquiry, asked_at)
                poll.tried_at = None
            except (errors.RayError, errors.KubeError) as error:
                poll.answer = _failed(poll, str(error), started)
                poll.tried_at = time.monotonic()
                if not before.error:
                    _log.warning("%s %s/%s: Ray doesn't answer: %s", *key, error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the RayJob has to hear
                _log.exception("%s %s/%s: internal error", *key)
                poll.answer = _failed(poll, f"internal error: {error!r}", started)
                poll.tried_at = time.monotonic()
            if _facts(before) != _facts(poll.answer):
                poll.pause_seconds = FIRST_PAUSE_SECONDS
                self._changed(key)
            await _pause(poll)

    async def _attempt(
        self, key: records.Key, inquiry: ray_records.JobInquiry, asked_at: datetime
    ) -> ray_records.JobAnswer:
        """Ask once, and do what is wanted of the head if it is the right one."""
        head, refusal, is_stopped = inquiry.head, "", False
        if not head.is_up:
            raise errors.Unreachable("the head's container doesn't run")
        client = await self._heads.dashboard(key.namespace, head)
        session = (await client.version()).session_name
        info = await client.job(inquiry.job_id) if inquiry.job_id else None
        is_noted = bool(inquiry.session) and session == inquiry.session
        if info is None and inquiry.submission is not None and is_noted and self._may_write():
            try:
                await client.submit(inquiry.submission)
                info = await client.job(inquiry.job_id)
            except errors.Refused as error:
                refusal = str(error)
        if inquiry.stops and inquiry.session not in {"", session}:
            is_stopped = True  # what was to be stopped was lost with the head
        elif inquiry.stops and self._may_write():
            if info is not None and info.status not in ray_records.JOB_ENDS:
                await client.stop(inquiry.job_id)
            is_stopped = True
        return ray_records.JobAnswer(
            answered_at=asked_at,
            session=session,
            pod_uid=head.pod_uid,
            info=info,
            refusal=refusal,
            is_stopped=is_stopped,
        )


def _failed(poll: _Poll, error: str, started: float) -> ray_records.JobAnswer:
    """Return the answer after another attempt in vain, with the time that was spent."""
    since = started if poll.tried_at is None else poll.tried_at
    spent = min(timedelta(seconds=time.monotonic() - since), LONGEST_ATTEMPT)
    in_vain = poll.answer.in_vain + spent
    return msgspec.structs.replace(poll.answer, error=error, in_vain=in_vain)


def _is_another(before: ray_records.JobInquiry, now: ray_records.JobInquiry) -> bool:
    """Tell whether what was said before doesn't count any more."""
    return before.job_id != now.job_id or before.head.pod_uid != now.head.pod_uid


def _facts(answer: ray_records.JobAnswer) -> tuple[object, ...]:
    """Return what of an answer could change a decision."""
    is_answered = answer.answered_at is not None
    return (
        is_answered,
        answer.session,
        answer.info,
        bool(answer.error),
        answer.refusal,
        answer.is_stopped,
    )


async def _pause(poll: _Poll) -> None:
    """Sleep until the next question is due, or something else is wanted."""
    seconds = poll.pause_seconds
    poll.pause_seconds = min(seconds * 1.1, LAST_PAUSE_SECONDS)
    if poll.inquiry.is_urgent:
        seconds = URGENT_PAUSE_SECONDS
    # Not `wait_for`, which before Python 3.12 loses a cancellation that comes with the wake-up.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds * random.uniform(0.9, 1.1)):
            await poll.wakeup.wait()
