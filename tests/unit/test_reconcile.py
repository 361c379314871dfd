"""The order of a pass, its retries, and the patch that a status write sends."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import pytest

from ray_operator import (
    actions,
    apply,
    conditions,
    errors,
    kube,
    merge_patch,
    pacing,
    recent,
    reconcile,
    records,
    resources,
    settings,
    workqueue,
)


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": None}),
        ({}, {"a": {}}, {"a": {}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, {}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, {"a": [{"b": 2}]}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_the_patch_holds_just_what_differs(
    old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any]
) -> None:
    assert merge_patch.difference(old, new) == patch


class Api:
    """Answer status writes, creates and events as the API server would; count them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refusal: errors.KubeError | None = None
        self.version = 10
        self.is_gone = False

    async def patch_status(self, *_: Any, status: Any, **__: Any) -> bytes:
        self.asked.append("status")
        self.version += 1
        return msgspec.json.encode(body(self.version, status))

    async def get(self, *_: Any) -> bytes | None:
        if self.is_gone:
            return None
        return msgspec.json.encode(body(self.version, {"failures": 0}))

    async def patch(self, *_: Any, **__: Any) -> bytes:
        self.asked.append("patch")
        return b"{}"

    async def create(self, resource: records.Resource, *_: Any, **__: Any) -> bytes:
        self.asked.append(resource.kind)
        if self.refusal and resource == records.PODS:
            raise self.refusal
        return b"{}"


def body(version: int, status: Any = None) -> dict[str, Any]:
    metadata = {
        "namespace": "ns1",
        "name": "demo",
        "uid": "u",
        "generation": 1,
        "resourceVersion": str(version),
    }
    return {"metadata": metadata, "status": status or {}}


class Deaf:
    """A store of children to which nobody listens."""

    def written(self, *_: Any) -> None:
        """Forget it."""


KEY = records.Key("RayCluster", "ns1", "demo")
POD = actions.Create(
    resource=records.PODS,
    manifest={"metadata": {"namespace": "ns1", "generateName": "demo-"}},
    reasons=actions.Reasons("Created", "FailedToCreate", "FailedCreate"),
)
PATCH = actions.Patch(
    resource=records.PODS,
    namespace="ns1",
    name="demo-0",
    uid="u",
    change={"metadata": {}},
    reasons=POD.reasons,
)


async def nothing(_: Any) -> None:
    """Refresh nothing, look up nothing."""


def reconciler(
    server: Api,
    plan: actions.Plan,
    *,
    may_write: Callable[[], bool] = lambda: True,
    news: Sequence[actions.Event] = (),
    goes_on: Callable[[Any, Any], bool] = lambda _, __: False,
    follows: Callable[[Any, Any], datetime | None] = lambda *_: None,
) -> tuple[reconcile.Reconciler, workqueue.WorkQueue]:
    queue = workqueue.WorkQueue()
    store = resources.Resources(queue.add)
    client = cast("kube.Kube", server)
    stores = cast("Any", {records.PODS: Deaf()})

    def said(_: Any, __: Any, outcome: actions.Outcome, ___: Any) -> dict[str, Any]:
        return {"failures": len(outcome.failures)}

    made = reconcile.Reconciler(
        client,
        kinds={
            "RayCluster": reconcile.Kind(
                resource=records.RAYCLUSTERS,
                decode=lambda data: data,
                refresh=nothing,
                look_up=nothing,
                observe=lambda *_: None,
                plan=lambda *_: plan,
                inquire=lambda *_: None,
                ask=lambda *_: None,
                next_status=said,
                news=lambda _, __: news,
                goes_on=goes_on,
                follows=follows,
            )
        },
        store=store,
        queue=queue,
        applier=apply.Applier(client, stores, may_write=may_write),
        options=settings.Settings(version="test"),
        concurrency=1,
        may_write=may_write,
    )
    store.put(KEY, body(1))
    return made, queue


