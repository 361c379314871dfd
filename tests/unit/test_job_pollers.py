"""Heads are asked after jobs, and told only what the right life of Ray is to hear.

A small server here answers like a dashboard; that a dashboard answers so is for the end-to-end
tests.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp
import msgspec
import pytest
from aiohttp import web

from ray_operator import credentials, dashboard, job_pollers, kube, ray_records, records
from ray_operator import heads as ways

KEY = records.Key("RayJob", "ns1", "job")
OTHER = records.Key("RayJob", "ns1", "other")
SOON_SECONDS = 5.0
PAYLOAD = {"entrypoint": "true", "submission_id": "id"}


class Ray:
    """A head with a table of jobs; `fault` is what it answers instead, or None for nothing."""

    def __init__(self) -> None:
        self.session = "session_1"
        self.jobs: dict[str, str] = {}
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.asked = 0
        self.fault: tuple[int, str] | None = None
        self.refusal: tuple[int, str] | None = None
        self.is_black_hole = False
        self.port = 0

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked += 1
        if self.is_black_hole:
            await asyncio.sleep(3600)
        if self.fault:
            return web.Response(status=self.fault[0], text=self.fault[1])
        path = request.path.removeprefix("/api/")
        if path == "version":
            return web.json_response({"ray_version": "2.46.0", "session_name": self.session})
        if request.method == "POST":
            return await self._told(path, request)
        status = self.jobs.get(path.removeprefix("jobs/"))
        if status is None:
            return web.Response(status=404, text="does not exist")
        return web.json_response({"status": status})

    async def _told(self, path: str, request: web.BaseRequest) -> web.Response:
        if path.endswith("/stop"):
            job = path.split("/")[1]
            self.stopped.append(job)
            self.jobs[job] = "STOPPED"
            return web.json_response({"stopped": True})
        if self.refusal:
            return web.Response(status=self.refusal[0], text=self.refusal[1])
        job = msgspec.json.decode(await request.read())["submission_id"]
        self.started.append(job)
        self.jobs[job] = "PENDING"
        return web.json_response({"submission_id": job})


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Ray]:
    made = Ray()
    runner = web.ServerRunner(web.Server(made.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture
async def ray() -> AsyncIterator[Ray]:
    async with listening() as made:
        yield made


class Nothing:
    async def get(self, *_: Any) -> None:
        """Have no Secrets."""


class Asking:
    """Pollers, and what they told of."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.changed: asyncio.Queue[records.Key] = asyncio.Queue()
        self.may_write = True

        def connect(*given: Any) -> dashboard.Dashboard:
            return dashboard.Dashboard(session, *given, user_agent="us")

        self.pollers = job_pollers.JobPollers(
            ways.Heads(
                cast("kube.Kube", Nothing()),
                credentials.Credentials(server="https://nowhere", token="ours"),
                connect=connect,
            ),
            changed=self.changed.put_nowait,
            may_write=lambda: self.may_write,
        )

    async def told(
        self, until: Callable[[ray_records.JobAnswer], bool], key: records.Key = KEY
    ) -> ray_records.JobAnswer:
        """Wait until a change is told that makes the answer so."""
        async with asyncio.timeout(SOON_SECONDS):
            while not until(answer := self.pollers.answer(key)):
                await self.changed.get()
        return answer

    async def asked(self, ray: Ray, times: int = 4) -> ray_records.JobAnswer:
        """Wait until Ray was asked again so many times; return the answer then."""
        until = ray.asked + times
        async with asyncio.timeout(SOON_SECONDS):
            while ray.asked < until:  # noqa: ASYNC110 - what happens is in the server
                await asyncio.sleep(0.01)
        return self.pollers.answer(KEY)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask more often than in earnest."""
    for name in ("FIRST_PAUSE_SECONDS", "LAST_PAUSE_SECONDS", "URGENT_PAUSE_SECONDS"):
        monkeypatch.setattr(job_pollers, name, 0.02)


@pytest.fixture
async def heads() -> AsyncIterator[Asking]:
    async with aiohttp.ClientSession() as session:
        made = Asking(session)
        yield made
        await made.pollers.close()
        await nobody_asks()


def tasks() -> list[str]:
    found = (each.get_name() for each in asyncio.all_tasks())
    return [each for each in found if each.startswith("job of")]


async def nobody_asks() -> None:
    """Wait until no task is left: one that was cancelled closes its connection first."""
    async with asyncio.timeout(SOON_SECONDS):
        while tasks():  # noqa: ASYNC110 - it isn't ours to wait for
            await asyncio.sleep(0.01)


def inquiry(
    port: int, *, pod_uid: str = "uid", is_up: bool = True, **fields: Any
) -> ray_records.JobInquiry:
    head = ray_records.RayHead(pod_uid, 0, is_up, "127.0.0.1", 0, port)
    given: dict[str, Any] = {"job_id": "id", "session": "session_1"}
    return ray_records.JobInquiry(head=head, **(given | fields))


def is_answered(answer: ray_records.JobAnswer) -> bool:
    return answer.answered_at is not None and not answer.error


async def test_what_ray_says_is_told_with_the_life_and_the_pod_that_said_it(
    heads: Asking, ray: Ray
) -> None:
    before = datetime.now(UTC)
    ray.jobs["id"] = "RUNNING"
    heads.pollers.ask(KEY, inquiry(ray.port))
    answer = await heads.told(is_answered)
    assert answer.answered_at is not None
    assert before <= answer.answered_at <= datetime.now(UTC)
    assert answer == ray_records.JobAnswer(
        answered_at=answer.answered_at,
        session="session_1",
        pod_uid="uid",
        info=ray_records.JobInfo("RUNNING"),
    )


async def test_only_news_is_told(heads: Asking, ray: Ray) -> None:
    heads.pollers.ask(KEY, inquiry(ray.port))
    first = await heads.told(is_answered)
    while not heads.changed.empty():
        heads.changed.get_nowait()
    later = await heads.asked(ray)
    assert heads.changed.empty()
    assert first.answered_at is not None
    assert later.answered_at is not None
    assert later.answered_at > first.answered_at
    ray.jobs["id"] = "PENDING"
    assert await heads.told(lambda answer: answer.info is not None)


async def test_a_job_is_submitted_to_the_written_life_and_just_once(
    heads: Asking, ray: Ray
) -> None:
    heads.pollers.ask(KEY, inquiry(ray.port, submission=PAYLOAD))
    answer = await heads.told(lambda answer: answer.info is not None)
    assert answer.info == ray_records.JobInfo("PENDING")
    await heads.asked(ray)
    assert ray.started == ["id"]


async def test_no_other_life_is_told_anything(heads: Asking, ray: Ray) -> None:
    ray.session, ray.jobs["id"] = "session_2", "RUNNING"
    heads.pollers.ask(KEY, inquiry(ray.port, submission=PAYLOAD, stops=True))
    answer = await heads.told(lambda answer: answer.is_stopped)
    assert answer.session == "session_2"
    del ray.jobs["id"]
    await heads.asked(ray)
    assert (ray.started, ray.stopped) == ([], [])


async def test_while_no_life_is_written_nothing_is_submitted(heads: Asking, ray: Ray) -> None:
    heads.pollers.ask(KEY, inquiry(ray.port, session="", submission=PAYLOAD))
    await heads.told(is_answered)
    await heads.asked(ray)
    assert ray.started == []


async def test_who_may_not_write_submits_and_stops_nothing(heads: Asking, ray: Ray) -> None:
    heads.may_write = False
    ray.jobs["other"] = "RUNNING"
    heads.pollers.ask(KEY, inquiry(ray.port, submission=PAYLOAD))
    heads.pollers.ask(OTHER, inquiry(ray.port, job_id="other", stops=True))
    await heads.told(is_answered)
    other = await heads.told(is_answered, OTHER)
    await heads.asked(ray, 8)
    assert (ray.started, ray.stopped, other.is_stopped) == ([], [], False)


async def test_a_job_is_stopped_and_seen_to_stop(heads: Asking, ray: Ray) -> None:
    ray.jobs["id"] = "RUNNING"
    heads.pollers.ask(KEY, inquiry(ray.port, stops=True))
    answer = await heads.told(
        lambda answer: answer.info is not None and answer.info.status == "STOPPED"
    )
    assert answer.is_stopped
    await heads.asked(ray)
    assert ray.stopped == ["id"]


async def test_a_job_of_which_no_life_was_written_is_stopped_all_the_same(
    heads: Asking, ray: Ray
) -> None:
    ray.jobs["id"] = "RUNNING"
    heads.pollers.ask(KEY, inquiry(ray.port, session="", stops=True))
    await heads.told(lambda answer: answer.is_stopped)
    assert ray.stopped == ["id"]


async def test_what_ended_or_is_unknown_needs_no_stop(heads: Asking, ray: Ray) -> None:
    ray.jobs["id"] = "FAILED"
    heads.pollers.ask(KEY, inquiry(ray.port, stops=True))
    heads.pollers.ask(OTHER, inquiry(ray.port, job_id="unknown", stops=True))
    await heads.told(lambda answer: answer.is_stopped)
    await heads.told(lambda answer: answer.is_stopped, OTHER)
    assert ray.stopped == []


async def test_a_refusal_is_kept_until_ray_takes_the_job(heads: Asking, ray: Ray) -> None:
    ray.refusal = (400, "no such package")
    heads.pollers.ask(KEY, inquiry(ray.port, submission=PAYLOAD))
    answer = await heads.told(lambda answer: bool(answer.refusal))
    assert answer.refusal == "Ray refuses the job: no such package"
    assert answer.error == ""


@pytest.mark.parametrize(
    "fault",
    [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, '{"kind": "Status", "message": "no endpoints available"}'),
        (500, "Traceback"),
        (200, '{"detail": "hello from another program"}'),
    ],
)
async def test_what_is_no_answer_is_an_error_and_keeps_what_was_known(
    heads: Asking, ray: Ray, fault: tuple[int, str]
) -> None:
    ray.jobs["id"] = "RUNNING"
    heads.pollers.ask(KEY, inquiry(ray.port, submission=PAYLOAD))
    known = await heads.told(is_answered)
    ray.fault = fault
    broken = await heads.told(lambda answer: bool(answer.error))
    assert (broken.info, broken.session) == (known.info, known.session)
    assert ray.started == []
    ray.fault = None
    again = await heads.told(lambda answer: not answer.error)
    assert again.in_vain == timedelta()


async def test_a_submission_that_fails_is_an_error_and_tried_again(heads: Asking, ray: Ray) -> None:
    ray.refusal = (500, "No available agent to submit job")
    heads.pollers.ask(KEY, inquiry(ray.port, submission=PAYLOAD))
    answer = await heads.told(lambda answer: bool(answer.error))
    assert "No available agent" in answer.error
    ray.refusal = None
    await heads.told(lambda answer: answer.info is not None)
    assert ray.started == ["id"]


async def test_a_head_that_is_down_is_not_dialled(heads: Asking, ray: Ray) -> None:
    heads.pollers.ask(KEY, inquiry(ray.port, is_up=False))
    answer = await heads.told(lambda answer: bool(answer.error))
    assert answer.error == "the head's container doesn't run"
    assert ray.asked == 0


async def test_a_black_hole_costs_nobody_else(heads: Asking, ray: Ray) -> None:
    async with listening() as hole:
        hole.is_black_hole = True
        heads.pollers.ask(OTHER, inquiry(hole.port))
        heads.pollers.ask(KEY, inquiry(ray.port))
        await heads.told(is_answered)
        await heads.asked(ray, 20)
        assert hole.asked == 1
        assert heads.pollers.answer(OTHER) == ray_records.JobAnswer()
        heads.pollers.ask(OTHER, None)


class Clock:
    """A clock that goes as a test wants."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


