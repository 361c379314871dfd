"""Many clusters on simulated nodes, beside the same objects made without any operator.

Owns: the cases, and what is measured of each. Does not own: the control plane. Invariant: what is
compared is measured in the same run on a warm API server, and seen through a client's watch.

An API server that has just started gives a watch room for ten events, and ends those of whoever is
slower, which then begin again with all that they missed. The floor comes on a warm one, so the
clusters are made once before they are measured; what that first time takes is told, too. The
machine's speed drifts within minutes, so creation and floor take turns.
"""

import argparse
import asyncio
import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import control_plane, environment, heads, lines, spending, watching
from ray_operator import kube, records
from tests.api import operators
from tests.support.rulebook import example

WORKERS = 3
LARGE = 1000
CALM_SECONDS = 30.0
"""After a deletion, whose remains the controllers still clear up."""
QUIET_SECONDS = 20.0
_KINDS = {"Pod": records.PODS, "Service": records.SERVICES}


def run(arguments: Sequence[str] = ()) -> None:
    """Run the cases of `python -m benchmarks fleet`, in a network namespace of their own."""
    parser = argparse.ArgumentParser(prog="benchmarks fleet")
    parser.add_argument("counts", nargs="*", type=int, default=[100, 1000])
    parser.add_argument("--rest", type=float, default=600.0, help="seconds of rest to measure")
    parser.add_argument("--rounds", type=int, default=3, help="of creation and floor, in turn")
    given = parser.parse_args(arguments)
    control_plane.enclose("fleet", *arguments)
    for count in given.counts:
        with control_plane.running() as plane, tempfile.TemporaryDirectory() as folder:
            case = _Case(plane, Path(folder) / "operator.log", count)
            asyncio.run(case.run(rounds=given.rounds, rest_seconds=given.rest))


