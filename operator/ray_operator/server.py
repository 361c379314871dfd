"""The operator's own HTTP endpoints: probes, metrics and the admission webhook.

Owns: `/healthz`, `/readyz`, `/metrics`, the webhook's TLS and the sampling of event loop lag. Does
not own: what health means (predicates are handed in), nor answers of the webhook. Invariant: a slow
or absent API server never fails `/healthz`; it is about this process only.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import prometheus_client
from aiohttp import web

from ray_operator import metrics

LAG_SAMPLE_SECONDS = 1.0
CERTIFICATE_SECONDS = 30.0
"""A renewed certificate is used this much later."""
NOWHERE = "0"
"""Source: controller-runtime, addresses of probes and metrics."""
LARGEST_REVIEW = 8 * 1024**2
"""Bytes; a review holds two objects, each at most as big as an API server takes."""

_log = logging.getLogger(__name__)

Probe = Callable[[], str]
"""Return an empty string when all is well, else what is wrong."""


def _probe(check: Probe) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        wrong = check()
        return web.Response(text=wrong or "ok", status=503 if wrong else 200)

    return answer


async def _metrics(_: web.Request) -> web.Response:
    """Answer a scrape; thousands of resources take their time, so it is a thread's."""
    return web.Response(
        body=await asyncio.to_thread(prometheus_client.generate_latest),
        headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST},
    )


@contextlib.asynccontextmanager
async def serve(
    *, health_address: str, metrics_address: str, is_healthy: Probe, is_ready: Probe
) -> AsyncIterator[None]:
    """Serve until the context ends.

    Addresses are `host:port`, the host may be empty; `0` stands for not at all.
    """
    health, scrape = web.Application(), web.Application()
    health.router.add_get("/healthz", _probe(is_healthy))
    health.router.add_get("/readyz", _probe(is_ready))
    scrape.router.add_get("/metrics", _metrics)
    async with contextlib.AsyncExitStack() as stack:
        for app, address in ((health, health_address), (scrape, metrics_address)):
            if address == NOWHERE:
                continue
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            host, _, port = address.rpartition(":")
            await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()
        yield


@contextlib.asynccontextmanager
async def serve_admission(
    *,
    address: str,
    certificates: Path,
    paths: Iterable[str],
    review: Callable[[bytes], dict[str, Any]],
) -> AsyncIterator[None]:
    """Serve the webhook until the context ends; `certificates` holds tls.crt and tls.key.

    Raises:
        OSError: there is no readable certificate.
    """

    async def answer(request: web.Request) -> web.Response:
        try:
            return web.json_response(review(await request.read()))
        except ValueError as error:
            _log.warning("not understood at %s: %s", request.path, error)
            return web.Response(text=str(error), status=400)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
    app = web.Application(client_max_size=LARGEST_REVIEW)
    for path in paths:
        app.router.add_post(path, answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    reloading = asyncio.create_task(_reload(context, certificates))
    try:
        host, _, port = address.rpartition(":")
        await web.TCPSite(runner, host.strip("[]") or None, int(port), ssl_context=context).start()
        yield
    finally:
        reloading.cancel()
        await runner.cleanup()


async def _reload(context: ssl.SSLContext, certificates: Path) -> None:
    """Take a renewed certificate into use until cancelled."""
    seen = (certificates / "tls.crt").stat().st_mtime_ns
    while True:
        await asyncio.sleep(CERTIFICATE_SECONDS)
        try:
            now = (certificates / "tls.crt").stat().st_mtime_ns
            if now != seen:
                context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
                seen = now
        except (OSError, ssl.SSLError) as error:  # half written; the next look finds it whole
            _log.warning("can't read the webhook's certificate: %s", error)


async def sample_lag() -> None:
    """Measure until cancelled how late the event loop wakes a sleeper."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_SAMPLE_SECONDS
        await asyncio.sleep(LAG_SAMPLE_SECONDS)
        metrics.loop_lag_seconds.set(max(loop.time() - due, 0.0))
