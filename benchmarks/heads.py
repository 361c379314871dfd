"""What stands for the dashboards of heads that are no Ray: one server answers for all.

Owns: the answers that the operator asks for. Does not own: heads that never answer (their address
is in `control_plane`). Invariant: a job that was submitted runs until it is stopped.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from ray_operator.raycluster import rayparams
from tests.support.rulebook import example

RAY = example.CLUSTER["rayVersion"]


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """Answer at all addresses of this network namespace that are nobody else's."""
    jobs: dict[str, str] = {}

    async def version(_: web.Request) -> web.Response:
        return web.json_response({"ray_version": RAY, "session_name": "benchmark"})

    async def submit(request: web.Request) -> web.Response:
        job = (await request.json())["submission_id"]
        jobs[job] = "RUNNING"
        return web.json_response({"submission_id": job})

    async def tell(request: web.Request) -> web.Response:
        job = request.match_info["job"]
        if job not in jobs:
            return web.Response(status=404, text=f"Job {job} does not exist")
        return web.json_response({"status": jobs[job], "submission_id": job})

    async def stop(request: web.Request) -> web.Response:
        jobs[request.match_info["job"]] = "STOPPED"
        return web.json_response({"stopped": True})

    app = web.Application()
    app.router.add_get("/api/version", version)
    app.router.add_post("/api/jobs/", submit)
    app.router.add_get("/api/jobs/{job}", tell)
    app.router.add_post("/api/jobs/{job}/stop", stop)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", rayparams.DASHBOARD_PORT).start()
    try:
        yield
    finally:
        await runner.cleanup()
