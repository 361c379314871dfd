"""What is made of a decision: Ray is asked first, then one patch is written, then Ray is told.

A small server here answers like a GCS; that a GCS answers so is for the end-to-end tests.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, cast

import msgspec
import prometheus_client
import pytest

from ray_operator import (
    actions,
    errors,
    gcs,
    informers,
    kube,
    names,
    records,
    resources,
    scaling,
    scaling_records,
)
from ray_operator.autoscaler import decide, explain, scale_down
from ray_operator.protos import autoscaler_pb2 as pb
from tests.support import fake_gcs
from tests.unit import builders

KEY = records.Key("RayCluster", "ns1", "demo")
HEAD = builders.pod("head", annotations={names.AUTOSCALER_ANNOTATION: "operator"})
IDLE_MS = 60_000
NO_DRIVERS = scaling_records.Drivers(builders.NOW, 0)


class Api:
    """Take in patches of the RayCluster, and events."""

    def __init__(self, stored: dict[str, Any]) -> None:
        self.stored = stored
        self.patches: list[Sequence[dict[str, Any]]] = []
        self.events: list[str] = []
        self.refusals = 0

    async def patch_exactly(
        self, *_: object, operations: Sequence[dict[str, Any]], **__: object
    ) -> bytes:
        if self.refusals:
            self.refusals -= 1
            raise errors.Invalid("the test failed", status=422)
        self.patches.append(operations)
        group = self.stored["spec"]["workerGroupSpecs"][0]
        for each in operations:
            if each["op"] != "test":
                group[each["path"].rpartition("/")[2]] = each["value"]
        version = int(self.stored["metadata"]["resourceVersion"]) + 1
        self.stored["metadata"] |= {"resourceVersion": str(version), "generation": version}
        return msgspec.json.encode(self.stored)

    async def create(self, resource: records.Resource, _: str, manifest: actions.Manifest) -> bytes:
        assert resource == records.EVENTS
        self.events.append(manifest["reason"])
        return b"{}"

    def changed(self) -> dict[str, Any]:
        """Return the fields that the newest patch sets."""
        return {
            each["path"].rpartition("/")[2]: each["value"]
            for each in self.patches[-1]
            if each["op"] != "test"
        }


class Scaled:
    """A cluster of a group, its Pods, and its scaler."""

    def __init__(self, server: fake_gcs.FakeGcs, *workers: str, may_write: bool = True) -> None:
        group = builders.group(replicas=len(workers), idleTimeoutSeconds=10)
        cluster = builders.raycluster(groups=[group], enableInTreeAutoscaling=True)
        body = cluster.model_dump(by_alias=True, mode="json", exclude_unset=True)
        body["metadata"] |= {"resourceVersion": "1"}
        self.api = Api(body)
        self.store = resources.Resources(lambda _: None)
        self.store.put(KEY, msgspec.json.decode(msgspec.json.encode(body)))
        self.pods = [HEAD, *map(builders.worker, workers)]
        self.news: list[records.Key] = []
        self.server = server
        self.client = gcs.Gcs("127.0.0.1", server.port)
        self.scaler = scaling.Scaler(
            cast("kube.Kube", self.api),
            self.store,
            cast("informers.Children[records.Pod]", self),
            changed=self.news.append,
            may_write=lambda: may_write,
        )
        total = {"CPU": 1.0}
        self.head = pb.NodeState(node_id=b"h", instance_id="head", status=pb.IDLE)
        self.nodes = [
            pb.NodeState(
                node_id=name.encode(),
                instance_id=name,
                status=pb.IDLE,
                idle_duration_ms=IDLE_MS,
                total_resources=total,
                available_resources=total,
            )
            for name in workers
        ]
        server.have(self.head, *self.nodes)

    def controlled_by(self, _: records.Key, __: str) -> list[records.Pod]:
        return self.pods

    async def look(self, times: int = 1) -> timedelta:
        """Look; return when to look again."""
        for _ in range(times):
            state = await self.client.resource_state()
            again = await self.scaler.look(KEY, self.client, state, NO_DRIVERS)
        return again

    def want(self, count: int, **amounts: float) -> None:
        request = pb.ResourceRequest(resources_bundle=amounts)
        self.server.state.pending_resource_requests.append(
            pb.ResourceRequestByCount(request=request, count=count)
        )


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other sooner here than a second."""
    monkeypatch.setattr(scale_down, "SURELY", timedelta())