async def test_only_time_spent_asking_is_in_vain(
    heads: Asking, ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(job_pollers, "time", clock)
    ray.fault = (500, "")
    heads.pollers.ask(KEY, inquiry(ray.port))
    first = await heads.told(lambda answer: bool(answer.error))
    assert first.in_vain == timedelta()
    clock.seconds += 3
    assert (await heads.asked(ray)).in_vain == timedelta(seconds=3)
    clock.seconds += 3600  # the process was stopped, or the machine slept
    after = await heads.asked(ray)
    assert after.in_vain == timedelta(seconds=3) + job_pollers.LONGEST_ATTEMPT
    ray.fault = None
    await heads.told(is_answered)
    clock.seconds += 7  # while all was well
    ray.fault = (500, "")
    again = await heads.told(lambda answer: bool(answer.error))
    assert again.in_vain <= timedelta(seconds=7)


async def test_another_job_or_pod_begins_with_nothing_known(heads: Asking, ray: Ray) -> None:
    heads.pollers.ask(KEY, inquiry(ray.port))
    known = await heads.told(is_answered)
    heads.pollers.ask(KEY, inquiry(ray.port, is_urgent=True))
    assert heads.pollers.answer(KEY) == known
    for job_id, pod_uid in (("another", "uid"), ("another", "another")):
        heads.pollers.ask(KEY, inquiry(ray.port, job_id=job_id, pod_uid=pod_uid))
        assert heads.pollers.answer(KEY) == ray_records.JobAnswer()
        await heads.told(is_answered)


async def test_what_is_wanted_anew_does_not_wait_for_the_next_look(
    heads: Asking, ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_pollers, "FIRST_PAUSE_SECONDS", 600)
    monkeypatch.setattr(job_pollers, "LAST_PAUSE_SECONDS", 600)
    heads.pollers.ask(KEY, inquiry(ray.port))
    await heads.told(is_answered)
    heads.pollers.ask(KEY, inquiry(ray.port, submission=PAYLOAD))
    await heads.told(lambda answer: answer.info is not None)
    assert ray.started == ["id"]


async def test_who_wants_nothing_more_costs_nothing(heads: Asking, ray: Ray) -> None:
    heads.pollers.ask(KEY, inquiry(ray.port))
    await heads.told(is_answered)
    heads.pollers.ask(KEY, None)
    heads.pollers.ask(OTHER, None)
    assert heads.pollers.answer(KEY) == ray_records.JobAnswer()
    await nobody_asks()
