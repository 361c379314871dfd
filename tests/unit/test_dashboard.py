"""What is taken for Ray's word, and what isn't; a small server here answers like a dashboard."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from ray_operator import dashboard, errors, ray_records, serve_records

MISSING = {"kind": "Status", "apiVersion": "v1", "code": 404, "message": 'services "x" not found'}


class Ray:
    """Answer every request with one response; keep what was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.pieces = 1

    def says(self, status: int, body: Any) -> None:
        self.status = status
        self.body = body.encode() if isinstance(body, str) else msgspec.json.encode(body)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path, await request.read()))
        self.headers.append(dict(request.headers))
        response = web.StreamResponse(status=self.status)
        if self.status == 302:
            response.headers["Location"] = "/elsewhere"
        response.enable_chunked_encoding()
        await response.prepare(request)
        size = len(self.body) // self.pieces + 1
        for at in range(0, len(self.body), size):
            await response.write(self.body[at : at + size])
        await response.write_eof()
        return response


@pytest.fixture
async def ray() -> AsyncIterator[tuple[Ray, dashboard.Dashboard]]:
    made = Ray()
    server = web.Server(made.answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession() as session:
        host, port = runner.addresses[0][:2]
        url = f"http://{host}:{port}"
        yield made, dashboard.Dashboard(session, url, {"Authorization": "x"}, user_agent="us")
    await runner.cleanup()


Served = tuple[Ray, dashboard.Dashboard]
Call = Callable[[dashboard.Dashboard], Awaitable[Any]]


def job(client: dashboard.Dashboard) -> Awaitable[Any]:
    return client.job("id")


def submit(client: dashboard.Dashboard) -> Awaitable[Any]:
    return client.submit({"entrypoint": "x"})


def stop(client: dashboard.Dashboard) -> Awaitable[Any]:
    return client.stop("id")


def version(client: dashboard.Dashboard) -> Awaitable[Any]:
    return client.version()


async def test_a_job_is_read(ray: Served) -> None:
    server, client = ray
    server.says(200, {"status": "RUNNING", "start_time": 1500, "message": None, "job_id": None})
    assert await client.job("a/b c") == ray_records.JobInfo(
        status="RUNNING", started_at=datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC)
    )
    assert server.asked == [("GET", "/api/jobs/a%2Fb%20c", b"")]
    assert server.headers[0]["User-Agent"] == "us"
    assert server.headers[0]["Authorization"] == "x"


async def test_an_answer_that_comes_in_pieces_is_read_to_its_end(ray: Served) -> None:
    server, client = ray
    message = "x" * 300_000
    server.pieces = 7
    server.says(200, {"message": message, "status": "FAILED", "end_time": 2000})
    assert await client.job("id") == ray_records.JobInfo(
        status="FAILED", message=message, ended_at=datetime.fromtimestamp(2, UTC)
    )