@pytest.fixture
async def server() -> AsyncIterator[fake_gcs.FakeGcs]:
    async with fake_gcs.serving() as made:
        yield made


async def test_a_demand_is_one_patch(server: fake_gcs.FakeGcs) -> None:
    scaled = Scaled(server)
    scaled.want(40, CPU=1)
    await scaled.look()
    guards = [each for each in scaled.api.patches[0] if each["op"] == "test"]
    assert [(each["path"], each["value"]) for each in guards] == [
        ("/metadata/uid", builders.UID),
        ("/spec/workerGroupSpecs/0/groupName", "small"),
        ("/spec/workerGroupSpecs/0/replicas", 0),
    ]
    assert scaled.api.changed() == {"replicas": 5}
    assert scaled.api.events == ["ScaledUp"]
    await scaled.look(3)
    assert len(scaled.api.patches) == 1
    assert {len(each.pending_instance_requests) for each in server.reports} == {5}
    (config,) = server.configs
    (group,) = config.node_group_configs
    assert (group.name, group.max_count, dict(group.resources)["CPU"]) == ("small", 5, 1)


async def test_the_last_seen_version_is_never_told(server: fake_gcs.FakeGcs) -> None:
    """A GCS that started anew dies of one that is greater than its own."""
    await Scaled(server, "a").look(3)
    assert set(server.asked) == {b""}


async def test_a_worker_goes_only_if_ray_lets_it(server: fake_gcs.FakeGcs) -> None:
    scaled = Scaled(server, "a", "b")
    server.refuses_idle = True
    await scaled.look(5)
    assert [node for node, _, __ in server.drained] == [b"a", b"b"]  # and not again at once
    assert scaled.api.patches == []


async def test_nodes_that_left_and_the_patch_go_together(server: fake_gcs.FakeGcs) -> None:
    scaled = Scaled(server, "a", "b")
    await scaled.look(3)
    assert scaled.api.changed() == {
        "replicas": 0,
        "scaleStrategy": {"workersToDelete": ["a", "b"]},
    }
    assert scaled.api.events == ["ScaledDown"]
    scaled.pods = [HEAD]
    await scaled.look()
    assert scaled.api.changed() == {"scaleStrategy": {"workersToDelete": []}}


async def test_a_patch_that_is_refused_is_made_anew(
    server: fake_gcs.FakeGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_down, "DEAD_FOR", scale_down.DEAD_FOR * 0)
    scaled = Scaled(server, "a")
    scaled.api.refusals = 1
    await scaled.look(3)
    assert (scaled.api.patches, scaled.api.events) == ([], [])
    await scaled.look(2)
    assert scaled.api.changed() == {"replicas": 0, "scaleStrategy": {"workersToDelete": ["a"]}}


async def test_who_may_not_write_changes_nothing(server: fake_gcs.FakeGcs) -> None:
    scaled = Scaled(server, "a", may_write=False)
    scaled.want(9, CPU=1)
    await scaled.look(5)
    assert (scaled.api.patches, server.drained, server.reports) == ([], [], [])


async def test_a_gcs_that_does_not_answer_is_told(server: fake_gcs.FakeGcs) -> None:
    scaled = Scaled(server, "a")
    for _ in range(scaling.MISSES):
        scaled.scaler.miss(KEY, "refused")
    standing = scaled.scaler.standing(KEY)
    assert standing is not None
    assert standing.trouble == "the head's GCS doesn't answer: refused"
    assert scaled.news == [KEY]
    await scaled.look()
    standing = scaled.scaler.standing(KEY)
    assert standing is not None
    assert standing.trouble == ""


