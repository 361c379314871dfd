"""Workers go kindly: idle ones first, busy ones when their work is done, with the real Ray."""

import asyncio
import concurrent.futures
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from ray_operator import errors, gcs, names, ray_records
from tests.e2e import conftest
from tests.support import audit as audits
from tests.support import cluster as clusters
from tests.support import operators, ray

MINUTE = timedelta(minutes=1)
GRACE_SECONDS = 120
"""Of the workers, and so their time to drain: much longer than the tasks here."""
LEAST_DRAIN = timedelta(seconds=30)

BUSY = """
import ray, sys
ray.init(namespace="busy", log_to_driver=False)
(node,) = (each for each in ray.nodes() if each["NodeManagerHostname"] == sys.argv[1])
here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
@ray.remote(num_cpus=1, scheduling_strategy=here)
class Busy:
    def host(self): import socket; return socket.gethostname()
busy = Busy.options(name="busy", lifetime="detached").remote()
print("host:", ray.get(busy.host.remote()))
"""
STILL_BUSY = """
import ray
ray.init(namespace="busy", log_to_driver=False)
busy = ray.get_actor("busy")
print("host:", ray.get(busy.host.remote()))
ray.kill(busy)
"""
BEGUN, END = "/tmp/begun", "/tmp/end"
"""Files of the worker: the task makes the one, and ends when somebody makes the other."""
TASK = f"""
import os, ray, time
ray.init(log_to_driver=False)
@ray.remote(num_cpus=1, max_retries=0)
def square(number):
    open("{BEGUN}", "w").close()
    while not os.path.exists("{END}"):
        time.sleep(0.1)
    return number * number, time.time()
result, ended = ray.get(square.remote(12))
print("result:", result, "at:", ended)
"""
STOP_GCS = """
import os, pathlib, signal
for folder in pathlib.Path("/proc").iterdir():
    if not folder.name.isdigit():
        continue
    program = (folder / "cmdline").read_bytes().split(b"\\0")[0]
    if program.endswith(b"gcs_server"):
        os.kill(int(folder.name), signal.SIGSTOP)
        print("stopped", folder.name)
"""
WAIT_DASHBOARD = """
import time, urllib.request
while True:
    try:
        request = urllib.request.Request("http://localhost:8265/api/version")
        request.add_header("User-Agent", "test")
        print("answer:", urllib.request.urlopen(request, timeout=2).read(), "at:", time.time())
        break
    except OSError:
        time.sleep(0.2)
"""


def python(
    cluster: clusters.Cluster,
    namespace: str,
    name: str,
    program: str,
    *arguments: str,
    within: timedelta = 2 * MINUTE,
) -> str:
    """Run a program in the head; return its standard output."""
    command = ("python", "-", *arguments)
    return ray.on_head(cluster, namespace, name, *command, stdin=program, within=within)


def said(output: str, what: str) -> str:
    """Return what a program printed after `what:`."""
    found = re.search(rf"{what}: (\S+)", output)
    assert found, output
    return found[1]


def workers(cluster: clusters.Cluster, namespace: str, name: str) -> dict[str, clusters.Json]:
    found = ray.pods(cluster, namespace, name, node_type="worker")
    return {pod["metadata"]["name"]: pod for pod in found}


def scale(cluster: clusters.Cluster, namespace: str, name: str, replicas: int) -> None:
    change = [{"op": "replace", "path": "/spec/workerGroupSpecs/0/replicas", "value": replicas}]
    cluster.patch("rayclusters", namespace, name, change)


def ray_cluster(name: str, *, replicas: int, grace_seconds: int) -> clusters.Json:
    """Return a cluster whose tasks run on workers, one a worker."""
    head = {"rayStartParams": {"num-cpus": "0"}, "template": ray.pod_template("ray-head")}
    template = ray.pod_template("ray-worker", terminationGracePeriodSeconds=grace_seconds)
    group = ray.worker_group(replicas=replicas, rayStartParams={"num-cpus": "1"}, template=template)
    return ray.ray_cluster(name, head=head, groups=[group])


