"""What autoscaling costs the operator: idle clusters by the hundred, and one huge demand.

Owns: the cases. Does not own: real Ray, whose latencies the end-to-end tests print. Invariant: the
servers that stand for heads run in a process of their own, so that only the operator's part counts.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import msgspec

from benchmarks import lines
from ray_operator import (
    credentials,
    dashboard,
    heads,
    informers,
    kube,
    names,
    packers,
    pollers,
    ray_records,
    records,
    resources,
    scaling,
)
from ray_operator.autoscaler import demand, packing, scale_up
from ray_operator.protos import autoscaler_pb2 as pb
from tests.support import fake_gcs
from tests.unit import builders

CLUSTERS = 500
SETTLE_SECONDS = 20.0
"""Until every head was asked for the first time."""
MEASURE_SECONDS = 60.0
IDLE_MS = 3_600_000
SHAPES, NODES, GROUPS = 1000, 1000, 20


def run(_arguments: Sequence[str] = ()) -> None:
    """Run all cases."""
    asyncio.run(_packing())
    _idle()


def _idle() -> None:
    """Follow clusters in which nothing goes on."""
    serve = [sys.executable, "-m", "benchmarks.scaling", "serve", str(CLUSTERS)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as servers:
        assert servers.stdout is not None
        asyncio.run(_follow(json.loads(servers.stdout.readline())))
        servers.terminate()


async def _follow(ports: list[int]) -> None:
    before = _memory()
    world = _World(ports)
    await asyncio.sleep(SETTLE_SECONDS)
    cpu, wall, looks = time.process_time(), time.monotonic(), world.looks
    await asyncio.sleep(MEASURE_SECONDS)
    took = time.monotonic() - wall
    lines.show(
        f"{CLUSTERS} idle autoscaling clusters",
        share_of_a_core=round((time.process_time() - cpu) / took, 3),
        mib_beyond_the_base=round(_memory() - before, 1),
        looks_a_second=round((world.looks - looks) / took, 1),
    )
    await world.pollers.close()


async def _packing() -> None:
    """Serve a demand of many shapes, none of which is like another, beside an event loop."""
    draw = random.Random(0)
    wanted = demand.Demand(
        requests=tuple(
            (
                demand.Shape(
                    (("CPU", draw.randint(1, 80_000)), ("memory", draw.randint(1, 2**40)))
                ),
                3,
            )
            for _ in range(SHAPES)
        )
    )
    total = {"CPU": 160_000, "memory": 2**42}
    bins = tuple(
        packing.Bin("g0", {**total, "CPU": draw.randint(0, 160_000)}, total, {}, (f"n{i}",))
        for i in range(NODES)
    )
    sources = tuple(
        packing.Source(f"g{i}", 10_000, (packing.Offer({**total, "CPU": 10_000 * (i + 1)}, {}),))
        for i in range(GROUPS)
    )
    problem = scale_up.Problem(demand=wanted, bins=bins, sources=sources)
    started = time.process_time()
    scale_up.solve(problem)
    alone = time.process_time() - started
    solver = packers.Packers()
    await solver.solve(problem)  # starts the process
    held = 0.0

    async def clock() -> None:
        nonlocal held
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            held = max(held, time.thread_time() - before)

    ticking = asyncio.create_task(clock())
    await solver.solve(problem)
    ticking.cancel()
    solver.close()
    case = f"packing {SHAPES} shapes onto {NODES} nodes and {GROUPS} groups"
    lines.show(case, cpu_seconds=round(alone, 3), loop_held_ms=round(held * 1000, 1))


class _World:
    """Clusters with a head each, followed as the operator follows them."""

    def __init__(self, ports: list[int]) -> None:
        self.looks = 0
        store = resources.Resources(lambda _: None)
        pods: dict[records.Key, list[records.Pod]] = {}
        scaler = scaling.Scaler(
            cast("kube.Kube", None),
            store,
            cast("informers.Children[records.Pod]", _Pods(pods)),
            changed=self._changed,
            may_write=lambda: True,
        )
        look = scaler.look

        async def counted(*arguments: Any) -> Any:
            self.looks += 1
            return await look(*arguments)

        scaler.look = counted  # type: ignore[assignment,method-assign]
        way = heads.Heads(
            cast("kube.Kube", None),
            credentials.Credentials(server="https://nowhere"),
            connect=lambda *_: cast("dashboard.Dashboard", None),
        )
        self.pollers = pollers.Pollers(
            way, scaler=scaler, changed=self._changed, may_write=lambda: True
        )
        annotations = {names.AUTOSCALER_ANNOTATION: "operator"}
        for index, port in enumerate(ports):
            key = records.Key("RayCluster", "ns1", f"c{index}")
            metadata = {"name": key.name, "resourceVersion": "1"}
            cluster = builders.raycluster(
                groups=[builders.group(replicas=0)], enableInTreeAutoscaling=True, metadata=metadata
            )
            body = cluster.model_dump(by_alias=True, mode="json", exclude_unset=True)
            body["metadata"]["resourceVersion"] = "1"
            store.put(key, msgspec.json.decode(msgspec.json.encode(body)))
            pods[key] = [builders.pod("head", annotations=annotations)]
            head = ray_records.RayHead("uid", 0, True, "127.0.0.1", port, 0)
            self.pollers.ask(key, ray_records.Inquiry(head=head, is_scaled=True))

    def _changed(self, _: records.Key) -> None:
        """Take no notice."""


class _Pods:
    def __init__(self, pods: dict[records.Key, list[records.Pod]]) -> None:
        self._pods = pods

    def controlled_by(self, key: records.Key, _: str) -> list[records.Pod]:
        return self._pods[key]


async def _serve(count: int) -> None:
    """Stand for so many heads; print where."""
    async with AsyncExitStack() as stack:
        ports = []
        for _ in range(count):
            server = await stack.enter_async_context(fake_gcs.serving())
            head = pb.NodeState(node_id=b"h", instance_id="head", status=pb.IDLE)
            head.idle_duration_ms = IDLE_MS
            server.have(head)
            ports.append(server.port)
        print(json.dumps(ports), flush=True)
        await asyncio.Event().wait()


def _memory() -> float:
    """Return the resident set in MiB."""
    line = next(
        each for each in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in each
    )
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(_serve(int(sys.argv[2])))
    else:
        run()