async def test_an_older_ray_is_asked_once(server: fake_gcs.FakeGcs) -> None:
    server.is_old = True
    scaled = Scaled(server)
    await scaled.look(3)
    assert server.refused == 1
    assert len(server.reports) > 0


async def test_what_nothing_can_hold_is_told_once(server: fake_gcs.FakeGcs) -> None:
    scaled = Scaled(server)
    scaled.want(1, CPU=64)
    await scaled.look(3)
    assert scaled.api.events == ["InfeasibleRequest"]
    assert len(server.reports[-1].infeasible_resource_requests) == 1


async def test_an_empty_cluster_is_left_alone_only_after_a_while(
    server: fake_gcs.FakeGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaled = Scaled(server)
    assert await scaled.look(3) == decide.Pace.BUSY
    monkeypatch.setattr(decide, "STILL_BUSY", timedelta())
    assert await scaled.look(3) == decide.Pace.QUIET
    monkeypatch.setattr(decide, "QUIET_AFTER", timedelta())
    assert await scaled.look(3) == decide.Pace.SLEEPY


async def test_a_cluster_that_was_idle_before_the_first_look_is_left_alone(
    server: fake_gcs.FakeGcs,
) -> None:
    scaled = Scaled(server)
    scaled.head.idle_duration_ms = 3_600_000
    server.have(scaled.head)
    assert await scaled.look() == decide.Pace.SLEEPY


async def test_a_large_problem_holds_up_nobody(server: fake_gcs.FakeGcs) -> None:
    scaled = Scaled(server)
    for i in range(1000):
        scaled.want(1, CPU=1 + i / 1000, memory=float(i))
    scaled.server.have(
        scaled.head,
        *(
            pb.NodeState(node_id=str(i).encode(), instance_id=f"n{i}", status=pb.RUNNING)
            for i in range(1000)
        ),
    )
    scaled.pods += [builders.worker(f"n{i}") for i in range(1000)]
    held: list[float] = []

    async def clock() -> None:
        while True:
            before = time.thread_time()  # of which a busy machine takes nothing
            await asyncio.sleep(0)
            held.append(time.thread_time() - before)

    state = await scaled.client.resource_state()
    gc.collect()
    gc.freeze()  # what other tests have left takes its time, too
    ticking = asyncio.create_task(clock())
    await scaled.scaler.look(KEY, scaled.client, state, NO_DRIVERS)
    ticking.cancel()
    gc.unfreeze()
    standing = scaled.scaler.standing(KEY)
    assert standing is not None
    assert sum(each.count for each in standing.unmet) == explain.MOST
    scaled.scaler.close()
    assert max(held) < 0.05


async def test_what_is_not_essential_keeps_nothing_back(server: fake_gcs.FakeGcs) -> None:
    scaled = Scaled(server)
    server.fails.add("ReportAutoscalingState")
    scaled.want(1, CPU=1)
    await scaled.look()
    assert scaled.api.changed() == {"replicas": 1}
    assert scaled.api.events == ["ScaledUp"]


async def test_a_node_that_cannot_be_told_stays(server: fake_gcs.FakeGcs) -> None:
    scaled = Scaled(server, "a")
    server.fails.add("DrainNode")
    await scaled.look(4)
    assert scaled.api.patches == []


async def test_metrics_of_what_is_gone_are_gone(server: fake_gcs.FakeGcs) -> None:
    scaled = Scaled(server, "a")
    await scaled.look()
    labels = {"namespace": "ns1", "name": "demo", "group": "small", "state": "running"}
    name = "ray_operator_worker_group_replicas"
    assert prometheus_client.REGISTRY.get_sample_value(name, labels) == 1
    scaled.scaler.forget(KEY)
    assert prometheus_client.REGISTRY.get_sample_value(name, labels) is None
    assert scaled.scaler.standing(KEY) is None
