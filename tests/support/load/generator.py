"""Send requests at a steady rate and tell of each, without ever trying one again.

Runs in a Pod, with nothing but aiohttp: `python generator.py URL FAST_PER_SECOND SLOW_PER_SECOND`.
Half of the fast ones, and of the slow, come over connections of their own; the others over ones
that are kept open, each for at most `KEEP_SECONDS`. Prints a line of JSON for each answer.
"""

import asyncio
import json
import sys
import time

import aiohttp

KEEP_SECONDS = 10.0
"""Less than the time that an old cluster stays; whoever keeps one longer is cut off then."""
TIMEOUT_SECONDS = 12.0


class Kept:
    """A session whose connections are replaced from time to time, when nothing is under way."""

    def __init__(self) -> None:
        self.session = self.opened()
        self.since = time.monotonic()
        self.old: set[asyncio.Task[None]] = set()

    @staticmethod
    def opened() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))

    def current(self) -> aiohttp.ClientSession:
        if time.monotonic() - self.since > KEEP_SECONDS:
            closing = asyncio.create_task(self.retire(self.session))
            self.old.add(closing)
            closing.add_done_callback(self.old.discard)
            self.session, self.since = self.opened(), time.monotonic()
        return self.session

    @staticmethod
    async def retire(session: aiohttp.ClientSession) -> None:
        await asyncio.sleep(TIMEOUT_SECONDS)
        await session.close()


async def ask(kept: Kept, url: str, kind: str, *, is_fresh: bool) -> None:
    began, at = time.monotonic(), time.time()
    session = Kept.opened() if is_fresh else kept.current()
    told: dict[str, object] = {"at": at, "kind": kind, "fresh": is_fresh}
    try:
        async with session.get(url) as response:
            told |= {"status": response.status, "text": (await response.text())[:80]}
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        told |= {"status": 0, "text": repr(error)[:200]}
    finally:
        if is_fresh:
            await session.close()
    told["seconds"] = round(time.monotonic() - began, 3)
    print(json.dumps(told), flush=True)


async def at_rate(kept: Kept, url: str, kind: str, per_second: float) -> None:
    number, begun = 0, time.monotonic()
    running: set[asyncio.Task[None]] = set()
    while per_second:
        task = asyncio.create_task(ask(kept, url, kind, is_fresh=number % 2 == 0))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
        await asyncio.sleep(max(begun + number / per_second - time.monotonic(), 0))


async def main() -> None:
    url, fast, slow = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    kept = Kept()
    await asyncio.gather(
        at_rate(kept, f"{url}/", "fast", fast), at_rate(kept, f"{url}/slow", "slow", slow)
    )


asyncio.run(main())