class _Case:
    """So many clusters, from their creation to their end."""

    def __init__(self, plane: control_plane.ControlPlane, log: Path, count: int) -> None:
        self._plane, self._log, self._count = plane, log, count

    async def run(self, *, rounds: int, rest_seconds: float) -> None:
        """Print a line for each part; `rounds` of creation and floor, the last with all else."""
        async with heads.answering():
            template = await self._warm_up()
            times = []
            for number in range(1, rounds + 1):
                is_last = number == rounds
                made = await self._created(rest_seconds if is_last else None)
                await (self._long_parts() if is_last else self._delete())
                floor = await self._floor("floor", template)
                times.append(round(made / floor, 2))
            owned = await self._floor("floor, owned", template, is_owned=True)
        lines.show("creation by floor", clusters=self._count, times=times)
        lines.show("creation by owned floor", clusters=self._count, times=round(made / owned, 2))

    async def _warm_up(self) -> list[dict[str, Any]]:
        """Have the API server know as many objects as there will be; return those of a cluster."""
        async with self._fresh() as (client, port, pid):
            first = min(self._count, LARGE)
            creation = _create(client, first)
            await self._measured("create, cold", port, pid, creation, clusters=first)
            template = await _children(client, "many-0")
            await watching.delete_all(client)
        await asyncio.sleep(CALM_SECONDS)
        return template

    async def _created(self, rest_seconds: float | None) -> float:
        async with self._fresh() as (client, port, pid):
            creation = _create(client, self._count)
            made = await self._measured("create", port, pid, creation, until=_quiet(self._plane))
            if rest_seconds is not None:
                await self._measured("at rest", port, pid, asyncio.sleep(rest_seconds))
        return made

    async def _delete(self) -> None:
        async with watching.connected(self._plane) as client:
            await watching.delete_all(client)

    async def _long_parts(self) -> None:
        since = self._plane.written()
        with self._operator() as (process, port):
            await self._restarted(port, process.pid, since)
            async with watching.connected(self._plane) as client:
                await self._measured("delete", port, process.pid, watching.delete_all(client))
                if self._count <= LARGE:
                    await self._large(client, port, process.pid)

    async def _floor(
        self, case: str, template: list[dict[str, Any]], *, is_owned: bool = False
    ) -> float:
        """Make the same objects without any operator, and delete them; return the seconds."""
        await asyncio.sleep(CALM_SECONDS)
        async with watching.connected(self._plane) as client:
            spent = spending.Processes()
            took = await self._by_hand(client, template, is_owned=is_owned)
            self._show(case, seconds=took, cpu=spent.told())
            await self._clear(client)
        await asyncio.sleep(CALM_SECONDS)
        return took

    @asynccontextmanager
    async def _fresh(self) -> AsyncIterator[tuple[kube.Kube, int, int]]:
        """Start an operator; yield a client, the port of its metrics and its pid."""
        with self._operator() as (process, port):
            operators.wait_up(port)
            async with watching.connected(self._plane) as client:
                yield client, port, process.pid

    def _operator(self) -> AbstractContextManager[tuple[subprocess.Popen[bytes], int]]:
        flags = (
            "--enable-leader-election=true",
            f"--leader-election-namespace={control_plane.SYSTEM}",
        )
        return operators.launched(
            self._plane.operator, self._log, *flags, python=environment.PYTHON
        )

    async def _measured(
        self,
        case: str,
        port: int,
        pid: int,
        work: Awaitable[object],
        *,
        until: Awaitable[object] | None = None,
        **more: object,
    ) -> float:
        """Show what `work` took, and what was spent by then, or `until` after that."""
        spent, processes = spending.Spent(self._plane, port, pid), spending.Processes()
        started = time.monotonic()
        await work
        took = time.monotonic() - started
        if until is not None:
            await until
        self._show(case, seconds=took, **spent.told(), cpu=processes.told(), **more)
        return took

    def _show(self, case: str, *, seconds: float, **found: object) -> None:
        lines.show(case, **{"clusters": self._count, "seconds": round(seconds, 2), **found})

    async def _restarted(self, port: int, pid: int, since: int) -> None:
        """Wait until every cluster had its first pass, and nobody waits for another.

        `since` is how much had been asked before it started.
        """
        started = time.monotonic()
        while True:
            await asyncio.sleep(0.25)
            if self._has_caught_up(port):
                break
        caught_up = time.monotonic() - started
        cpu = operators.counted(port, "process_cpu_seconds_total")
        await _quiet(self._plane)
        self._show(
            "restart",
            seconds=caught_up,
            cpu_seconds=round(cpu, 2),
            rss_mib=spending.memory(pid, "VmRSS"),
            peak_rss_mib=spending.memory(pid, "VmHWM"),
            **spending.asked(self._plane, since),
        )

    def _has_caught_up(self, port: int) -> bool:
        try:
            _, text = operators.get(port, "/metrics")  # once: it costs the operator 10 ms or so
        except OSError:  # not there yet, or busy
            return False
        waits = operators.added(text, "workqueue_depth")
        return operators.added(text, operators.PASSES) >= self._count and not waits

    async def _large(self, client: kube.Kube, port: int, pid: int) -> None:
        """Scale one cluster from nothing up, and down to nothing again."""

        async def run(count: int) -> None:
            await until(
                lambda there: (
                    len(there) == count + 1
                    and all(each.status.phase == "Running" for each in there.values())
                )
            )

        async def scaled(count: int) -> None:
            path = "/spec/workerGroupSpecs/0/replicas"
            change = [{"op": "replace", "path": path, "value": count}]
            await client.patch_exactly(
                records.RAYCLUSTERS, watching.NAMESPACE, "large", operations=change
            )
            await run(count)

        async with watching.seen(client, records.PODS) as until:
            manifest = _cluster("large", workers=0)
            await client.create(records.RAYCLUSTERS, watching.NAMESPACE, manifest)
            await run(0)
            await self._measured("one cluster up", port, pid, scaled(LARGE), workers=LARGE)
            await self._measured("one cluster down", port, pid, scaled(0), workers=LARGE)
        await watching.delete_all(client)

    async def _clear(self, client: kube.Kube) -> None:
        """Delete what has no owner, too."""
        now = ("--all", "--wait=false", "--force", "--grace-period=0")
        self._plane.admin.kubectl("-n", watching.NAMESPACE, "delete", "pods,services", *now)
        await watching.delete_all(client)

    async def _by_hand(
        self, client: kube.Kube, template: list[dict[str, Any]], *, is_owned: bool
    ) -> float:
        """Make the same objects, with a status write each; return the seconds.

        Bare ones spare the garbage collector all work, which no operator can; `is_owned` doesn't.
        """

        async def one(name: str, up: Callable[[str, int], Awaitable[None]]) -> None:
            stored = await client.create(records.RAYCLUSTERS, watching.NAMESPACE, _cluster(name))
            made = json.loads(stored)["metadata"]
            owner = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "uid": made["uid"]}
            owner |= {"name": name, "controller": True, "blockOwnerDeletion": True}
            pods = 0
            for child in template:
                manifest = msgspec.json.decode(
                    msgspec.json.encode(child).replace(b"many-0", name.encode())
                )
                if is_owned:
                    manifest["metadata"]["ownerReferences"] = [owner]
                await client.create(_KINDS[child["kind"]], watching.NAMESPACE, manifest)
                pods += child["kind"] == "Pod"
            await up(name, pods)
            await client.patch_status(
                records.RAYCLUSTERS,
                watching.NAMESPACE,
                name,
                status={"state": "ready"},
                resource_version=made["resourceVersion"],
            )

        running: Counter[str] = Counter()
        ready: dict[str, asyncio.Event] = {}

        async def up(name: str, pods: int) -> None:
            event = ready.setdefault(name, asyncio.Event())
            if running[name] < pods:
                await event.wait()

        async def follow() -> None:
            known = set()
            async for event in watching.events(client, records.PODS):
                pod = event.object.metadata.name
                if event.object.status.phase == "Running" and pod not in known:
                    known.add(pod)
                    name = "-".join(pod.split("-")[:2])
                    running[name] += 1
                    if running[name] == 1 + WORKERS:
                        ready.setdefault(name, asyncio.Event()).set()

        async with watching.seen(client, records.RAYCLUSTERS) as seen:
            following = asyncio.create_task(follow())
            await asyncio.sleep(0.5)
            started = time.monotonic()
            names = [f"bare-{number}" for number in range(self._count)]
            await asyncio.gather(*(one(name, up) for name in names))
            await seen(lambda there: all(watching.is_in(there, name, "ready") for name in names))
            took = time.monotonic() - started
            following.cancel()
        return took


