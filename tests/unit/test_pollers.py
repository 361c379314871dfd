"""Heads are asked for what their clusters want, by tasks that need and outlive nothing else.

A small server here answers like a GCS; that a GCS answers so is for the end-to-end tests.
"""

import asyncio
import types
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from ray_operator import credentials, dashboard, errors, kube, pollers, ray_records, records
from ray_operator import heads as ways
from ray_operator.protos import autoscaler_pb2 as pb
from tests.support import fake_gcs
from tests.unit import builders

KEY = records.Key("RayCluster", "ns1", "demo")
OTHER = records.Key("RayCluster", "ns1", "other")
SOON_SECONDS = 5.0


@pytest.fixture
async def server() -> AsyncIterator[fake_gcs.FakeGcs]:
    async with fake_gcs.serving() as made:
        yield made


class Dashboard:
    """Say the version; the first so many times not."""

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures

    def connect(self, *_: object) -> dashboard.Dashboard:
        return cast("dashboard.Dashboard", self)

    async def version(self) -> dashboard.Version:
        if self.failures:
            self.failures -= 1
            raise errors.Unreachable("not yet")
        return dashboard.Version("2.46.0")


class Secrets:
    async def get(self, *_: Any) -> bytes:
        return b'{"data": {"auth_token": "c2VjcmV0"}}'


class Asking:
    """Pollers, and what they told of."""

    def __init__(self, *, may_write: bool = True, dashboard_failures: int = 0) -> None:
        self.changed: asyncio.Queue[records.Key] = asyncio.Queue()
        self.pollers = pollers.Pollers(
            ways.Heads(
                cast("kube.Kube", Secrets()),
                credentials.Credentials(server="https://nowhere", token="ours"),
                connect=Dashboard(failures=dashboard_failures).connect,
            ),
            scaler=cast("pollers.Scaler", types.SimpleNamespace(forget=lambda _: None)),
            changed=self.changed.put_nowait,
            may_write=lambda: may_write,
        )

    async def told(self, until: Callable[[ray_records.RayAnswer], bool]) -> ray_records.RayAnswer:
        """Wait until a change is told that makes the answer so."""
        async with asyncio.timeout(SOON_SECONDS):
            while not until(answer := self.pollers.answer(KEY)):
                await self.changed.get()
        return answer


@pytest.fixture
async def heads() -> AsyncIterator[Asking]:
    made = Asking()
    yield made
    await made.pollers.close()
    assert tasks() == []


def tasks() -> list[str]:
    """Name the tasks about heads that are there."""
    found = (each.get_name() for each in asyncio.all_tasks())
    return [each for each in found if each.startswith(("version of", "state of"))]


def inquiry(port: int, *drains: records.Pod, **head: Any) -> ray_records.Inquiry:
    given: dict[str, Any] = {"pod_uid": "uid", "restarts": 0, "is_up": True, "host": "127.0.0.1"}
    given |= {"gcs_port": port, "dashboard_port": 0}
    until = builders.NOW + timedelta(seconds=30)
    return ray_records.Inquiry(
        head=ray_records.RayHead(**(given | head)),
        asks_state=True,
        drains=tuple(ray_records.Drain(pod, until) for pod in drains),
    )


def node(pod: records.Pod, status: pb.NodeStatus, **fields: Any) -> pb.NodeState:
    return pb.NodeState(node_id=pod.uid.encode(), instance_id=pod.name, status=status, **fields)


POD = builders.worker("w-0")
UNTIL_MS = int((builders.NOW + timedelta(seconds=30)).timestamp() * 1000)


async def test_the_state_is_told_as_it_is(heads: Asking, server: fake_gcs.FakeGcs) -> None:
    server.have(node(POD, pb.IDLE, idle_duration_ms=1500, node_ip_address="10.0.0.1"))
    heads.pollers.ask(KEY, inquiry(server.port))
    answer = await heads.told(lambda answer: answer.state is not None)
    assert answer.state is not None
    assert answer.state.nodes == (
        ray_records.RayNode(
            node_id=b"uid-w-0",
            instance_id="w-0",
            status=ray_records.NodeStatus.IDLE,
            idle=timedelta(seconds=1.5),
            ip="10.0.0.1",
        ),
    )


async def test_an_idle_node_leaves_at_once(heads: Asking, server: fake_gcs.FakeGcs) -> None:
    server.have(node(POD, pb.IDLE))
    heads.pollers.ask(KEY, inquiry(server.port, POD))
    await heads.told(lambda answer: bool(answer.state and not answer.state.life_of(POD)))
    assert server.drained == [(b"uid-w-0", pb.DRAIN_NODE_REASON_IDLE_TERMINATION, 0)]


async def test_a_node_that_got_work_meanwhile_may_finish_it(
    heads: Asking, server: fake_gcs.FakeGcs
) -> None:
    server.have(node(POD, pb.IDLE))
    server.refuses_idle = True
    heads.pollers.ask(KEY, inquiry(server.port, POD))
    await heads.told(lambda answer: bool(answer.state and not answer.state.life_of(POD)))
    assert server.drained == [
        (b"uid-w-0", pb.DRAIN_NODE_REASON_IDLE_TERMINATION, 0),
        (b"uid-w-0", pb.DRAIN_NODE_REASON_PREEMPTION, UNTIL_MS),
    ]


