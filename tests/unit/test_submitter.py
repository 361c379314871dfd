"""The submitter against a head that behaves as no real one can be made to on demand."""

import ast
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import test_utils, web

from ray_operator import submitter

TEXT = Path(submitter.__file__).read_text()
TAKEN = "RuntimeError: Job raysubmit_1 already exists. Please use a different submission_id."
LOG = "one\nzwölf \N{PARTY POPPER}\nthree"


class Result(NamedTuple):
    """What a run of the program left."""

    status: int
    out: str
    err: str
    verdict: dict[str, Any]


@dataclass
class Head:
    """A head with one job; each list holds the next answers, used up one by one.

    Attributes:
        posts: what a POST does: `accept`, `lose` (accept without an answer), `taken` (by another),
            or `(status, text)`.
        tails: frames of a connection to the log, and how it ends: `close`, `break`, `hang`.
        jobs: the job's status at each look after it was submitted; the last one stays.
    """

    posts: list[Any] = field(default_factory=lambda: ["accept"])
    tails: list[tuple[list[str], str]] = field(default_factory=list)
    jobs: list[str | int] = field(default_factory=lambda: ["SUCCEEDED"])
    versions: list[int] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    session: str = "session_1"
    token: str = ""
    message: str = "Job finished successfully."
    known: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    port: int = 0

    async def version(self, request: web.Request) -> web.Response:
        self.agents.add(request.headers["User-Agent"])
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=403 if "Authorization" in request.headers else 401)
        if self.versions:
            return web.Response(status=self.versions.pop(0))
        session = self.sessions.pop(0) if self.sessions else self.session
        return web.json_response({"session_name": session})

    async def job(self, request: web.Request) -> web.Response:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=403 if "Authorization" in request.headers else 401)
        status = self.jobs[0] if len(self.jobs) == 1 or not self.known else self.jobs.pop(0)
        if not self.known or status == 404:
            return web.Response(status=404, text="Job raysubmit_1 does not exist")
        if isinstance(status, int):
            return web.Response(status=status)
        return web.json_response({"status": status, "message": self.message, "end_time": 17})

    async def post(self, request: web.Request) -> web.Response:
        self.requests.append(await request.json())
        answer = self.posts.pop(0)
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], text=answer[1])
        self.known = True
        if answer == "taken":
            return web.Response(status=500, text=TAKEN)
        if answer == "lose":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"submission_id": self.requests[-1]["submission_id"]})

    async def tail(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        frames, end = self.tails.pop(0) if self.tails else ([LOG], "close")
        for frame in frames:
            await socket.send_str(frame)
        if end == "hang":
            await socket.receive()
        if end == "break":
            await asyncio.sleep(0.1)
            assert request.transport is not None
            request.transport.abort()
        return socket

    async def logs(self, _: web.Request) -> web.Response:
        return web.json_response({"logs": LOG})


Starter = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Starter]:
    servers = []

    async def serve(**behaviour: Any) -> Head:
        head = Head(**behaviour)
        app = web.Application()
        path = "/api/jobs/raysubmit_1"
        app.add_routes(
            [
                web.get("/api/version", head.version),
                web.post("/api/jobs/", head.post),
                web.get(path, head.job),
                web.get(path + "/logs", head.logs),
                web.get(path + "/logs/tail", head.tail),
            ]
        )
        server = test_utils.TestServer(app)
        await server.start_server()
        servers.append(server)
        assert server.port is not None
        head.port = server.port
        return head

    yield serve
    for server in servers:
        await server.close()


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set the program's environment; pauses are short."""
    (tmp_path / "termination-log").touch()
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    env = {
        "HOME": str(tmp_path),
        "RAY_DASHBOARD_ADDRESS": "127.0.0.1:1",
        "RAY_JOB_SUBMISSION_ID": "raysubmit_1",
        "TERMINATION_LOG": str(tmp_path / "termination-log"),
        "http_proxy": "http://127.0.0.1:1",  # must not be heeded
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(submitter, "PAUSE", 0.02)
    return env


@pytest.fixture
def submit(
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Starter:
    def verdict() -> dict[str, Any]:
        return dict(json.loads(Path(env["TERMINATION_LOG"]).read_text()))

    async def run(head: Head | None, *argv: str, **more: str) -> Result:
        if head:
            monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", f"127.0.0.1:{head.port}")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in more.items():
                patch.setenv(name, value)
            status = await asyncio.to_thread(submitter.main, list(argv))
        out, err = capsysbinary.readouterr()
        return Result(status, out.decode(), err.decode(), verdict())

    return run


SUBMITTED = "SUCC -- Job 'raysubmit_1' submitted successfully\n"
KNOWN = "INFO -- Job 'raysubmit_1' was already submitted, following its log\n"
SUCCEEDED = "\nSUCC -- Job 'raysubmit_1' succeeded\n"
VERDICT = {
    "submission_id": "raysubmit_1",
    "status": "SUCCEEDED",
    "end_time": 17,
    "message": "Job finished successfully.",
}


async def test_a_job_is_submitted_and_followed(start: Starter, submit: Starter) -> None:
    head = await start()
    flags = ["--runtime-env-json", '{"env_vars": {"A": "$B"}}', "--metadata-json={}"]
    flags += ["--entrypoint-num-cpus", "0.500000", "--entrypoint-num-gpus", "0", "--session", ""]
    flags += ["--entrypoint-resources", '{"x": 1}']
    result = await submit(head, *flags, "--", " echo '$A' && \\\n  b\\")
    assert result == (0, SUBMITTED + LOG + SUCCEEDED, "", VERDICT)
    assert head.requests == [
        {
            "entrypoint": " echo '$A' && \\\n  b\\",
            "submission_id": "raysubmit_1",
            "runtime_env": {"env_vars": {"A": "$B"}},
            "entrypoint_num_cpus": 0.5,
            "entrypoint_resources": {"x": 1},
        }
    ]
    assert head.agents == {"ray-operator-submitter"}


async def test_words_are_joined_and_flags_among_them_left(start: Starter, submit: Starter) -> None:
    head = await start()
    await submit(head, "--", "echo", "--wait", "--", "-n")
    assert head.requests[0]["entrypoint"] == "echo --wait -- -n"


async def test_a_known_job_is_followed_only(start: Starter, submit: Starter) -> None:
    head = await start(known=True)
    assert await submit(head, "--", "true") == (0, KNOWN + LOG + SUCCEEDED, "", VERDICT)
    assert head.requests == []


@pytest.mark.parametrize(
    ("posts", "first"),
    [
        (["lose"], SUBMITTED),
        ([(500, "No available agent to submit job, please try again later."), "accept"], SUBMITTED),
        ([(500, "ClientConnectorError: Cannot connect to host"), "accept"], SUBMITTED),
    ],
)
async def test_an_uncertain_submission_is_looked_up_before_the_next(
    start: Starter, submit: Starter, posts: list[Any], first: str
) -> None:
    head = await start(posts=list(posts))
    assert await submit(head, "--", "true") == (0, first + LOG + SUCCEEDED, "", VERDICT)
    assert len(head.requests) == len(posts)


async def test_another_submitter_was_quicker(start: Starter, submit: Starter) -> None:
    head = await start(posts=["taken"])
    assert (await submit(head, "--", "true")).out == KNOWN + LOG + SUCCEEDED


async def test_a_head_that_is_not_up_yet_is_waited_for(start: Starter, submit: Starter) -> None:
    head = await start(versions=[503, 502, 404])
    assert (await submit(head, "--", "true")).out == SUBMITTED + LOG + SUCCEEDED


async def test_another_head_gets_nothing(start: Starter, submit: Starter) -> None:
    head = await start()
    result = await submit(head, "--session", "session_0", "--", "true")
    error = (
        f"Job 'raysubmit_1' not submitted: http://127.0.0.1:{head.port} is another head than"
        " before (session session_1, not session_0)"
    )
    assert result == (1, "", f"ERROR -- {error}\n", {"error": error})
    assert head.requests == []


async def test_a_head_replaced_while_submitting_gets_nothing(
    start: Starter, submit: Starter
) -> None:
    head = await start(posts=[(500, "No available agent")], sessions=["session_1"])
    head.session = "session_2"
    result = await submit(head, "--", "true")
    assert (result.status, len(head.requests)) == (1, 1)
    assert "(session session_2, not session_1)" in result.err


@pytest.mark.parametrize("status", [400, 405])
async def test_a_refusal_is_final(start: Starter, submit: Starter, status: int) -> None:
    head = await start(posts=[(status, "TypeError: metadata")])
    result = await submit(head, "--", "true")
    assert (result.status, len(head.requests)) == (1, 1)
    assert f"answers {status}: TypeError: metadata" in result.err
    assert "TypeError: metadata" in result.verdict["error"]


async def test_an_error_behind_the_dashboard_is_not_retried_for_ever(
    start: Starter, submit: Starter
) -> None:
    head = await start(posts=[(500, "ValueError: pip")] * 3)
    result = await submit(head, "--", "true")
    assert (result.status, len(head.requests)) == (1, 3)
    assert "ValueError: pip" in result.err


@pytest.mark.parametrize("end", ["close", "break"])
async def test_a_broken_log_goes_on_where_it_stopped(
    start: Starter, submit: Starter, end: str
) -> None:
    head = await start(
        jobs=["RUNNING", "RUNNING", 503, "SUCCEEDED"],
        tails=[(["one\nzw"], end), ([], end), (["o", "ne\nzwölf \N{PARTY POPPER}"], "close")],
    )
    assert (await submit(head, "--", "true")).out == SUBMITTED + LOG + SUCCEEDED


async def test_a_log_is_printed_of_a_job_that_ended_first(start: Starter, submit: Starter) -> None:
    head = await start(tails=[([], "close")])
    assert (await submit(head, "--", "true")).out == SUBMITTED + LOG + SUCCEEDED


async def test_a_frame_of_any_size_is_taken(start: Starter, submit: Starter) -> None:
    big = "ä" * 9 * 2**20
    head = await start(tails=[([big], "close")])
    assert (await submit(head, "--", "true")).out == SUBMITTED + big + SUCCEEDED


async def test_a_job_that_vanished_was_lost(start: Starter, submit: Starter) -> None:
    head = await start(jobs=["RUNNING", 404], tails=[(["one\n"], "break"), ([], "close")])
    result = await submit(head, "--", "true")
    gone = f"Job 'raysubmit_1' is gone from http://127.0.0.1:{head.port}: lost with its head"
    assert result == (1, SUBMITTED + "one\n", f"ERROR -- {gone}\n", {"error": gone})
    assert len(head.requests) == 1


@pytest.mark.parametrize(
    ("status", "flags", "told"),
    [
        ("FAILED", [], (0, "ERR -- Job 'raysubmit_1' failed: exit code 3\n")),
        ("FAILED", ["--wait"], (1, "ERR -- Job 'raysubmit_1' failed: exit code 3\n")),
        ("STOPPED", ["--wait"], (0, "WARN -- Job 'raysubmit_1' was stopped\n")),
    ],
)
async def test_the_end_is_told_as_ray_tells_it(
    start: Starter, submit: Starter, status: str, flags: list[str], told: tuple[int, str]
) -> None:
    message = "exit code 3, last available logs (truncated to 20,000 chars):\n" + "ö\0\n" * 6000
    head = await start(jobs=[status], message=message)
    result = await submit(head, *flags, "--", "true")
    assert (result.status, result.out) == (told[0], f"{SUBMITTED}{LOG}\n{told[1]}")
    kept = message.replace("\0", " ")
    assert result.verdict == {
        "submission_id": "raysubmit_1",
        "status": status,
        "end_time": 17,
        "message": f"{kept[:200]} … {kept[-600:]}",
    }


async def test_the_token_is_sent(start: Starter, submit: Starter, tmp_path: Path) -> None:
    head = await start(token="secret")
    (tmp_path / "token").write_text("secret\n")
    path = str(tmp_path / "token")
    assert (await submit(head, "--", "true", RAY_AUTH_TOKEN_PATH=path)).status == 0
    assert (await submit(head, "--", "true", RAY_AUTH_TOKEN="secret")).status == 0
    wrong = await submit(head, "--", "true", RAY_AUTH_TOKEN="wrong")
    assert (wrong.status, "refuses the token, or wants one: 403" in wrong.err) == (1, True)
    none = await submit(head, "--", "true")
    assert (none.status, "wants one: 401" in none.err) == (1, True)
    missing = await submit(head, "--", "true", RAY_AUTH_MODE="token", HOME=str(tmp_path))
    assert (missing.status, ".ray/auth_token" in missing.err) == (1, True)


async def test_rays_own_address_comes_first(start: Starter, submit: Starter) -> None:
    head = await start()
    own = f"http://127.0.0.1:{head.port}/"
    assert (await submit(None, "--", "true", RAY_ADDRESS=own)).status == 0
    gcs = await submit(head, "--", "true", RAY_ADDRESS="127.0.0.1:6379")
    assert gcs.out == KNOWN + LOG + SUCCEEDED


async def test_a_head_that_never_answers_is_given_up(submit: Starter) -> None:
    result = await submit(None, "--give-up-after", "1", "--", "true")
    assert result.status == 1
    assert "Gave up on http://127.0.0.1:1 after 1 s: Cannot connect" in result.err
    assert "Gave up" in result.verdict["error"]


@pytest.mark.parametrize(
    ("argv", "more", "error"),
    [
        (["--metadata-json", "{", "--", "true"], {}, "--metadata-json: not JSON"),
        (["--runtime-env-json", "[]", "--", "true"], {}, "-env-json: not a JSON object: []"),
        (["--entrypoint-num-cpus", "x", "--", "true"], {}, "invalid float value: 'x'"),
        (["--unknown", "--", "true"], {}, "unrecognized arguments: --unknown"),
        (["--", " "], {}, "no entrypoint: the job's command comes after --"),
        (["--", "true"], {"RAY_JOB_SUBMISSION_ID": ""}, "RAY_JOB_SUBMISSION_ID is not set"),
        (["--", "true"], {"RAY_DASHBOARD_ADDRESS": ""}, "RAY_DASHBOARD_ADDRESS is not set"),
    ],
)
async def test_bad_input_is_one_line(
    submit: Starter, argv: list[str], more: dict[str, str], error: str
) -> None:
    result = await submit(None, *argv, **more)
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert error in result.err
    assert error in result.verdict["error"]


async def test_the_text_runs_by_itself_beside_modules_of_the_user(
    start: Starter, env: dict[str, str], tmp_path: Path
) -> None:
    head = await start()
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TEXT, "--", "echo  '\\"),
        cwd=tmp_path,
        env={**env, "RAY_DASHBOARD_ADDRESS": f"http://127.0.0.1:{head.port}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert await process.communicate() == ((SUBMITTED + LOG + SUCCEEDED).encode(), b"")
    assert head.requests[0]["entrypoint"] == "echo  '\\"


async def test_sigterm_ends_it_at_once(start: Starter, env: dict[str, str]) -> None:
    head = await start(tails=[(["one\n"], "hang")], jobs=["RUNNING"])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TEXT, "--", "true"),
        env={**env, "RAY_DASHBOARD_ADDRESS": f"127.0.0.1:{head.port}"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()).decode() == SUBMITTED
    assert await process.stdout.readline() == b"one\n"
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 5) == 128 + 15