class Story:
    """A Ray cluster that loses its workers test by test, since each one takes long to start."""

    def __init__(self, cluster: clusters.Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.name = "draining"

    def python(self, program: str, *arguments: str) -> str:
        where = (self.cluster, self.namespace, self.name)
        return python(*where, program, *arguments, within=5 * MINUTE)

    def on_worker(self, worker: str, *command: str) -> str:
        where = ("-n", self.namespace, "exec", worker, "-c", "ray-worker", "--")
        return self.cluster.kubectl(*where, *command)

    def wait_busy(self, worker: str) -> None:
        """Wait until the GCS knows that something runs on the worker."""
        head = ray.head(self.cluster, self.namespace, self.name)
        with self.cluster.forwarded(self.namespace, head, 6379) as port:
            self.cluster.wait(
                lambda: _status(port, worker) is ray_records.NodeStatus.RUNNING,
                within=MINUTE,
                what="the worker busy",
                namespace=self.namespace,
            )

    def workers(self) -> dict[str, clusters.Json]:
        return workers(self.cluster, self.namespace, self.name)

    def scale(self, replicas: int) -> None:
        scale(self.cluster, self.namespace, self.name, replicas)


@pytest.fixture(scope="module")
def story(
    cluster: clusters.Cluster, operator: operators.Operator, watched: Mapping[str, str]
) -> Iterator[Story]:
    del operator  # it only has to be there
    with conftest.own_namespace(cluster, conftest.DRAINING, watched) as namespace:
        made = Story(cluster, namespace)
        cluster.apply(ray_cluster(made.name, replicas=3, grace_seconds=GRACE_SECONDS), namespace)
        ray.wait_ready(cluster, namespace, made.name, workers=3)
        yield made


async def test_a_real_gcs_is_understood_and_understands(story: Story) -> None:
    head = ray.head(story.cluster, story.namespace, story.name)
    with story.cluster.forwarded(story.namespace, head, 6379) as port:
        client = gcs.Gcs("127.0.0.1", port)
        try:
            state = await client.resource_state()
            living = {each.instance_id: each for each in state.nodes}
            assert living.keys() == {head, *story.workers()}
            for name, pod in story.workers().items():
                assert len(living[name].node_id) == 28
                assert living[name].ip == pod["status"]["podIP"]
                assert living[name].status is ray_records.NodeStatus.IDLE
                assert living[name].idle > timedelta()
            unknown = bytes(28)
            assert await client.drain(unknown, reason=gcs.Reason.IDLE, message="test") is None
            long_ago = datetime(1960, 1, 1, tzinfo=UTC)
            with pytest.raises(errors.Rejected, match="DrainNode"):
                await client.drain(
                    unknown, reason=gcs.Reason.PREEMPTION, message="test", deadline=long_ago
                )
        finally:
            await client.close()
    nobody = gcs.Gcs("127.0.0.1", port)
    with pytest.raises(errors.Unreachable):
        await nobody.resource_state()
    await nobody.close()


def test_idle_workers_go_before_a_busy_one(story: Story) -> None:
    index = "ray.io/worker-group-replica-index"
    by_index = sorted(
        story.workers().values(), key=lambda pod: int(pod["metadata"]["labels"][index])
    )
    last = by_index[-1]["metadata"]["name"]  # who would go, were it not busy
    assert said(story.python(BUSY, last), "host") == last
    story.wait_busy(last)
    started = time.monotonic()
    story.scale(1)
    # Were they waited for, it would take all of their time to drain.
    soon = timedelta(seconds=GRACE_SECONDS * 0.75)
    ray.wait_ready(story.cluster, story.namespace, story.name, workers=1, within=soon)
    print(f"two idle workers went in {time.monotonic() - started:.1f} s")
    assert set(story.workers()) == {last}
    assert said(story.python(STILL_BUSY), "host") == last
    events = {each["reason"]: each for each in story.cluster.list("events", story.namespace)}
    assert "group workers scales down" in events["DrainingWorkerPod"]["message"]


def test_a_task_is_finished_before_its_worker_goes_even_if_the_operator_dies(
    story: Story, operator: operators.Operator, audit: audits.Log
) -> None:
    (worker,) = story.workers()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        task = pool.submit(story.python, TASK)
        # The worker can be busy still with what ran there before, and idle before the task comes.
        story.cluster.wait(
            lambda: BEGUN in story.on_worker(worker, "ls", BEGUN),
            within=MINUTE,
            what="the task begun",
            namespace=story.namespace,
        )
        story.wait_busy(worker)
        story.scale(0)
        marked = story.cluster.wait(
            lambda: _mark(story, worker),
            within=MINUTE,
            what="the worker marked",
            namespace=story.namespace,
        )
        for pod in operator.pods():
            where = ("-n", operator.namespace, "delete", "pod", pod["metadata"]["name"])
            story.cluster.kubectl(*where, "--grace-period=0", "--force")
        operator.wait_ready(1)
        story.on_worker(worker, "touch", END)
        story.cluster.wait(
            task.done, within=MINUTE, what="the task ended", namespace=story.namespace
        )
        output = task.result()
    assert said(output, "result") == "144"
    ended = datetime.fromtimestamp(float(said(output, "at")), UTC)
    story.cluster.wait(
        lambda: not story.workers(),
        within=timedelta(seconds=GRACE_SECONDS),
        what="the worker gone",
        namespace=story.namespace,
    )
    (deletion,) = (
        each
        for each in audit.writes(operator.user)
        if (each.verb, each.resource, each.name) == ("delete", "pods", worker)
    )
    print(f"task ended {ended:%X}, Pod deleted {deletion.at:%X}, deadline {marked}")
    assert ended < deletion.at < datetime.fromisoformat(marked)


def _status(port: int, worker: str) -> ray_records.NodeStatus:
    """Return what Ray says of the worker's node, through a forwarded port."""

    async def ask() -> ray_records.ResourceState:
        client = gcs.Gcs("127.0.0.1", port)
        try:
            return await client.resource_state()
        finally:
            await client.close()

    state = asyncio.run(ask())
    return next(each.status for each in state.nodes if each.instance_id == worker)


def _mark(story: Story, worker: str) -> str | None:
    pod = story.cluster.get("pods", story.namespace, worker) or {"metadata": {}}
    mark: str | None = pod["metadata"].get("annotations", {}).get(names.DRAINING_ANNOTATION)
    return mark


@pytest.mark.full
def test_another_version_is_told_of_a_ready_cluster(story: Story) -> None:
    """The cluster of the tests before, whose workers are gone: it stays ready."""
    patch = {"spec": {"rayVersion": "2.47.1"}}
    story.cluster.patch("rayclusters", story.namespace, story.name, patch)

    def is_told() -> bool:
        found = story.cluster.get("rayclusters", story.namespace, story.name) or {}
        matches = ray.condition(found["status"], "RayVersionMatches")
        ready = ray.condition(found["status"], "RayClusterReady")
        return (matches.get("reason"), ready["status"]) == ("RayVersionMismatch", "True")

    def warned() -> list[str]:
        events = story.cluster.list("events", story.namespace)
        return [each["type"] for each in events if each["reason"] == "RayVersionMismatch"]

    story.cluster.wait(is_told, within=MINUTE, what="the mismatch told", namespace=story.namespace)
    # An event follows its status.
    story.cluster.wait(warned, within=MINUTE, what="an event", namespace=story.namespace)
    assert warned() == ["Warning"]


@pytest.mark.full
def test_a_head_that_never_gets_ready_for_its_version_says_so(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    del operator
    name = "raycluster"
    cluster.apply(ray.ray_cluster(name, groups=[], rayVersion="2.53.0"), namespace)
    where = ("-n", namespace, "wait", "pod", "-l", "ray.io/node-type=head")
    cluster.wait(
        lambda: ray.pods(cluster, namespace, name),
        within=MINUTE,
        what="a head",
        namespace=namespace,
    )
    cluster.kubectl(*where, "--for=jsonpath={.status.phase}=Running", "--timeout=120s")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answered = pool.submit(python, cluster, namespace, name, WAIT_DASHBOARD)

        def is_told() -> str | None:
            found = cluster.get("rayclusters", namespace, name) or {}
            ready = ray.condition(found.get("status", {}), "RayClusterReady")
            if ready.get("reason") != "RayVersionMismatch":
                return None
            # That the probe meets no endpoint can be known before the version is.
            said: str = ready["message"]
            return said if "the head runs Ray 2.46.0, but rayVersion says 2.53.0" in said else None

        message = cluster.wait(
            is_told, within=4 * MINUTE, what="the mismatch told", namespace=namespace
        )
        took = time.time() - float(said(answered.result(), "at"))
    print(f"told {took:.1f} s after the dashboard's first answer: {message}")
    assert took < 15
    assert "/api/healthz" in message


@pytest.mark.full
def test_a_head_that_does_not_answer_delays_itself_alone(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str, audit: audits.Log
) -> None:
    name, other = "deaf", "other"
    cluster.apply(ray_cluster(name, replicas=1, grace_seconds=1), namespace)
    ray.wait_ready(cluster, namespace, name, workers=1)
    (worker,) = workers(cluster, namespace, name)
    assert "stopped" in python(cluster, namespace, name, STOP_GCS)
    asked_at = datetime.now(UTC)
    scale(cluster, namespace, name, 0)
    cluster.apply(ray.ray_cluster(other, workers=1), namespace)
    cluster.wait(
        lambda: len(ray.pods(cluster, namespace, other)) == 2,
        within=timedelta(seconds=15),
        what="the other cluster's Pods made",
        namespace=namespace,
    )
    cluster.wait(
        lambda: not workers(cluster, namespace, name),
        within=2 * LEAST_DRAIN,
        what="the deaf head's worker gone",
        namespace=namespace,
    )
    mine = [each for each in audit.writes(operator.user) if each.namespace == namespace]
    made = [each.at for each in mine if each.verb == "create" and each.name.startswith(other)]
    (deletion,) = (each for each in mine if (each.verb, each.name) == ("delete", worker))
    print(
        f"the other's Pods after {max(made) - asked_at}, the worker after {deletion.at - asked_at}"
    )
    assert max(made) - asked_at < timedelta(seconds=10)
    # A deadline has whole seconds.
    assert timedelta(seconds=-1) < deletion.at - asked_at - LEAST_DRAIN < timedelta(seconds=15)
