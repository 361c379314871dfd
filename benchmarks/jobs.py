"""How long a trivial RayJob takes on the local cluster, phase by phase, against a plain script.

Owns: the cases with real Ray. Does not own: those on simulated nodes (`fleet`). Invariant: the
script runs the same images with the same resources, `ray start` and the job, in the same run, and
waits for nothing longer than it must.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from benchmarks import lines, local
from tests.support import cluster as clusters
from tests.support import ray, rayjobs

ROUNDS = 3
WITHIN = timedelta(minutes=5)
ENTRYPOINT = "python -c 'import ray; ray.init(); print(ray.get(ray.remote(lambda: 42).remote()))'"
MODES = ("HTTPMode", "K8sJobMode", "SidecarMode")
_START = "ray start --block --num-cpus=1 --dashboard-agent-listen-port=52365 "
HEAD = _START + "--head --dashboard-host=0.0.0.0"
WORKER = "until (: < /dev/tcp/{host}/6379) 2>/dev/null; do sleep 0.1; done; " + (
    _START + "--address={host}:6379"
)


DRIVE = """
import json, sys, time, urllib.request
at, started, seen = "http://127.0.0.1:8265", time.monotonic(), {}
def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"User-Agent": "bench", "Content-Type": "application/json"}
    try:
        request = urllib.request.Request(at + path, data=data, headers=headers)
        return json.load(urllib.request.urlopen(request, timeout=5))
    except (OSError, ValueError):
        return {}
def agent():
    at = "http://127.0.0.1:52365/api/local_raylet_healthz"
    try:
        return b"success" in urllib.request.urlopen(at, timeout=5).read()
    except OSError:
        return False
def nodes():
    listed = ask("/nodes?view=summary").get("data", {}).get("summary", [])
    return sum(each.get("raylet", {}).get("state") == "ALIVE" for each in listed)
def wait(what, holds):
    while not holds():
        time.sleep(0.1)
    seen[what] = round(time.monotonic() - started, 2)
job = {"entrypoint": json.loads(sys.argv[1]), "submission_id": "job"}
wait("nodes after", lambda: nodes() == 2 and agent())
wait("submitted after", lambda: ask("/api/jobs/", job))
wait("ended after", lambda: ask("/api/jobs/job").get("status") == "SUCCEEDED")
print(json.dumps(seen))
"""
"""The script, which runs in the head so that nothing between delays it."""


def run(_arguments: Sequence[str] = ()) -> None:
    """Run all cases on the local cluster, one after another, and print a JSON line each."""
    cluster = local.operator().cluster
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        with local.namespace(cluster) as namespace:
            found.setdefault("script", []).append(_script(cluster, namespace))
        for mode in MODES:
            with local.namespace(cluster) as namespace:
                found.setdefault(mode, []).append(_rayjob(cluster, namespace, mode))
    least = {case: min(each) for case, each in found.items()}
    for case, seconds in found.items():
        middle = statistics.median(seconds)
        _print(
            f"trivial job, {case}: summary",
            least=least[case],
            median=middle,
            ratio_of_least=least[case] / least["script"],
            ratio_of_medians=middle / statistics.median(found["script"]),
        )


def _rayjob(cluster: clusters.Cluster, namespace: str, mode: str) -> float:
    """Run a RayJob; return the seconds until its status says the end."""
    job = rayjobs.ray_job("job", ENTRYPOINT, mode=mode, workers=1)
    seen: dict[str, float] = {}
    started = time.monotonic()
    cluster.apply(job, namespace)
    seen["applied"] = time.monotonic() - started

    def note(what: str, *, holds: object) -> None:
        if holds and what not in seen:
            seen[what] = time.monotonic() - started

    def ended() -> bool:
        pods = cluster.list("pods", namespace)
        status = rayjobs.status(cluster, namespace, "job")
        for pod in pods:
            kind = pod["metadata"]["labels"].get("ray.io/node-type", "submitter")
            note(f"{kind} runs", holds=pod["status"]["phase"] == "Running")
            note(
                f"{kind} ready", holds=ray.condition(pod["status"], "Ready").get("status") == "True"
            )
        note("cluster ready", holds=status.get("rayClusterStatus", {}).get("state") == "ready")
        note("Running", holds=status.get("jobDeploymentStatus") == "Running")
        note("job seen", holds=status.get("jobStatus"))
        note("job ended", holds=status.get("jobStatus") == "SUCCEEDED")
        note("end", holds=status.get("jobDeploymentStatus") == "Complete")
        assert status.get("jobDeploymentStatus") != "Failed", status
        return "end" in seen

    cluster.wait(ended, within=WITHIN, what="the end", namespace=namespace, poll_seconds=0.1)
    _print(f"trivial job, {mode}", **seen)
    return seen["end"]


def _script(cluster: clusters.Cluster, namespace: str) -> float:
    """Do the same by hand; return the seconds until Ray says that the job has ended."""
    seen: dict[str, float] = {}
    started = time.monotonic()

    def note(what: str) -> None:
        seen[what] = time.monotonic() - started

    cluster.apply(_pod("head", HEAD), namespace)
    ip = _wait(lambda: _address(cluster, namespace, "head"))
    cluster.apply(_pod("worker", WORKER.format(host=ip)), namespace)
    note("applied")
    _wait(lambda: _phase(cluster, namespace, "head") == "Running")
    note("head runs")
    where = ("-n", namespace, "exec", "-i", "head", "--")
    said = cluster.kubectl(*where, "python", "-", json.dumps(ENTRYPOINT), stdin=DRIVE)
    note("end")
    _print("trivial job, script", **seen, **json.loads(said))
    return seen["end"]


def _pod(name: str, script: str) -> clusters.Json:
    template = ray.pod_template(f"ray-{name}", terminationGracePeriodSeconds=1)
    template["spec"]["containers"][0] |= {"command": ["/bin/bash", "-lc", script]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, **template}


def _address(cluster: clusters.Cluster, namespace: str, name: str) -> str:
    found = cluster.get("pods", namespace, name) or {}
    return str(found.get("status", {}).get("podIP", ""))


def _phase(cluster: clusters.Cluster, namespace: str, name: str) -> str:
    return str((cluster.get("pods", namespace, name) or {}).get("status", {}).get("phase", ""))


def _wait(predicate: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WITHIN.total_seconds()
    while not (found := predicate()):
        assert time.monotonic() < deadline, "too slow"
        time.sleep(0.1)
    return found


def _print(case: str, **numbers: float) -> None:
    lines.show(case, **{name: round(number, 2) for name, number in numbers.items()})