async def test_a_log_that_falls_silent_is_left_when_the_job_has_ended(
    start: Starter, submit: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "IDLE", 0.05)
    head = await start(tails=[(["one\n"], "hang")], jobs=["RUNNING", "RUNNING", "SUCCEEDED"])
    assert (await submit(head, "--", "true")).out == SUBMITTED + LOG + SUCCEEDED


async def test_the_end_is_not_waited_for_where_ray_says_it(start: Starter, submit: Starter) -> None:
    """Ray ends the stream a second after the job."""
    head = await start(tails=[(["one\n"], "hang")], jobs=["RUNNING", "SUCCEEDED"])
    began = time.monotonic()
    assert (await submit(head, "--", "true")).out == SUBMITTED + LOG + SUCCEEDED
    assert time.monotonic() - began < 5


async def test_a_long_log_is_not_read_again_for_the_sake_of_its_end(
    start: Starter, submit: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "SMALL", 3)
    monkeypatch.setattr(submitter, "HUSH", 0.02)
    monkeypatch.setattr(submitter, "IDLE", 0.5)
    head = await start(tails=[(["one\n"], "hang")], jobs=["RUNNING", "SUCCEEDED"])
    began = time.monotonic()
    assert (await submit(head, "--", "true")).out == SUBMITTED + LOG + SUCCEEDED
    assert time.monotonic() - began > 0.5


def test_the_program_is_of_python_3_9_and_stands_alone() -> None:
    tree = ast.parse(TEXT, feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        + ([each.name for each in node.names] if isinstance(node, ast.Import) else [])
    }
    assert imported - sys.stdlib_module_names == {"aiohttp", "ray"}
