"""Clusters are asked after Serve, and told a configuration exactly as long as they lack it.

A small server here answers like a dashboard and like a proxy; that Ray answers so is for the
end-to-end tests.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, cast

import aiohttp
import msgspec
import pytest
from aiohttp import web

from ray_operator import (
    credentials,
    dashboard,
    kube,
    ray_records,
    records,
    serve_pollers,
    serve_records,
)
from ray_operator import heads as ways
from ray_operator.serve_records import Proxy

KEY = records.Key("RayService", "ns1", "svc")
SOON_SECONDS = 5.0
CONFIG = {"applications": [{"name": "app", "import_path": "a:b"}]}


class Ray:
    """A head with Serve; `fault` is what it answers instead."""

    def __init__(self) -> None:
        self.puts: list[Any] = []
        self.applications: dict[str, Any] = {}
        self.fault: tuple[int, str] | None = None
        self.refusal: tuple[int, str] | None = None
        self.proxy = 200
        self.asked = 0
        self.looked = 0
        self.proxy_seconds = 0.0
        self.port = 0

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/-/healthz":
            self.looked += 1
            await asyncio.sleep(self.proxy_seconds)
            return web.Response(status=self.proxy, text="success")
        self.asked += 1
        if self.fault:
            return web.Response(status=self.fault[0], text=self.fault[1])
        if request.method == "PUT":
            if self.refusal:
                return web.Response(status=self.refusal[0], text=self.refusal[1])
            self.puts.append(msgspec.json.decode(await request.read()))
            names = [each["name"] for each in self.puts[-1]["applications"]]
            self.applications = {name: {"status": "RUNNING"} for name in names}
            return web.Response()
        assert request.query["api_type"] == "declarative"
        proxies = {"a": {"status": "HEALTHY", "node_ip": "10.0.0.1"}, "b": {"status": "STARTING"}}
        return web.json_response({"applications": self.applications, "proxies": proxies})


@pytest.fixture
async def ray() -> AsyncIterator[Ray]:
    made = Ray()
    runner = web.ServerRunner(web.Server(made.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


class Nothing:
    async def get(self, *_: Any) -> None:
        """Have no Secrets."""


class Asking:
    """Pollers, and what they told of."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.changed = asyncio.Event()
        self.may_write = True

        def connect(*given: Any) -> dashboard.Dashboard:
            return dashboard.Dashboard(session, *given, user_agent="us")

        self.pollers = serve_pollers.ServePollers(
            ways.Heads(
                cast("kube.Kube", Nothing()),
                credentials.Credentials(server="https://nowhere", token="ours"),
                connect=connect,
            ),
            changed=lambda _: self.changed.set(),
            may_write=lambda: self.may_write,
        )

    def ask(self, *, cluster: str = "c", **fields: Any) -> None:
        self.pollers.ask(KEY, {cluster: inquiry(**fields)})

    async def told(
        self, until: Callable[[serve_records.ServeAnswer], object], cluster: str = "c"
    ) -> serve_records.ServeAnswer:
        """Wait until a change is told that makes the answer so."""
        async with asyncio.timeout(SOON_SECONDS):
            while not until(answer := self.answer(cluster)):
                self.changed.clear()
                await self.changed.wait()
        return answer

    def answer(self, cluster: str = "c") -> serve_records.ServeAnswer:
        return self.pollers.answers(KEY).get(cluster, serve_records.ServeAnswer())


