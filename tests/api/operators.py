"""The operator of this source, run against a bare API server."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from tests.support import apiserver
from tests.support import cluster as clusters

PASSES = "controller_runtime_reconcile_total"


@contextmanager
def running(
    api: clusters.Cluster, log: Path, *flags: str, environment: Mapping[str, str] = os.environ
) -> Iterator[int]:
    """Run it, with its log in that file; yield the port of its metrics."""
    with launched(api, log, *flags, environment=environment) as (_, port):
        yield port


@contextmanager
def launched(
    api: clusters.Cluster,
    log: Path,
    *flags: str,
    environment: Mapping[str, str] = os.environ,
    python: Path = Path(sys.executable),
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run it with that Python; yield the process too."""
    (port,) = apiserver.free_ports(1)
    command = [str(python), "-m", "ray_operator", "run", f"--kubeconfig={api.kubeconfig}"]
    own = (
        "--enable-leader-election=false",
        f"--metrics-addr=127.0.0.1:{port}",
        "--health-probe-bind-address=127.0.0.1:0",
    )
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *own, *flags], stdout=output, stderr=output, env=dict(environment)
        )
        try:
            yield process, port
        finally:
            process.terminate()
            process.wait(60)


def rehearsed(api: clusters.Cluster, *flags: str) -> list[str]:
    """Return the lines that `ray-operator adopt --dry-run` prints."""
    command = [sys.executable, "-m", "ray_operator", "adopt", "--dry-run", *flags]
    done = subprocess.run(
        [*command, f"--kubeconfig={api.kubeconfig}"], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def is_up(port: int) -> bool:
    """Tell whether it answers."""
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


def wait_up(port: int) -> None:
    """Wait until it answers, and has had a moment to look around."""
    while not is_up(port):
        time.sleep(0.1)
    time.sleep(3)


def get(port: int, path: str) -> tuple[int, str]:
    """Ask the operator; return status and text."""
    try:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10)
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    return answer.status, answer.read().decode()


def counted(port: int, metric: str, labels: str = "") -> float:
    """Add up a counter."""
    _, text = get(port, "/metrics")
    return added(text, metric, labels)


def added(text: str, metric: str, labels: str = "") -> float:
    """Add up a counter in what `/metrics` said."""
    lines = (line for line in text.splitlines() if line.startswith(metric) and labels in line)
    return sum(float(line.split()[-1]) for line in lines)


def passes(port: int) -> float:
    """Count the passes made over objects."""
    return counted(port, PASSES)


def writes(port: int, *verbs: str) -> float:
    """Count the writes sent, events among them: those by these HTTP methods, or all."""
    wanted = verbs or ("POST", "PUT", "PATCH", "DELETE")
    return sum(counted(port, "rest_client_requests_total", f'method="{verb}"') for verb in wanted)


def wait_quiet(api: clusters.Cluster, port: int) -> None:
    """Wait until neither a pass nor a write follows another."""
    seen: list[tuple[float, float]] = []

    def is_quiet() -> bool:
        seen.append((passes(port), writes(port)))
        return len(seen) > 2 and len(set(seen[-3:])) == 1

    within = timedelta(seconds=30)
    api.wait(is_quiet, within=within, what="an idle operator", namespace="default")
