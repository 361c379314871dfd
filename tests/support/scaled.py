"""Clusters whose workers are scaled by demand, and work that asks for them.

Owns: the manifest, programs that run in the head, and what is seen of it. Invariant: no task is
ever retried, so one that is lost fails its program.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from tests.support import cluster as clusters
from tests.support import ray

NAME = "scaled"
MINUTE = timedelta(minutes=1)
BURST = """
import os, ray, sys, time
ray.init(log_to_driver=False)
@ray.remote(num_cpus=1, max_retries=0)
def work(seconds):
    time.sleep(seconds)
    return os.uname().nodename
count, seconds = int(sys.argv[1]), float(sys.argv[2])
print("demand at:", time.time(), flush=True)
done = ray.get([work.remote(seconds) for _ in range(count)], timeout=240)
print("done at:", time.time())
print("hosts:", " ".join(sorted(set(done))))
"""


def ray_cluster(
    name: str = NAME,
    *,
    image: str = "",
    idle_seconds: int = 5,
    groups: list[dict[str, Any]] | None = None,
    **spec: Any,
) -> clusters.Json:
    """Return a cluster whose head takes no work."""
    head = {"rayStartParams": {"num-cpus": "0"}}
    given = [group()] if groups is None else groups
    found = ray.ray_cluster(
        name,
        head=head,
        groups=given,
        **{
            "enableInTreeAutoscaling": True,
            "autoscalerOptions": {"idleTimeoutSeconds": idle_seconds},
            **spec,
        },
    )
    if image:
        found["spec"]["rayVersion"] = image.partition(":")[2]
        for each in (found["spec"]["headGroupSpec"], *given):
            each["template"]["spec"]["containers"][0]["image"] = image
    return found


def group(name: str = "workers", **fields: Any) -> dict[str, Any]:
    """Return a group that starts with nothing."""
    return ray.worker_group(name, **{"replicas": 0, "maxReplicas": 3, **fields})


def workers(
    cluster: clusters.Cluster, namespace: str, name: str = NAME, group: str = ""
) -> list[clusters.Json]:
    """Return the workers that stay."""
    labels = {"node_type": "worker", **({"group": group} if group else {})}
    return ray.pods(cluster, namespace, name, **labels)


def status(cluster: clusters.Cluster, namespace: str, name: str = NAME) -> clusters.Json:
    """Return the status, empty when there is none."""
    found = cluster.get("rayclusters", namespace, name) or {}
    return dict(found.get("status", {}))


def replicas(cluster: clusters.Cluster, namespace: str, name: str = NAME) -> list[int]:
    """Return what the spec says of each group."""
    found = cluster.get("rayclusters", namespace, name) or {}
    return [int(each["replicas"]) for each in found["spec"]["workerGroupSpecs"]]


def on_head(
    cluster: clusters.Cluster,
    namespace: str,
    *command: str,
    stdin: str = "",
    name: str = NAME,
) -> str:
    """Run a command in the head, in which workers may have to come first."""
    return ray.on_head(cluster, namespace, name, *command, stdin=stdin, within=6 * MINUTE)


def burst(
    cluster: clusters.Cluster,
    namespace: str,
    count: int = 1,
    seconds: float = 0,
    name: str = NAME,
) -> str:
    """Run so many tasks of a CPU at once; return what the driver said."""
    program = ("python", "-", str(count), str(seconds))
    return on_head(cluster, namespace, *program, stdin=BURST, name=name)


@contextmanager
def beside(work: Callable[[], str]) -> Iterator[list[str]]:
    """Run something while the block does; it has ended, well or not, when the block has."""
    said: list[str] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            said.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield said
    finally:
        thread.join()
    if failed:
        raise failed[0]


def wait_workers(
    cluster: clusters.Cluster,
    namespace: str,
    count: int,
    *,
    name: str = NAME,
    group: str = "",
    within: timedelta = 2 * MINUTE,
) -> None:
    """Wait until there are exactly so many."""
    cluster.wait(
        lambda: len(workers(cluster, namespace, name, group)) == count,
        within=within,
        what=f"{count} workers of {name}",
        namespace=namespace,
    )


def told(cluster: clusters.Cluster, namespace: str, reason: str) -> list[str]:
    """Return the messages of the events of that reason."""
    return [
        each["message"] for each in cluster.list("events", namespace) if each["reason"] == reason
    ]