def inquiry(
    *,
    port: int,
    is_up: bool = True,
    pod_uid: str = "uid",
    digest: str = "1",
    **fields: Any,
) -> serve_records.ServeInquiry:
    head = ray_records.RayHead(pod_uid, 0, is_up, "127.0.0.1", 0, port)
    given: dict[str, Any] = {
        "pod": "head",
        "ip": "127.0.0.1",
        "port": port,
        "config": CONFIG,
        "digest": digest,
        "applications": frozenset({"app"}),
    }
    return serve_records.ServeInquiry(head=head, **(given | fields))


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask more often than in earnest."""
    for name in ("FIRST_PAUSE_SECONDS", "LAST_PAUSE_SECONDS", "DOUBT_PAUSE_SECONDS"):
        monkeypatch.setattr(serve_pollers, name, 0.02)
    monkeypatch.setattr(serve_pollers, "FIRST_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(serve_pollers, "STEADY_PAUSE_SECONDS", 0.1)


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    async with aiohttp.ClientSession() as session:
        made = Asking(session)
        yield made
        await made.pollers.close()


def tasks() -> list[str]:
    found = (each.get_name() for each in asyncio.all_tasks())
    return [each for each in found if each.startswith("Serve of")]


def runs(answer: serve_records.ServeAnswer) -> bool:
    return answer.running_since is not None and answer.head_proxy is Proxy.SERVES


async def test_a_configuration_is_sent_once(asking: Asking, ray: Ray) -> None:
    asking.ask(port=ray.port)
    answer = await asking.told(runs)
    assert answer.applied == "1"
    assert answer.state == serve_records.ServeState(
        applications={"app": serve_records.Application("RUNNING")},
        proxies=frozenset({"10.0.0.1"}),
    )
    await asyncio.sleep(0.3)
    assert ray.puts == [CONFIG]


async def test_one_that_is_known_to_be_applied_is_not_sent(asking: Asking, ray: Ray) -> None:
    ray.applications = {"app": {"status": "RUNNING"}}
    asking.ask(port=ray.port, applied="1")
    await asking.told(runs)
    assert not ray.puts


async def test_it_is_sent_again_to_a_head_that_came_back_empty(asking: Asking, ray: Ray) -> None:
    asking.ask(port=ray.port)
    await asking.told(runs)
    ray.applications = {}
    asking.ask(port=ray.port, pod_uid="another")
    await asking.told(lambda _: len(ray.puts) == 2 and runs(asking.answer()))


async def test_another_configuration_is_sent_and_what_ran_before_does_not_count(
    asking: Asking, ray: Ray
) -> None:
    asking.ask(port=ray.port)
    await asking.told(runs)
    other = {"applications": [{"name": "b", "import_path": "a:b"}]}
    asking.ask(port=ray.port, config=other, digest="2", applications=frozenset({"b"}))
    assert asking.answer().running_since is None
    answer = await asking.told(runs)
    assert answer.applied == "2"
    assert ray.puts == [CONFIG, other]


async def test_nothing_is_sent_without_a_configuration_or_the_right_to(
    asking: Asking, ray: Ray
) -> None:
    asking.ask(port=ray.port, config=None)
    await asking.told(lambda answer: answer.state is not None)
    asking.may_write = False
    asking.ask(port=ray.port)
    await asyncio.sleep(0.2)
    assert not ray.puts
    asking.may_write = True
    await asking.told(runs)


async def test_a_refusal_is_told_and_tried_again_later(asking: Asking, ray: Ray) -> None:
    ray.refusal = (400, "Traceback: no such field")
    asking.ask(port=ray.port)
    answer = await asking.told(lambda answer: answer.refusal)
    assert answer.refusal == "Ray refuses the configuration: Traceback: no such field"
    assert answer.applied == serve_pollers.UNKNOWN
    ray.refusal = None
    answer = await asking.told(runs)
    assert not answer.refusal


async def test_silence_is_told_and_what_was_known_stands(asking: Asking, ray: Ray) -> None:
    asking.ask(port=ray.port)
    before = await asking.told(runs)
    ray.fault = (503, "controller error")
    answer = await asking.told(lambda answer: answer.error)
    assert answer.state == before.state
    assert answer.running_since is None
    assert answer.unanswered_since is not None
    ray.fault = None
    answer = await asking.told(runs)
    assert answer.unanswered_since is None
    assert len(ray.puts) == 1


async def test_one_bad_answer_of_the_proxy_is_doubted(asking: Asking, ray: Ray) -> None:
    asking.ask(port=ray.port)
    await asking.told(runs)
    ray.proxy = 503
    looked = ray.looked
    await asking.told(lambda answer: answer.head_proxy is Proxy.REFUSES)
    assert ray.looked - looked >= 2
    ray.proxy = 200
    looked = ray.looked
    await asking.told(lambda answer: answer.head_proxy is Proxy.SERVES)
    assert ray.looked - looked == 1


async def test_a_late_answer_of_the_proxy_is_no_refusal(
    asking: Asking, ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "HEALTH_DEADLINE", timedelta(seconds=0.1))
    asking.ask(port=ray.port)
    await asking.told(runs)
    ray.proxy_seconds = 1.0
    answer = await asking.told(lambda answer: answer.head_proxy is not Proxy.SERVES)
    assert answer.head_proxy is Proxy.SLOW


async def test_a_head_that_is_not_up_is_not_asked(asking: Asking, ray: Ray) -> None:
    asking.ask(port=ray.port, is_up=False)
    answer = await asking.told(lambda answer: answer.error)
    assert answer.error == "the head's container doesn't run"
    assert answer.head_proxy is Proxy.REFUSES
    assert not ray.asked + ray.looked


async def test_in_peace_there_are_fewer_questions(asking: Asking, ray: Ray) -> None:
    asking.ask(port=ray.port, is_steady=True)
    await asking.told(runs)
    await asyncio.sleep(0.1)
    asked, looked = ray.asked, ray.looked
    await asyncio.sleep(1.0)
    assert ray.looked - looked <= 12
    assert ray.asked - asked <= 5
    rate = 1 / serve_pollers.STEADY_ROUNDS + 1
    assert rate / 4.0 < 0.5, "of once in two seconds"


async def test_what_is_not_wanted_any_more_ends(asking: Asking, ray: Ray) -> None:
    asking.pollers.ask(KEY, {"a": inquiry(port=ray.port), "b": inquiry(port=ray.port)})
    await asking.told(runs, "a")
    await asking.told(runs, "b")
    asking.pollers.ask(KEY, {"b": inquiry(port=ray.port)})
    assert list(asking.pollers.answers(KEY)) == ["b"]
    asking.pollers.ask(KEY, None)
    assert not asking.pollers.answers(KEY)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SOON_SECONDS):
            while tasks():  # noqa: ASYNC110 - it isn't ours to wait for
                await asyncio.sleep(0.01)
    asked = ray.asked
    await asyncio.sleep(0.2)
    assert ray.asked == asked