async def test_an_answer_without_end_is_no_answer(
    ray: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = ray
    monkeypatch.setattr(dashboard, "LONGEST_ANSWER", 1000)
    server.says(200, {"message": "x" * 2000, "status": "RUNNING"})
    with pytest.raises(errors.Rejected, match="/api/jobs/id"):
        await client.job("id")


async def test_only_rays_404_says_that_a_job_is_unknown(ray: Served) -> None:
    server, client = ray
    server.says(404, "Job id does not exist")
    assert await client.job("id") is None
    server.says(404, MISSING)
    with pytest.raises(errors.Unreachable, match=r"404: .* not found"):
        await client.job("id")


@pytest.mark.parametrize("status", ["", "DONE", "running", None, 3])
async def test_a_status_that_no_job_has_is_no_answer(ray: Served, status: Any) -> None:
    server, client = ray
    server.says(200, {"status": status})
    with pytest.raises(errors.Rejected):
        await client.job("id")


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"])
async def test_these_are_all_statuses(ray: Served, status: str) -> None:
    server, client = ray
    server.says(200, {"status": status})
    assert await client.job("id") == ray_records.JobInfo(status)


@pytest.mark.parametrize("call", [job, submit, stop, version])
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, "Unauthorized: Missing authentication token", errors.Rejected),
        (403, {"error": "Forbidden"}, errors.Rejected),
        (403, {"kind": "Status", "code": 403, "message": "no proxy"}, errors.Unreachable),
        (302, "", errors.Rejected),
        (500, {"result": False, "msg": "oops"}, errors.Unreachable),
        (502, "bad gateway", errors.Unreachable),
        (503, {"kind": "Status", "code": 503}, errors.Unreachable),
    ],
)
async def test_an_error_is_never_taken_for_a_job(
    ray: Served, call: Call, status: int, body: Any, error: type[errors.RayError]
) -> None:
    server, client = ray
    server.says(status, body)
    with pytest.raises(errors.RayError) as raised:
        await call(client)
    assert type(raised.value) is error
    assert f": {status}" in str(raised.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize("call", [job, stop, version])
@pytest.mark.parametrize("body", ["", "[]", "null", "<html>", '{"status": "RUNN'])
async def test_what_is_no_answer_of_rays_is_none(ray: Served, call: Call, body: str) -> None:
    server, client = ray
    server.says(200, body)
    with pytest.raises(errors.Rejected, match="not what Ray answers"):
        await call(client)


async def test_a_job_is_submitted_once_whoever_was_first(ray: Served) -> None:
    server, client = ray
    server.says(200, {"submission_id": "id"})
    await client.submit({"entrypoint": "echo 'é'", "submission_id": "id"})
    server.says(500, "ValueError: Job id already exists. Please use a different submission_id.\n")
    await client.submit({"submission_id": "id"})
    sent = '{"entrypoint":"echo \'é\'","submission_id":"id"}'.encode()
    assert server.asked[0] == ("POST", "/api/jobs/", sent)
    assert server.headers[0]["Content-Type"] == "application/json"


async def test_what_ray_will_never_take_is_told_apart(ray: Served) -> None:
    server, client = ray
    server.says(400, "Traceback …\nValueError: runtime_env must be a dict")
    with pytest.raises(errors.Refused, match="runtime_env must be a dict"):
        await client.submit({})
    server.says(400, {"kind": "Status", "message": "the API server's"})
    with pytest.raises(errors.RayError) as caught:
        await client.submit({})
    assert not isinstance(caught.value, errors.Refused)


async def test_a_job_that_is_not_there_needs_no_stop(ray: Served) -> None:
    server, client = ray
    for status, body in (
        (200, {"stopped": True}),
        (200, {"stopped": False}),
        (404, "Job id does not exist"),
    ):
        server.says(status, body)
        await client.stop("id")
    assert {each[:2] for each in server.asked} == {("POST", "/api/jobs/id/stop")}
    server.says(404, MISSING)
    with pytest.raises(errors.Unreachable):
        await client.stop("id")


async def test_the_version_tells_the_life_of_ray(ray: Served) -> None:
    server, client = ray
    server.says(200, {"version": "4", "ray_version": "2.46.0", "session_name": "session_1"})
    assert await client.version() == dashboard.Version("2.46.0", "session_1")


async def test_where_nobody_listens_there_is_no_answer() -> None:
    async with aiohttp.ClientSession() as session:
        client = dashboard.Dashboard(session, "http://127.0.0.1:1", {}, user_agent="us")
        with pytest.raises(errors.Unreachable, match="/api/version"):
            await client.version()


SERVE = {
    "applications": {
        "": {
            "status": "DEPLOYING",
            "message": "soon",
            "deployments": {"D": {"status": "UPDATING", "message": "1 of 2", "replicas": []}},
        }
    },
    "proxies": {
        "a": {"status": "HEALTHY", "node_ip": "10.0.0.1"},
        "b": {"status": "UNHEALTHY", "node_ip": "10.0.0.2"},
    },
    "target_capacity": None,
}


@pytest.mark.parametrize("empty", [{}, {"proxies": None}, {"applications": {}, "proxies": {}}])
async def test_serve_is_read_also_before_it_was_started(ray: Served, empty: dict[str, Any]) -> None:
    head, client = ray
    head.says(200, SERVE)
    deployed = serve_records.Deployment("UPDATING", "1 of 2")
    assert await client.serve() == serve_records.ServeState(
        applications={"default": serve_records.Application("DEPLOYING", "soon", {"D": deployed})},
        proxies=frozenset({"10.0.0.1"}),
    )
    head.says(200, empty)
    assert await client.serve() == serve_records.ServeState()
    path = "/api/serve/applications/?api_type=declarative"
    assert head.asked == [("GET", path, b"")] * 2


async def test_a_configuration_that_ray_will_never_take_is_told_apart(ray: Served) -> None:
    head, client = ray
    head.says(200, "")
    await client.deploy({"applications": []})
    assert head.asked == [("PUT", "/api/serve/applications/", b'{"applications":[]}')]
    head.says(400, "Traceback\nValueError: two applications of one name")
    with pytest.raises(errors.Refused, match="two applications of one name"):
        await client.deploy({})
    head.says(500, "no available agent")
    with pytest.raises(errors.Unreachable):
        await client.deploy({})
    head.says(400, {"kind": "Status", "message": "the API server's"})
    with pytest.raises(errors.RayError) as caught:
        await client.deploy({})
    assert not isinstance(caught.value, errors.Refused)


@pytest.mark.parametrize(("status", "takes"), [(200, True), (503, False), (404, False)])
async def test_a_proxy_takes_requests_if_it_says_so(
    ray: Served, status: int, *, takes: bool
) -> None:
    head, client = ray
    head.says(status, "success" if takes else "This node is being drained.")
    assert await client.takes_requests() is takes
    assert head.asked == [("GET", "/-/healthz", b"")]