async def test_a_busy_node_may_finish(heads: Asking, server: fake_gcs.FakeGcs) -> None:
    server.have(node(POD, pb.RUNNING))
    heads.pollers.ask(KEY, inquiry(server.port, POD))
    await heads.told(lambda answer: bool(answer.state and not answer.state.life_of(POD)))
    assert server.drained == [(b"uid-w-0", pb.DRAIN_NODE_REASON_PREEMPTION, UNTIL_MS)]


async def test_a_later_drain_does_not_wait_for_the_next_look(
    heads: Asking, server: fake_gcs.FakeGcs
) -> None:
    server.have(node(POD, pb.IDLE))
    heads.pollers.ask(KEY, inquiry(server.port))
    await heads.told(lambda answer: answer.state is not None)
    heads.pollers.ask(KEY, inquiry(server.port, POD))
    await heads.told(lambda answer: bool(answer.state and not answer.state.life_of(POD)))


async def test_who_may_not_write_drains_nothing(server: fake_gcs.FakeGcs) -> None:
    idle = Asking(may_write=False)
    server.have(node(POD, pb.IDLE))
    idle.pollers.ask(KEY, inquiry(server.port, POD))
    await idle.told(lambda answer: answer.state is not None)
    await idle.pollers.close()
    assert server.drained == []


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({}, None),
        ({"token_secret": "demo"}, "Bearer secret"),
        ({"wants_own_token": True}, "Bearer ours"),
    ],
)
async def test_the_token_goes_along(
    fields: dict[str, Any], token: str | None, heads: Asking, server: fake_gcs.FakeGcs
) -> None:
    heads.pollers.ask(KEY, inquiry(server.port, **fields))
    await heads.told(lambda answer: answer.state is not None)
    assert server.tokens == {token}


async def test_a_head_where_nobody_listens_is_told_of_and_delays_no_other(
    heads: Asking, server: fake_gcs.FakeGcs
) -> None:
    heads.pollers.ask(OTHER, inquiry(1))
    heads.pollers.ask(KEY, inquiry(server.port))
    answer = await heads.told(lambda answer: answer.state is not None)
    assert answer.error == ""
    async with asyncio.timeout(SOON_SECONDS):
        while not heads.pollers.answer(OTHER).error:
            await heads.changed.get()
    assert "UNAVAILABLE" in heads.pollers.answer(OTHER).error


async def test_the_version_is_asked_until_it_is_known_and_then_no_more() -> None:
    starting = Asking(dashboard_failures=1)
    quiet = ray_records.Inquiry(head=inquiry(1, dashboard_port=8265).head)
    starting.pollers.ask(KEY, quiet)
    answer = await starting.told(lambda answer: bool(answer.version))
    assert answer == ray_records.RayAnswer(version="2.46.0")
    starting.pollers.ask(KEY, quiet)
    await asyncio.sleep(0)
    assert tasks() == []
    await starting.pollers.close()


@pytest.mark.parametrize(("expected", "woken"), [("2.46.0", 0), ("2.47.0", 1), ("", 1)])
async def test_an_expected_version_wakes_nobody(heads: Asking, expected: str, woken: int) -> None:
    head = inquiry(1, dashboard_port=8265).head
    heads.pollers.ask(KEY, ray_records.Inquiry(head=head, expected=expected))
    (asking,) = (each for each in asyncio.all_tasks() if each.get_name().startswith("version of"))
    await asking
    assert heads.pollers.answer(KEY).version == "2.46.0"
    assert heads.changed.qsize() == woken


async def test_the_version_stands_while_ray_starts_anew_in_its_pod(heads: Asking) -> None:
    head = inquiry(1, dashboard_port=8265).head
    heads.pollers.ask(KEY, ray_records.Inquiry(head=head))
    known = await heads.told(lambda answer: bool(answer.version))
    down = inquiry(1, dashboard_port=8265, restarts=1, is_up=False).head
    heads.pollers.ask(KEY, ray_records.Inquiry(head=down))
    assert heads.pollers.answer(KEY) == known
    another = inquiry(1, dashboard_port=8265, pod_uid="another", is_up=False).head
    heads.pollers.ask(KEY, ray_records.Inquiry(head=another))
    assert heads.pollers.answer(KEY) == ray_records.RayAnswer()


async def test_who_wants_nothing_more_costs_nothing(
    heads: Asking, server: fake_gcs.FakeGcs
) -> None:
    heads.pollers.ask(KEY, inquiry(server.port))
    await heads.told(lambda answer: answer.state is not None)
    heads.pollers.ask(KEY, ray_records.Inquiry(head=inquiry(server.port).head))
    assert heads.pollers.answer(KEY) == ray_records.RayAnswer()
    async with asyncio.timeout(SOON_SECONDS):
        while tasks():  # noqa: ASYNC110 - it closes its connection
            await asyncio.sleep(0.01)
