"""What heads that never answer cost the others: RayJobs on them, beside fresh RayClusters.

Owns: the cases. Does not own: the control plane, where the silent address is, or heads that do
answer. Invariant: as many RayJobs in each case; only how many of their heads are silent differs.

The operator isn't in a Pod, as kwok runs none: it is beside them, in the same network namespace.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import control_plane, environment, heads, lines, spending, watching
from ray_operator import kube, records
from tests.api import operators
from tests.support.rulebook import example

JOBS = 100
SILENT = (0, 1, 100)
FRESH, EVERY_SECONDS = 100, 0.25
"""RayClusters that are made one after the other, and how long after each other."""
SETTLE_SECONDS = 20.0
ROUNDS = 2
"""Of all cases, in random order."""


def run(arguments: Sequence[str] = ()) -> None:
    """Run the cases of `python -m benchmarks silence`, in a network namespace of their own."""
    parser = argparse.ArgumentParser(prog="benchmarks silence")
    parser.add_argument("silent", nargs="*", type=int, default=SILENT, help="of 100 heads")
    given = parser.parse_args(arguments)
    control_plane.enclose("silence", *arguments)
    with control_plane.running(names=True) as plane, tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "operator.log"
        launched = operators.launched(plane.operator, log, python=environment.PYTHON)
        with launched as (process, port):
            operators.wait_up(port)
            asyncio.run(_warm_up(plane))
            for number in range(ROUNDS):
                for silent in random.sample(given.silent, len(given.silent)):
                    asyncio.run(_case(plane, port, process.pid, silent, f"{number}-{silent}"))


async def _warm_up(plane: control_plane.ControlPlane) -> None:
    """Have the first case find what the others find."""
    async with watching.connected(plane) as client, heads.answering():
        await _latencies(client, "warm")
        await watching.delete_all(client)


async def _case(
    plane: control_plane.ControlPlane, port: int, pid: int, silent: int, stem: str
) -> None:
    async with watching.connected(plane) as client, heads.answering():
        names = [f"job-{stem}-{number}" for number in range(JOBS)]
        async with watching.seen(client, records.RAYJOBS) as until:
            await watching.at_once(
                client.create(records.RAYJOBS, watching.NAMESPACE, _job(name, number < silent))
                for number, name in enumerate(names)
            )
            wanted = dict.fromkeys(names[:silent], "Initializing")
            wanted |= dict.fromkeys(names[silent:], "Running")
            await until(
                lambda there: all(
                    name in there and there[name].status.job_deployment_status == state
                    for name, state in wanted.items()
                )
            )
        await asyncio.sleep(SETTLE_SECONDS)
        spent = spending.Spent(plane, port, pid)
        latencies = sorted(await _latencies(client, f"fresh-{stem}"))
        lines.show(
            "silent heads",
            jobs=JOBS,
            silent=silent,
            ready_p50=round(latencies[FRESH // 2], 3),
            ready_p99=round(latencies[FRESH - 2], 3),
            ready_last=round(latencies[-1], 3),
            cpu_seconds=spent.told()["cpu_seconds"],
        )
        await watching.delete_all(client)


async def _latencies(client: kube.Kube, stem: str) -> list[float]:
    """Make RayClusters one after the other; return the seconds that each took to get ready."""
    latencies: list[float] = []

    async def one(name: str) -> None:
        started = time.monotonic()
        manifest = example.manifest("RayCluster", {}, name=name)
        await client.create(records.RAYCLUSTERS, watching.NAMESPACE, manifest)
        await until(lambda there: watching.is_in(there, name, "ready"))
        latencies.append(time.monotonic() - started)

    async with watching.seen(client, records.RAYCLUSTERS) as until, asyncio.TaskGroup() as group:
        for number in range(FRESH):
            group.create_task(one(f"{stem}-{number}"))
            await asyncio.sleep(EVERY_SECONDS)
    return latencies


def _job(name: str, is_silent: bool) -> dict[str, Any]:
    labels = {control_plane.HOLE_LABEL: "true"} if is_silent else {}
    head = {"template": {**example.template(), "metadata": {"labels": labels}}}
    changes = {
        "spec/submissionMode": "HTTPMode",
        "spec/rayClusterSpec": {"rayVersion": heads.RAY, "headGroupSpec": head},
    }
    return example.manifest("RayJob", changes, name=name)
