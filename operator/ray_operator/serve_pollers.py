"""Tasks that ask clusters of RayServices after Serve, so that no pass ever waits for one.

Owns: asking, deploying the configuration that is wanted, looking at the head's proxy, and the
newest answers. Does not own: what is wanted (`rayservice.inquiry`) or what follows. Invariant: a
task of one cluster waits for no other; a configuration is sent again only when Ray lacks it; a
cluster at peace is asked less than once in two seconds.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from ray_operator import dashboard, errors, heads, records, serve_records

FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.5, 2.0
"""Between two questions while something is about to change; it grows by a tenth with each."""
STEADY_PAUSE_SECONDS = 4.0
STEADY_ROUNDS = 3
"""In peace the proxy is looked at in each round, the applications only in one of so many."""
DOUBT_PAUSE_SECONDS = 1.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 2.0, 30.0
"""Between two tries to deploy one configuration."""
_log = logging.getLogger(__name__)
UNKNOWN = "?"
"""Stands for the digest of a configuration that Ray may or may not have taken."""
_NOTHING: Mapping[str, serve_records.ServeAnswer] = {}


@dataclass(slots=True)
class _Poll:
    """One cluster: what is wanted of it, what was said, and the task that finds out."""

    inquiry: serve_records.ServeInquiry
    answer: serve_records.ServeAnswer = field(default_factory=serve_records.ServeAnswer)
    task: asyncio.Task[None] | None = None
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    pause_seconds: float = FIRST_PAUSE_SECONDS
    rounds: int = 0
    retry_seconds: float = FIRST_RETRY_SECONDS
    retry_at: float = 0.0
    is_doubted: bool = False


class ServePollers:
    """Ask clusters; `changed` is told of every answer that a pass could care for."""

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
        self._polls: dict[records.Key, dict[str, _Poll]] = {}

    def ask(
        self, key: records.Key, inquiries: Mapping[str, serve_records.ServeInquiry] | None
    ) -> None:
        """Take in what a RayService wants of its clusters, by name, from now on; never waits."""
        polls = self._polls.setdefault(key, {})
        for name in polls.keys() - (inquiries or {}).keys():
            _cancel(polls.pop(name))
        for name, inquiry in (inquiries or {}).items():
            poll = polls.get(name)
            if poll is None:
                poll = polls[name] = _Poll(inquiry)
            elif poll.inquiry != inquiry:
                self._take_in(poll, inquiry)
            if poll.task is None or poll.task.done():
                poll.task = asyncio.create_task(
                    self._follow(key, poll), name=f"Serve of {key}, {name}"
                )
        if not polls:
            del self._polls[key]

    def answers(self, key: records.Key) -> Mapping[str, serve_records.ServeAnswer]:
        """Return what was said by each of the RayService's clusters, by name."""
        polls = self._polls.get(key)
        return {name: poll.answer for name, poll in polls.items()} if polls else _NOTHING

    async def close(self) -> None:
        """End all tasks and forget all answers."""
        polls = [poll for found in self._polls.values() for poll in found.values()]
        self._polls.clear()
        for poll in polls:
            _cancel(poll)
        tasks = [poll.task for poll in polls if poll.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take_in(self, poll: _Poll, inquiry: serve_records.ServeInquiry) -> None:
        """Forget what doesn't hold any more of another head, or another configuration."""
        before, poll.inquiry = poll.inquiry, inquiry
        if inquiry.digest != before.digest:
            poll.retry_at, poll.retry_seconds = 0.0, FIRST_RETRY_SECONDS
            poll.answer = msgspec.structs.replace(poll.answer, running_since=None, refusal="")
        if inquiry.head != before.head:
            poll.retry_at, poll.retry_seconds = 0.0, FIRST_RETRY_SECONDS
            poll.answer = msgspec.structs.replace(
                poll.answer, running_since=None, head_proxy=None, error=""
            )
        poll.pause_seconds, poll.rounds = FIRST_PAUSE_SECONDS, 0
        poll.wakeup.set()

    async def _follow(self, key: records.Key, poll: _Poll) -> None:
        """Ask again and again, slowly while all is well."""
        while True:
            poll.wakeup.clear()
            before = poll.answer
            inquiry = poll.inquiry
            found = await asyncio.gather(
                self._ask_head(key, poll, inquiry), self._look_at_proxy(key, poll, inquiry)
            )
            if poll.inquiry is not inquiry:
                # It is of a head, or configuration, of before; but what Ray has taken, it has.
                poll.answer = msgspec.structs.replace(poll.answer, applied=found[0].applied)
                continue
            poll.answer = msgspec.structs.replace(found[0], head_proxy=found[1])
            if poll.answer.error and not before.error:
                _log.info("%s %s/%s: Serve doesn't answer: %s", *key, poll.answer.error)
            if _facts(before) != _facts(poll.answer):
                poll.pause_seconds = FIRST_PAUSE_SECONDS
                self._changed(key)
            await _pause(poll)

    async def _ask_head(
        self, key: records.Key, poll: _Poll, inquiry: serve_records.ServeInquiry
    ) -> serve_records.ServeAnswer:
        """Ask for the applications, unless there is peace, and deploy what is lacking."""
        answer = poll.answer
        poll.rounds += 1
        if _is_at_peace(poll) and poll.rounds % STEADY_ROUNDS:
            return answer
        now = datetime.now(UTC)
        try:
            if not inquiry.head.is_up:
                raise errors.Unreachable("the head's container doesn't run")
            return await self._attempt(key, poll, inquiry, now)
        except (errors.RayError, errors.KubeError) as error:
            text = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the RayService has to hear
            _log.exception("%s %s/%s: internal error", *key)
            text = f"internal error: {error!r}"
        since = answer.unanswered_since or now.replace(microsecond=0)
        return msgspec.structs.replace(
            answer, error=text, unanswered_since=since, running_since=None
        )

    async def _attempt(
        self,
        key: records.Key,
        poll: _Poll,
        inquiry: serve_records.ServeInquiry,
        now: datetime,
    ) -> serve_records.ServeAnswer:
        client = await self._heads.dashboard(key.namespace, inquiry.head)
        state = await client.serve()
        answer = poll.answer
        applied, refusal = answer.applied or inquiry.applied, answer.refusal
        lacks = applied != inquiry.digest or inquiry.applications - state.applications.keys()
        if inquiry.config is not None and lacks:
            is_due = time.monotonic() >= poll.retry_at and poll.inquiry is inquiry
            if is_due and self._may_write():
                applied, refusal = await _deploy(client, poll, inquiry)
            runs = False  # what was said before doesn't count
        else:
            runs = bool(state.applications) and all(
                each.status == serve_records.RUNNING for each in state.applications.values()
            )
        return serve_records.ServeAnswer(
            state=state,
            applied=applied,
            running_since=(answer.running_since or now) if runs else None,
            refusal=refusal,
            head_proxy=answer.head_proxy,
        )

    async def _look_at_proxy(
        self, key: records.Key, poll: _Poll, inquiry: serve_records.ServeInquiry
    ) -> serve_records.Proxy | None:
        """Tell whether the head takes requests; a single bad answer is doubted first."""
        known = poll.answer.head_proxy
        if not inquiry.port or not inquiry.head.is_up:
            return serve_records.Proxy.REFUSES
        why = "it says so"
        try:
            client = self._heads.proxy(
                key.namespace, pod=inquiry.pod, ip=inquiry.ip, port=inquiry.port
            )
            is_well = await client.takes_requests()
            found = serve_records.Proxy.SERVES if is_well else serve_records.Proxy.REFUSES
        except errors.Slow as error:
            found, why = serve_records.Proxy.SLOW, str(error)
        except errors.RayError as error:
            found, why = serve_records.Proxy.REFUSES, str(error)
        except Exception:  # noqa: BLE001 - the task must live, and look again
            _log.exception("%s %s/%s: internal error", *key)
            return known
        is_worse = found is not serve_records.Proxy.SERVES and found is not known
        if is_worse and not poll.is_doubted:
            poll.is_doubted = True
            return known
        poll.is_doubted = False
        if is_worse:
            _log.info("%s %s/%s: the head's Serve proxy %s: %s", *key, found.value, why)
        return found


async def _deploy(
    client: dashboard.Dashboard, poll: _Poll, inquiry: serve_records.ServeInquiry
) -> tuple[str, str]:
    """Send the configuration; return the digest of what Ray has then, and why it isn't that one.

    Why it isn't the first time is left open: a head that starts answers before all of it is up.
    """
    assert inquiry.config is not None
    is_again = poll.retry_seconds > FIRST_RETRY_SECONDS
    poll.retry_at = time.monotonic() + poll.retry_seconds
    poll.retry_seconds = min(2 * poll.retry_seconds, LAST_RETRY_SECONDS)
    # Until it is answered, nobody knows; whoever is cut off meanwhile has to send it again.
    poll.answer = msgspec.structs.replace(poll.answer, applied=UNKNOWN)
    try:
        await client.deploy(inquiry.config)
    except errors.Refused as error:
        return UNKNOWN, str(error)
    except errors.RayError as error:
        return UNKNOWN, f"Ray doesn't take the configuration: {error}" if is_again else ""
    return inquiry.digest, ""


def _is_at_peace(poll: _Poll) -> bool:
    answer = poll.answer
    is_well = answer.running_since is not None and not answer.error and not answer.refusal
    return poll.inquiry.is_steady and is_well


def _facts(answer: serve_records.ServeAnswer) -> tuple[object, ...]:
    """Return what of an answer could change a decision, or a status."""
    return (
        answer.state,
        answer.applied,
        answer.running_since is None,
        answer.refusal,
        bool(answer.error),
        answer.head_proxy,
    )


def _cancel(poll: _Poll) -> None:
    if poll.task is not None:
        poll.task.cancel()


async def _pause(poll: _Poll) -> None:
    """Sleep until the next question is due, or something else is wanted."""
    seconds = poll.pause_seconds
    poll.pause_seconds = min(seconds * 1.1, LAST_PAUSE_SECONDS)
    if poll.is_doubted:
        seconds = DOUBT_PAUSE_SECONDS
    elif _is_at_peace(poll):
        seconds = STEADY_PAUSE_SECONDS
    # Not `wait_for`, which before Python 3.12 loses a cancellation that comes with the wake-up.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds * random.uniform(0.9, 1.1)):
            await poll.wakeup.wait()
