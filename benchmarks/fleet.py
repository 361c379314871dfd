"""Many clusters on simulated nodes, beside the same objects made without any operator.

Owns: the cases, and what is measured of each. Does not own: the control plane. Invariant: what is
compared is measured in the same run, and seen through a client's watch.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from benchmarks import control_plane
from ray_operator import credentials, errors, kube, records
from tests.api import operators
from tests.support.rulebook import example

WORKERS = 3
AT_ONCE = 64
"""Requests that the client of the cases has under way."""
WITHIN_SECONDS = 1800.0
NAMESPACE = "default"
PROGRAMS = ("kubernetes", "kwok")
LARGE = 1000
QUEUE = "workqueue_queue_duration_seconds"
_KINDS = {"Pod": records.PODS, "Service": records.SERVICES}


def run(arguments: Sequence[str] = ()) -> None:
    """Run the cases of `python -m benchmarks fleet`, in a network namespace of their own."""
    parser = argparse.ArgumentParser(prog="benchmarks fleet")
    parser.add_argument("counts", nargs="*", type=int, default=[100, 1000])
    parser.add_argument("--rest", type=float, default=600.0, help="seconds of rest to measure")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if not given.inside:
        control_plane.programs(*PROGRAMS)
        control_plane.enclose("-m", "benchmarks", "fleet", "--inside", *arguments)
    programs = control_plane.programs(*PROGRAMS)
    for count in given.counts:
        with control_plane.running(programs) as plane, tempfile.TemporaryDirectory() as folder:
            case = _Case(plane, Path(folder) / "operator.log", count)
            asyncio.run(case.run(given.rest))


class _State(msgspec.Struct):
    state: str = ""
    phase: str = ""


class _Metadata(msgspec.Struct):
    name: str = ""  # a bookmark has none


class _Item(msgspec.Struct):
    metadata: _Metadata
    status: _State = msgspec.field(default_factory=_State)


class _Event(msgspec.Struct):
    type: str
    object: _Item


_EVENTS = msgspec.json.Decoder(_Event)


class _Spent:
    """What an operator has spent since this was made."""

    def __init__(self, plane: control_plane.ControlPlane, port: int, pid: int) -> None:
        self._plane, self._port, self._pid = plane, port, pid
        self._cpu, self._passes = self._now()
        self._waits = _buckets(port)
        self._since = plane.audit.stat().st_size if plane.audit.exists() else 0

    def _now(self) -> tuple[float, float]:
        cpu = operators.counted(self._port, "process_cpu_seconds_total")
        return cpu, operators.passes(self._port)

    def told(self) -> dict[str, Any]:
        """Return CPU seconds, MiB, passes, seconds in the queue, and requests."""
        cpu, passes = self._now()
        requests = self._plane.requests(self._since)
        waits = {edge: n - self._waits.get(edge, 0) for edge, n in _buckets(self._port).items()}
        return {
            "cpu_seconds": round(cpu - self._cpu, 3),
            "rss_mib": _memory(self._pid, "VmRSS"),
            "peak_rss_mib": _memory(self._pid, "VmHWM"),
            "passes": round(passes - self._passes),
            "queued_p50": _quantile(waits, 0.5),
            "queued_p99": _quantile(waits, 0.99),
            "requests": dict(sorted(requests.items())),
            "writes": sum(n for what, n in requests.items() if _is_write(what)),
        }


class _Case:
    """So many clusters, from their creation to their end."""

    def __init__(self, plane: control_plane.ControlPlane, log: Path, count: int) -> None:
        self._plane, self._log, self._count = plane, log, count

    async def run(self, rest_seconds: float) -> None:
        """Print a line for each part."""
        with operators.launched(self._plane.operator, self._log) as (process, port):
            _wait_up(port)
            async with _client(self._plane) as client:
                made = await self._measured("create", port, process.pid, self._create(client))
                await asyncio.sleep(20)  # until the last event is sent
                await self._measured("at rest", port, process.pid, asyncio.sleep(rest_seconds))
                template = await _children(client, "many-0")
        with operators.launched(self._plane.operator, self._log) as (process, port):
            await self._restarted(port, process.pid)
            async with _client(self._plane) as client:
                await self._measured("delete", port, process.pid, self._delete(client))
                if self._count <= LARGE:
                    await self._large(client, port, process.pid)
        async with _client(self._plane) as client:
            floor = await self._floor(client, template)
        _print("floor", self._count, {"seconds": round(floor, 2), "times": round(made / floor, 2)})

    async def _measured(
        self, case: str, port: int, pid: int, work: Awaitable[object], **more: object
    ) -> float:
        spent = _Spent(self._plane, port, pid)
        started = time.monotonic()
        await work
        took = time.monotonic() - started
        _print(case, self._count, {"seconds": round(took, 2), **spent.told(), **more})
        return took

    async def _create(self, client: kube.Kube) -> None:
        names = {f"many-{number}" for number in range(self._count)}
        async with _seen(client, records.RAYCLUSTERS) as seen:
            await _at_once(
                client.create(records.RAYCLUSTERS, NAMESPACE, _cluster(name)) for name in names
            )
            await seen(lambda there: all(_is(there, name, "ready") for name in names))

    async def _restarted(self, port: int, pid: int) -> None:
        """Wait until every cluster had its first pass, and nobody waits for another."""
        started = time.monotonic()
        while True:
            await asyncio.sleep(0.1)
            if not operators.is_up(port):
                continue
            waits = operators.counted(port, "workqueue_depth")
            if operators.passes(port) >= self._count and not waits:
                break
        caught_up = time.monotonic() - started
        cpu = operators.counted(port, "process_cpu_seconds_total")
        await asyncio.sleep(5)
        _print(
            "restart",
            self._count,
            {
                "seconds": round(caught_up, 2),
                "cpu_seconds": round(cpu, 2),
                "rss_mib": _memory(pid, "VmRSS"),
                "peak_rss_mib": _memory(pid, "VmHWM"),
                "writes": operators.writes(port),
            },
        )

    async def _delete(self, client: kube.Kube) -> None:
        async with _seen(client, records.PODS) as seen:
            await _at_once(_deletions(client, await _uids(client)))
            await seen(lambda there: not there)

    async def _large(self, client: kube.Kube, port: int, pid: int) -> None:
        async def scaled(count: int) -> None:
            async with _seen(client, records.PODS) as seen:
                if count:
                    manifest = _cluster("large", workers=count)
                    await client.create(records.RAYCLUSTERS, NAMESPACE, manifest)
                else:
                    path = "/spec/workerGroupSpecs/0/replicas"
                    change = [{"op": "replace", "path": path, "value": 0}]
                    await client.patch_exactly(
                        records.RAYCLUSTERS, NAMESPACE, "large", operations=change
                    )
                await seen(
                    lambda there: (
                        len(there) == count + 1
                        and all(each.status.phase == "Running" for each in there.values())
                    )
                )

        await self._measured("one cluster up", port, pid, scaled(LARGE), workers=LARGE)
        await self._measured("one cluster down", port, pid, scaled(0), workers=LARGE)
        async with _seen(client, records.PODS) as seen:
            await _at_once(_deletions(client, await _uids(client)))
            await seen(lambda there: not there)

    async def _floor(self, client: kube.Kube, template: list[dict[str, Any]]) -> float:
        """Make the same objects bare, with a status write each; return the seconds."""

        async def one(name: str, up: Callable[[str, int], Awaitable[None]]) -> None:
            stored = await client.create(records.RAYCLUSTERS, NAMESPACE, _cluster(name))
            pods = 0
            for child in template:
                manifest = msgspec.json.decode(
                    msgspec.json.encode(child).replace(b"many-0", name.encode())
                )
                await client.create(_KINDS[child["kind"]], NAMESPACE, manifest)
                pods += child["kind"] == "Pod"
            await up(name, pods)
            version = json.loads(stored)["metadata"]["resourceVersion"]
            await client.patch_status(
                records.RAYCLUSTERS,
                NAMESPACE,
                name,
                status={"state": "ready"},
                resource_version=version,
            )

        running: Counter[str] = Counter()
        ready: dict[str, asyncio.Event] = {}

        async def up(name: str, pods: int) -> None:
            event = ready.setdefault(name, asyncio.Event())
            if running[name] < pods:
                await event.wait()

        async def follow() -> None:
            known = set()
            async for event in _events(client, records.PODS):
                pod = event.object.metadata.name
                if event.object.status.phase == "Running" and pod not in known:
                    known.add(pod)
                    name = "-".join(pod.split("-")[:2])
                    running[name] += 1
                    if running[name] == 1 + WORKERS:
                        ready.setdefault(name, asyncio.Event()).set()

        async with _seen(client, records.RAYCLUSTERS) as seen:
            following = asyncio.create_task(follow())
            await asyncio.sleep(0.5)
            started = time.monotonic()
            names = [f"bare-{number}" for number in range(self._count)]
            await asyncio.gather(*(one(name, up) for name in names))
            await seen(lambda there: all(_is(there, name, "ready") for name in names))
            took = time.monotonic() - started
            following.cancel()
        return took


def _cluster(name: str, *, workers: int = WORKERS) -> dict[str, Any]:
    group = {
        "groupName": "workers",
        "replicas": workers,
        "minReplicas": 0,
        "maxReplicas": 2 * LARGE,
        "template": example.template(),
    }
    changes: dict[str, Any] = {"spec/workerGroupSpecs": [group]}
    return example.manifest("RayCluster", changes, name=name)


async def _children(client: kube.Kube, name: str) -> list[dict[str, Any]]:
    """Return the Pods and Services of a cluster as somebody else could make them."""
    found = []
    for kind, resource in _KINDS.items():
        listed = await client.list(resource, namespace=NAMESPACE, selector=f"ray.io/cluster={name}")
        for index, each in enumerate(json.loads(listed)["items"]):
            metadata, spec = each["metadata"], each["spec"]
            for given in ("nodeName", "clusterIP", "clusterIPs"):
                if spec.get(given) != "None":
                    spec.pop(given, None)
            own = {field: metadata.get(field) or {} for field in ("labels", "annotations")}
            shown = {"apiVersion": "v1", "kind": kind, "spec": spec}
            found.append({**shown, "metadata": {"name": f"{name}-{kind.lower()}{index}", **own}})
    return found


async def _uids(client: kube.Kube) -> dict[str, str]:
    listed = json.loads(await client.list(records.RAYCLUSTERS, namespace=NAMESPACE))
    return {each["metadata"]["name"]: each["metadata"]["uid"] for each in listed["items"]}


def _deletions(client: kube.Kube, uids: dict[str, str]) -> Iterator[Awaitable[object]]:
    for name, uid in uids.items():
        yield client.delete(records.RAYCLUSTERS, NAMESPACE, name, uid=uid)


async def _at_once(calls: Iterable[Awaitable[object]]) -> None:
    """Make the calls, a bounded number of them at a time."""
    waiting = iter(calls)

    async def some() -> None:
        for call in waiting:
            await call

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


Until = Callable[[Callable[[dict[str, _Item]], bool]], Awaitable[None]]


@asynccontextmanager
async def _seen(client: kube.Kube, resource: records.Resource) -> AsyncIterator[Until]:
    """Follow a resource; what is yielded waits until something holds of what is seen."""
    there: dict[str, _Item] = {}
    changed = asyncio.Event()

    async def follow() -> None:
        async for event in _events(client, resource):
            if event.type == "DELETED":
                there.pop(event.object.metadata.name, None)
            else:
                there[event.object.metadata.name] = event.object
            changed.set()

    async def until(holds: Callable[[dict[str, _Item]], bool]) -> None:
        async with asyncio.timeout(WITHIN_SECONDS):
            while not holds(there):
                changed.clear()
                wakening = asyncio.create_task(changed.wait())
                await asyncio.wait([wakening, following], return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    await following
                await asyncio.sleep(0.02)

    following = asyncio.create_task(follow())
    try:
        yield until
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _events(client: kube.Kube, resource: records.Resource) -> AsyncIterator[_Event]:
    """Yield what is there, and what changes; starts anew when the watch ends."""
    while True:
        try:
            async for line in client.watch(
                resource, namespace=NAMESPACE, selector="", resource_version="0"
            ):
                event = _EVENTS.decode(line)
                if event.type != "BOOKMARK":
                    yield event
        except errors.KubeError:
            await asyncio.sleep(0.1)


def _is(there: dict[str, _Item], name: str, state: str) -> bool:
    return name in there and there[name].status.state == state


@asynccontextmanager
async def _client(plane: control_plane.ControlPlane) -> AsyncIterator[kube.Kube]:
    access = credentials.from_kubeconfig(plane.admin.kubeconfig)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield kube.Kube(session, access, user_agent="benchmark")


def _wait_up(port: int) -> None:
    while not operators.is_up(port):
        time.sleep(0.1)
    time.sleep(3)


def _is_write(request: str) -> bool:
    verb, _, resource = request.partition(" ")
    return verb in {"create", "update", "patch", "delete", "deletecollection"} and not (
        resource.startswith("leases")
    )


def _buckets(port: int) -> dict[float, int]:
    """Return how many keys waited at most so long, by seconds."""
    _, text = operators.get(port, "/metrics")
    found: Counter[float] = Counter()
    for line in text.splitlines():
        if line.startswith(f"{QUEUE}_bucket"):
            edge = line.partition('le="')[2].partition('"')[0]
            found[float(edge.replace("+Inf", "inf"))] += int(float(line.split()[-1]))
    return dict(sorted(found.items()))


def _quantile(buckets: dict[float, int], share: float) -> float:
    """Return the upper edge of the bucket that the quantile is in."""
    most = max(buckets.values(), default=0)
    return next((edge for edge, count in buckets.items() if count >= share * most), 0.0)


def _memory(pid: int, what: str) -> float:
    """Return the resident set (`VmRSS`), or the most that it ever was (`VmHWM`), in MiB."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(int(next(line for line in status if what in line).split()[1]) / 1024, 1)


def _print(case: str, clusters: int, found: dict[str, Any]) -> None:
    machine = f"{os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(json.dumps({"case": case, "clusters": clusters, **found, "on": machine}), flush=True)
