"""Send requests at a steady rate and tell of each, without ever trying one again.

Runs in a Pod, with nothing but the standard library, since what it takes of the CPUs is missing
elsewhere: `python generator.py URL FAST_PER_SECOND SLOW_PER_SECOND`. Half of the fast ones, and of
the slow, come over connections of their own; the others over ones that are kept open, each for at
most `KEEP_SECONDS`. Prints a line of JSON for each answer.
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

KEEP_SECONDS = 10.0
"""Less than the time that an old cluster stays; whoever keeps one longer is cut off then."""
TIMEOUT_SECONDS = 12.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter, float]


class Target:
    """Where requests go, and connections that are kept open to it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host, self.port = parts.hostname, parts.port or 80
        self.kept: list[Connection] = []

    async def connection(self, *, is_fresh: bool) -> Connection:
        """Return a connection on which nothing is under way."""
        while self.kept and not is_fresh:
            reader, writer, since = self.kept.pop()
            if time.monotonic() - since < KEEP_SECONDS and not reader.at_eof():
                return reader, writer, since
            writer.close()
        reader, writer = await asyncio.open_connection(self.host, self.port)
        return reader, writer, time.monotonic()

    async def get(self, path: str, *, is_fresh: bool) -> tuple[int, str]:
        """Return status and text of the answer."""
        connection = await self.connection(is_fresh=is_fresh)
        reader, writer, _ = connection
        try:
            mode = "close" if is_fresh else "keep-alive"
            lines = (f"GET {path} HTTP/1.1", f"Host: {self.host}", f"Connection: {mode}", "", "")
            writer.write("\r\n".join(lines).encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            text = (await body(reader, head)).decode()
        except BaseException:
            writer.close()
            raise
        if is_fresh:
            writer.close()
        else:
            self.kept.append(connection)
        return int(head.split()[1]), text


async def body(reader: asyncio.StreamReader, head: str) -> bytes:
    """Read an answer's body, in one piece or in chunks."""
    if "transfer-encoding: chunked" not in head:
        length = int(head.partition("content-length:")[2].partition("\r")[0])
        return await reader.readexactly(length)
    found = b""
    while length := int(await reader.readline(), 16):
        found += await reader.readexactly(length)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return found


async def ask(target: Target, path: str, kind: str, *, is_fresh: bool) -> None:
    """Send one request and print what came of it."""
    began, at = time.monotonic(), time.time()
    told: dict[str, object] = {"at": at, "kind": kind, "fresh": is_fresh}
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            status, text = await target.get(path, is_fresh=is_fresh)
        told |= {"status": status, "text": text[:80]}
    except (TimeoutError, OSError, EOFError, ValueError) as error:
        told |= {"status": 0, "text": repr(error)[:200]}
    told["seconds"] = round(time.monotonic() - began, 3)
    print(json.dumps(told), flush=True)


async def at_rate(target: Target, path: str, kind: str, per_second: float) -> None:
    """Send so many a second, whatever becomes of them."""
    number, begun = 0, time.monotonic()
    running: set[asyncio.Task[None]] = set()
    while per_second:
        task = asyncio.create_task(ask(target, path, kind, is_fresh=number % 2 == 0))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
        await asyncio.sleep(max(begun + number / per_second - time.monotonic(), 0))


async def main() -> None:
    """Send both kinds until ended."""
    target, fast, slow = Target(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    await asyncio.gather(at_rate(target, "/", "fast", fast), at_rate(target, "/slow", "slow", slow))


if __name__ == "__main__":
    asyncio.run(main())
