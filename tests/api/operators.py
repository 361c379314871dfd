"""The operator of this source, run against a bare API server."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support import apiserver
from tests.support import cluster as clusters


@contextmanager
def running(
    api: clusters.Cluster, log: Path, *flags: str, environment: Mapping[str, str] = os.environ
) -> Iterator[int]:
    """Run it, with its log in that file; yield the port of its metrics."""
    (port,) = apiserver.free_ports(1)
    command = [sys.executable, "-m", "ray_operator", "run", f"--kubeconfig={api.kubeconfig}"]
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
            yield port
        finally:
            process.terminate()
            process.wait(60)


def counted(port: int, metric: str, labels: str = "") -> float:
    """Add up a counter."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    lines = (line for line in text.splitlines() if line.startswith(metric) and labels in line)
    return sum(float(line.split()[-1]) for line in lines)
