"""Measure the operator: one JSON line a case.

Owns: the cases and what is measured of each. Does not own: the API server (`tests.support`).
Invariant: what is compared is measured in the same run; seconds are those of a shared machine, CPU
seconds, counts of requests and ratios can be compared.

The cases here have a kube-apiserver and etcd of their own and no nodes: Pods are made and stay as
they are, unless a case says that they run. Those with real Ray are in `jobs`,
those of autoscaling in `scaling`.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import control_plane, fleet, jobs, scaling, silence
from tests.api import operators
from tests.support import adoption, apiserver
from tests.support import cluster as clusters
from tests.support.rulebook import example

ROOT = Path(__file__).parent.parent
CLUSTERS = 100
WORKERS = 2
LARGE = 1000
QUIET_SECONDS = 30
VERBS = ("GET", "POST", "PATCH", "DELETE")
WITHIN = timedelta(minutes=10)


def main() -> None:
    """Run all cases, or those of the groups that are named.

    What follows `fleet` or `silence` is for them: see `python -m benchmarks fleet --help`.
    """
    alone: dict[str, Callable[[Sequence[str]], None]] = {"fleet": fleet.run, "silence": silence.run}
    groups = {"api": _api, "jobs": _jobs, "scaling": scaling.run}
    if sys.argv[1:2] and sys.argv[1] in alone:
        alone[sys.argv[1]](sys.argv[2:])
        return
    for name in sys.argv[1:] or groups:
        groups[name]()
    for name in () if sys.argv[1:] else alone:  # each becomes another process
        subprocess.run([sys.executable, "-m", "benchmarks", name], cwd=ROOT, check=True)


def _jobs() -> None:
    paths = (
        subprocess.check_output([sys.executable, "-m", "localcluster", each], cwd=ROOT, text=True)
        for each in ("kubeconfig", "path")
    )
    kubeconfig, programs = (Path(each.strip()) for each in paths)
    jobs.run(clusters.Cluster(kubeconfig, programs=programs))


def _api() -> None:
    programs = control_plane.programs("kubernetes")
    with apiserver.running(programs) as api, tempfile.TemporaryDirectory() as folder:
        api.kubectl("apply", "-f", str(ROOT / "crds"))
        api.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        log = Path(folder) / "operator.log"
        with operators.running(api, log) as port:
            _many_clusters(api, port)
            _a_large_cluster(api, port)
        with operators.running(api, log) as port:
            _restarted(api, port)


def _many_clusters(api: clusters.Cluster, port: int) -> None:
    wanted = CLUSTERS * (1 + WORKERS)
    with _measured("create", port, clusters=CLUSTERS, pods=wanted):
        for number in range(CLUSTERS):
            _send(api, f"many-{number}", WORKERS)
        _wait_pods(api, wanted)
    with _measured("get ready", port, clusters=CLUSTERS, pods=wanted):
        for pod in api.list("pods", "default"):
            at = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}/status"
            running = {"status": adoption.running(pod, "10.0.0.1")}
            api.send("PATCH", at, running, form="merge-patch+json")
        _wait_ready(api)
    with _measured("steady", port, clusters=CLUSTERS, pods=wanted):
        time.sleep(QUIET_SECONDS)


def _a_large_cluster(api: clusters.Cluster, port: int) -> None:
    before = len(api.list("pods", "default"))
    with _measured("scale up", port, pods=LARGE):
        _send(api, "large", LARGE)
        _wait_pods(api, before + 1 + LARGE)
    change = {"spec": {"workerGroupSpecs": [_group(0)]}}
    with _measured("scale down", port, pods=LARGE):
        api.patch("rayclusters", "default", "large", change)
        _wait_pods(api, before + 1)


def _restarted(api: clusters.Cluster, port: int) -> None:
    with _measured("restart", port, clusters=CLUSTERS + 1):
        api.wait(
            lambda: operators.counted(port, "controller_runtime_reconcile_total") > CLUSTERS,
            within=WITHIN,
            what="a pass for every cluster",
            namespace="default",
        )


def _group(replicas: int) -> example.Json:
    bounds = {"minReplicas": 0, "maxReplicas": 2 * LARGE, "replicas": replicas}
    return {"groupName": "workers", "template": example.template(), **bounds}


def _send(api: clusters.Cluster, name: str, workers: int) -> None:
    manifest = example.manifest(
        "RayCluster", {"spec/workerGroupSpecs": [_group(workers)]}, name=name
    )
    api.send("POST", "/apis/ray.io/v1/namespaces/default/rayclusters", manifest)


def _wait_pods(api: clusters.Cluster, count: int) -> None:
    api.wait(
        lambda: len(api.list("pods", "default")) == count,
        within=WITHIN,
        what=f"{count} Pods",
        namespace="default",
    )


def _wait_ready(api: clusters.Cluster) -> None:
    api.wait(
        lambda: all(
            each.get("status", {}).get("state") == "ready"
            for each in api.list("rayclusters", "default")
        ),
        within=WITHIN,
        what="all clusters ready",
        namespace="default",
    )


@contextmanager
def _measured(case: str, port: int, **sizes: int) -> Iterator[None]:
    """Print what the operator spent while the case ran."""
    while not operators.is_up(port):
        time.sleep(0.1)
    before, started = _spent(port), time.monotonic()
    yield
    seconds = time.monotonic() - started
    after = _spent(port)
    line: dict[str, Any] = {"case": case, **sizes, "seconds": round(seconds, 2)}
    line |= {name: round(after[name] - before[name], 2) for name in after}
    memory = operators.counted(port, "process_resident_memory_bytes")
    print(json.dumps({**line, "rss_mib": round(memory / 2**20, 1)}), flush=True)


def _spent(port: int) -> dict[str, float]:
    requests = "rest_client_requests_total"
    return {
        "cpu_seconds": operators.counted(port, "process_cpu_seconds_total"),
        **{
            f"requests_{verb.lower()}": operators.counted(port, requests, f'method="{verb}"')
            for verb in VERBS
        },
    }


if __name__ == "__main__":
    main()