async def _create(client: kube.Kube, count: int) -> None:
    names = {f"many-{number}" for number in range(count)}
    async with watching.seen(client, records.RAYCLUSTERS) as seen:
        await watching.at_once(
            client.create(records.RAYCLUSTERS, watching.NAMESPACE, _cluster(name)) for name in names
        )
        await seen(lambda there: all(watching.is_in(there, name, "ready") for name in names))


async def _quiet(plane: control_plane.ControlPlane) -> None:
    """Wait until nothing was written for a while: statuses that are no news come last."""
    while True:
        since = plane.written()
        await asyncio.sleep(QUIET_SECONDS)
        if not spending.asked(plane, since)["writes"]:
            return


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
        listed = await client.list(
            resource, namespace=watching.NAMESPACE, selector=f"ray.io/cluster={name}"
        )
        for index, each in enumerate(json.loads(listed)["items"]):
            metadata, spec = each["metadata"], each["spec"]
            for given in ("nodeName", "clusterIP", "clusterIPs"):
                if spec.get(given) != "None":
                    spec.pop(given, None)
            own = {field: metadata.get(field) or {} for field in ("labels", "annotations")}
            shown = {"apiVersion": "v1", "kind": kind, "spec": spec}
            found.append({**shown, "metadata": {"name": f"{name}-{kind.lower()}{index}", **own}})
    return found