async def passes(made: reconcile.Reconciler, *, within: float) -> None:
    """Let the one worker go on for a moment."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(made.run(), within)


@pytest.mark.parametrize(("is_more", "passes_made"), [(True, 2), (False, 1)])
async def test_a_status_may_ask_for_another_pass_at_once(is_more: bool, passes_made: int) -> None:
    written: list[Any] = []

    def goes_on(_: Any, status: Any) -> bool:
        written.append(status)
        return is_more

    server = Api()
    made, _ = reconciler(server, actions.Plan(actions=(POD,)), goes_on=goes_on)
    await passes(made, within=0.2)
    assert server.asked.count("Pod") == passes_made
    assert written == [{"failures": 0}]  # what isn't written asks for nothing


async def test_a_status_that_is_no_news_waits_since_the_last_one() -> None:
    last = datetime.now(UTC) - pacing.SHORTEST + timedelta(milliseconds=200)
    server = Api()
    made, _ = reconciler(server, actions.Plan(), follows=lambda *_: last)
    await passes(made, within=0.1)
    assert server.asked == []
    await passes(made, within=0.4)
    assert server.asked == ["status"]


async def test_a_clock_that_was_ahead_holds_nothing_back() -> None:
    server = Api()
    ahead = datetime.now(UTC) + timedelta(hours=1)
    made, _ = reconciler(server, actions.Plan(), follows=lambda *_: ahead)
    await passes(made, within=0.3)
    assert server.asked == ["status"]


async def test_what_was_told_is_written_down_at_once() -> None:
    server = Api()
    told = (actions.Event(type="Warning", reason="a", action="b", message="c"),)
    now = datetime.now(UTC)
    made, _ = reconciler(server, actions.Plan(events=told), follows=lambda *_: now)
    await passes(made, within=0.3)
    assert server.asked == ["status", "Event"]


async def test_children_are_not_made_again_for_what_went_before_its_first_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent, "BUSY", 1)  # so that the status waits
    server = Api()
    made, queue = reconciler(
        server, actions.Plan(actions=(POD,)), follows=lambda *_: conditions.NEVER
    )
    await passes(made, within=0.1)
    assert server.asked == ["Pod", "Event"]
    server.is_gone = True
    queue.add(KEY)
    await passes(made, within=0.1)
    assert server.asked == ["Pod", "Event"]


async def test_at_once_means_at_once() -> None:
    server = Api()
    plan = actions.Plan(actions=(POD,), requeue_after=timedelta())
    made, _ = reconciler(server, plan)
    await passes(made, within=0.2)
    assert server.asked.count("Pod") > 3


async def test_a_steady_resource_is_worked_on_once() -> None:
    server = Api()
    made, _ = reconciler(server, actions.Plan())
    await passes(made, within=0.3)
    assert server.asked == ["status"]


async def test_news_of_a_status_are_told_when_it_was_written() -> None:
    server = Api()
    news = (actions.Event(type="Warning", reason="a", action="b", message="c"),)
    plan = actions.Plan(requeue_after=timedelta(milliseconds=50))
    made, _ = reconciler(server, plan, news=news)
    await passes(made, within=0.4)
    assert server.asked == ["status", "Event"]


async def test_passes_that_write_nothing_let_others_in_between() -> None:
    made, queue = reconciler(Api(), actions.Plan())
    for number in range(100):
        key = KEY._replace(name=f"demo-{number}")
        made._store.put(key, body(1, {"failures": 0}))
        queue.add(key)
    waiting: list[int] = []

    async def look() -> None:
        while not waiting or waiting[-1]:
            waiting.append(len(queue._waiting))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await passes(made, within=0.3)
    await looking
    assert len(waiting) > 100


async def test_refused_creates_back_off_by_the_pass_and_their_event_is_told_once() -> None:
    server = Api()
    server.refusal = errors.Forbidden("exceeded quota")
    made, _ = reconciler(server, actions.Plan(actions=(POD, POD, POD)))
    await passes(made, within=1.0)
    assert 2 <= server.asked.count("Pod") <= 5
    assert server.asked.count("status") == 1
    assert server.asked.count("Event") == 1


async def test_a_replica_that_may_not_write_for_a_moment_comes_back_to_its_work() -> None:
    server, leads = Api(), [False]
    made, _ = reconciler(server, actions.Plan(actions=(POD,)), may_write=lambda: leads[0])
    asyncio.get_running_loop().call_later(0.2, lambda: leads.__setitem__(0, True))
    await passes(made, within=1.0)
    assert server.asked == ["Pod", "status", "Event"]


async def test_too_much_for_one_pass_is_done_in_several() -> None:
    server = Api()
    count = actions.MOST_CHANGES + 1
    patches = tuple(dataclasses.replace(PATCH, name=f"pod-{number}") for number in range(count))
    made, _ = reconciler(server, actions.Plan(actions=(POD, *patches)))
    await passes(made, within=0.5)
    done = server.asked.index("status")
    assert server.asked[:done].count("Pod") == 1
    assert server.asked[:done].count("patch") == actions.MOST_CHANGES
    assert server.asked.count("patch") > actions.MOST_CHANGES
