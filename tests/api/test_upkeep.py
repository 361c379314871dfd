"""CRDs applied, an installation checked and an operator retired, at a real API server.

The commands run as Helm's hooks run them: under accounts with just the rights of the table.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml

from ray_operator import permissions, upkeep
from ray_operator.api import crds
from scripts import generate
from tests.api import operators, test_upgrade
from tests.support import apiserver
from tests.support import cluster as clusters
from tests.support.rulebook import example

OTHER = "example.com/hold"


def ray_operator(kubeconfig: Path, *arguments: str) -> str:
    """Run a command; return what it says, or fail with it."""
    command = [sys.executable, "-m", "ray_operator", *arguments, f"--kubeconfig={kubeconfig}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def account(
    api: clusters.Cluster, name: str, table: Iterable[permissions.Permission], folder: Path
) -> Path:
    """Make an account of those rights, cluster-wide; return a kubeconfig of its own."""
    group = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": generate.rules(table),
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
    }
    api.kubectl("-n", "default", "create", "serviceaccount", name)
    for each in (role, binding):
        api.apply(each, "default")
    token = api.kubectl("-n", "default", "create", "token", name).strip()
    config = yaml.safe_load(api.kubeconfig.read_text())
    for each in config["users"]:
        each["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def old_api(programs: Path) -> Iterator[clusters.Cluster]:
    """Run an API server with older CRDs, made by another owner; one kind isn't there."""
    with apiserver.running(programs) as server:
        for kind in crds.KINDS:
            if kind.name != "RayCronJob":
                text = json.dumps(test_upgrade.older(kind))
                apply = ("apply", "--server-side", "--field-manager=helm", "-f", "-")
                server.kubectl(*apply, stdin=text)
        yield server


def test_older_crds_become_ours(
    old_api: clusters.Cluster, api: clusters.Cluster, tmp_path: Path
) -> None:
    kubeconfig = account(old_api, "crds", permissions.CRDS, tmp_path)
    for _ in range(2):
        said = ray_operator(kubeconfig, "crds", "--apply")
        assert said.splitlines() == [f"applied {kind.plural}.ray.io" for kind in crds.KINDS]
    for kind in crds.KINDS:
        get = ("get", "crd", f"{kind.plural}.ray.io", "-o", "json")
        found, expected = (json.loads(each.kubectl(*get))["spec"] for each in (old_api, api))
        assert found == expected


def held(name: str, finalizer: str) -> example.Json:
    manifest = example.manifest("RayJob", {}, name=name)
    manifest["metadata"]["finalizers"] = [finalizer, OTHER]
    return manifest


def test_no_deletion_waits_for_an_operator_that_is_retired(
    api: clusters.Cluster, tmp_path: Path
) -> None:
    table = (*permissions.OPERATOR, *permissions.RETIRE)
    kubeconfig = account(api, "retire", table, tmp_path)
    finalizer = next(each for each in upkeep.FINALIZERS.values() if "rayjob" in each)
    api.apply(held("held", finalizer), "default")
    labels = {"app": "retired"}
    container = {"name": "operator", "image": "operator"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "retired"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }
    api.apply(deployment, "default")
    said = ray_operator(kubeconfig, "retire", "--deployment=retired", "--namespace=default")
    assert "released RayJob default/held" in said
    stopped = api.get("deployments", "default", "retired")
    assert stopped is not None
    assert stopped["spec"]["replicas"] == 0
    job = api.get("rayjobs", "default", "held")
    assert job is not None
    assert job["metadata"]["finalizers"] == [OTHER]
    api.kubectl("-n", "default", "delete", "rayjob", "held", "--wait=false")
    api.patch("rayjobs", "default", "held", {"metadata": {"finalizers": None}})
    assert api.get("rayjobs", "default", "held") is None
    api.kubectl("-n", "default", "delete", "deployment", "retired")


def test_a_working_operator_passes_the_check(api: clusters.Cluster, tmp_path: Path) -> None:
    kubeconfig = account(api, "check", permissions.OPERATOR, tmp_path)
    with operators.running(api, tmp_path / "log") as port:
        url = f"http://127.0.0.1:{port}/metrics"
        said = ray_operator(kubeconfig, "check", f"--url={url}", "--namespace=default")
    assert said.splitlines() == [
        "a ready operator answers at its Service",
        "a RayCluster in default would be taken",
    ]
    assert "ray-operator-check" not in api.kubectl("-n", "default", "get", "rayclusters")
