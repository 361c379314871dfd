"""The operator's own HTTP endpoints: probes and metrics.

Owns: `/healthz`, `/readyz`, `/metrics` and the sampling of event loop lag. Does not own: what
health means (predicates are handed in). Invariant: a slow or absent API server never fails
`/healthz`; it is about this process only.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import prometheus_client
from aiohttp import web

from ray_operator import metrics

LAG_SAMPLE_SECONDS = 1.0

Probe = Callable[[], str]
"""Return an empty string when all is well, else what is wrong."""


def _probe(check: Probe) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        wrong = check()
        return web.Response(text=wrong or "ok", status=503 if wrong else 200)

    return answer


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(
        body=prometheus_client.generate_latest(),
        headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST},
    )


@contextlib.asynccontextmanager
async def serve(
    *, health_address: str, metrics_address: str, is_healthy: Probe, is_ready: Probe
) -> AsyncIterator[None]:
    """Serve until the context ends. Addresses are `host:port`, the host may be empty."""
    health, scrape = web.Application(), web.Application()
    health.router.add_get("/healthz", _probe(is_healthy))
    health.router.add_get("/readyz", _probe(is_ready))
    scrape.router.add_get("/metrics", _metrics)
    async with contextlib.AsyncExitStack() as stack:
        for app, address in ((health, health_address), (scrape, metrics_address)):
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            host, _, port = address.rpartition(":")
            await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()
        yield


async def sample_lag() -> None:
    """Measure until cancelled how late the event loop wakes a sleeper."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_SAMPLE_SECONDS
        await asyncio.sleep(LAG_SAMPLE_SECONDS)
        metrics.loop_lag_seconds.set(max(loop.time() - due, 0.0))
