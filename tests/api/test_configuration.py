"""The operator with flags and with a configuration file, against a bare API server."""

import json
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from tests.api import operators
from tests.support import apiserver
from tests.support import cluster as clusters
from tests.support.rulebook import example

SOON = timedelta(seconds=30)
HEADER = {"apiVersion": "config.ray.io/v1alpha1", "kind": "Configuration"}


def metrics(port: int) -> str:
    answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10)
    return str(answer.read().decode())


def head(api: clusters.Cluster, name: str) -> clusters.Json | None:
    labels = f"ray.io/cluster={name},ray.io/node-type=head"
    return next(iter(api.list("pods", "default", labels=labels)), None)


def test_a_file_is_obeyed_and_flags_beside_it_are_told_of(
    api: clusters.Cluster, tmp_path: Path
) -> None:
    (port,) = apiserver.free_ports(1)
    file, log = tmp_path / "config.yaml", tmp_path / "logs/operator.log"
    keys = {
        "metricsAddr": f"127.0.0.1:{port}",
        "probeAddr": "0",
        "enableLeaderElection": False,
        "enableMetrics": True,
        "watchNamespace": "default",
        "logFile": str(log),
        "headSidecarContainers": [{"name": "sidecar", "image": "sidecar:1"}],
    }
    file.write_text(yaml.safe_dump({**HEADER, **keys}))
    api.apply(example.manifest("RayCluster", {}, name="configured"), "default")
    with operators.running(api, tmp_path / "stderr", f"--config={file}"):
        pod = api.wait(
            lambda: head(api, "configured"), within=SOON, what="a head", namespace="default"
        )
        assert 'kuberay_cluster_info{name="configured"' in metrics(port)
    assert pod["spec"]["containers"][-1]["name"] == "sidecar"
    first, *_ = log.read_text().splitlines()
    flags = "--metrics-addr, --health-probe-bind-address, --enable-leader-election"
    assert json.loads(first)["msg"].startswith(f"--config is given, so {flags} had no effect")


@pytest.mark.parametrize(("flags", "is_told"), [([], False), (["--enable-metrics"], True)])
def test_metrics_of_resources_on_request(
    api: clusters.Cluster, tmp_path: Path, flags: list[str], is_told: bool
) -> None:
    name = f"metered-{is_told}".lower()
    api.apply(example.manifest("RayCluster", {}, name=name), "default")
    with operators.running(api, tmp_path / "stderr", *flags) as port:
        api.wait(lambda: head(api, name), within=SOON, what="a head", namespace="default")
        text = metrics(port)
    assert ("kuberay_" in text) is is_told
    assert "workqueue_depth" in text
    assert "rest_client_request_duration_seconds_bucket" in text


def test_a_bad_file_ends_the_start(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({**HEADER, "enableMetric": True}))
    command = [sys.executable, "-m", "ray_operator", "run", f"--config={file}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "unknown field 'enableMetric', did you mean 'enableMetrics'?" in done.stderr
