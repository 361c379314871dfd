"""Another operator that is active at a real API server: nothing is written, all is said.

KubeRay is played by the Lease that it renews and by its Deployment, as its chart makes them.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from ray_operator import permissions
from scripts import generate
from tests.api import operators
from tests.support import apiserver
from tests.support import cluster as clusters
from tests.support.rulebook import example

SOON = timedelta(seconds=30)
HOLDER = "kuberay-operator-5d9b8-x2x4z_0b5c"
OWN = "ray-ours"


@pytest.fixture(scope="module")
def shared(programs: Path) -> Iterator[clusters.Cluster]:
    """An API server of these tests' own: a rival would stop the operators of all others."""
    with apiserver.running(programs) as server:
        apiserver.install_crds(server)
        for name in ("kuberay", OWN, "team"):
            server.kubectl("create", "namespace", name)
        yield server


@pytest.fixture
def api(shared: clusters.Cluster) -> Iterator[clusters.Cluster]:
    """That API server, swept after each test."""
    yield shared
    kinds = "rayclusters,pods,services,deployments,leases,events,roles,rolebindings"
    for namespace in ("default", "kuberay", OWN, "team"):
        shared.kubectl("-n", namespace, "delete", kinds, "--all", "--now")


def deployment(*args: str, command: str = "/manager", **labels: str) -> example.Json:
    own = {"app.kubernetes.io/name": "kuberay-operator", **labels}
    container = {
        "name": "kuberay-operator",
        "image": "quay.io/kuberay/operator:v1.4.2",
        "command": [command],
        "args": ["--enable-leader-election=true", *args],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kuberay-operator", "labels": own},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": own},
            "template": {"metadata": {"labels": own}, "spec": {"containers": [container]}},
        },
    }


def lease(api: clusters.Cluster, namespace: str) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": HOLDER, "leaseDurationSeconds": 15, "renewTime": now}
    manifest = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "ray-operator-leader"},
        "spec": spec,
    }
    api.apply(manifest, namespace)


@contextmanager
def renewed(api: clusters.Cluster, namespace: str) -> Iterator[None]:
    """Renew KubeRay's Lease as client-go does, every two seconds."""
    end = threading.Event()

    def renew() -> None:
        while not end.is_set():
            lease(api, namespace)
            end.wait(2)

    lease(api, namespace)
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def made(api: clusters.Cluster, name: str, namespace: str = "default") -> bool:
    """Tell whether anything was done about the cluster."""
    found = api.get("rayclusters", namespace, name)
    pods = api.list("pods", namespace, labels=f"ray.io/cluster={name}")
    return bool(pods or (found and found.get("status")))


def wait_made(api: clusters.Cluster, name: str, namespace: str = "default") -> float:
    began = time.monotonic()
    what = f"Pods of {name}"
    api.wait(lambda: made(api, name, namespace), within=SOON, what=what, namespace=namespace)
    return time.monotonic() - began


def told(answer: tuple[int, str], text: str) -> tuple[int, bool]:
    """Return the status, and whether the text is in the answer."""
    return answer[0], text in answer[1]


def wait_logged(api: clusters.Cluster, log: Path, text: str) -> None:
    what = f"the operator saying: {text}"
    api.wait(lambda: text in log.read_text(), within=SOON, what=what, namespace="default")


def test_a_deployment_is_waited_for(api: clusters.Cluster, tmp_path: Path) -> None:
    api.apply(deployment(), "kuberay")
    api.apply(example.manifest("RayCluster", {}, name="demo"), "default")
    (health,) = apiserver.free_ports(1)
    flag = f"--health-probe-bind-address=127.0.0.1:{health}"
    environment = {**os.environ, "POD_NAME": "ours-1", "POD_UID": "1234"}
    with operators.running(api, tmp_path / "log", flag, environment=environment) as port:
        wait_logged(api, tmp_path / "log", "the Deployment kuberay/kuberay-operator is KubeRay's")
        what = "kubectl -n kuberay scale deployment kuberay-operator --replicas=0"
        api.wait(
            lambda: told(operators.get(health, "/readyz"), what) == (503, True),
            within=SOON,
            what="said by the probe, once the caches are synced",
            namespace="default",
        )
        assert operators.get(health, "/healthz") == (200, "ok")
        assert "ray_operator_other_operators 1.0" in operators.get(port, "/metrics")[1]

        # The administrator is told at once; the user, as soon as nobody else does the work.
        def both() -> list[example.Json] | None:
            found = api.list("events", "default")
            return found if len(found) == 2 else None

        events = api.wait(both, within=timedelta(minutes=1), what="events", namespace="default")
        regarded = {each["involvedObject"]["kind"] for each in events if what in each["message"]}
        assert regarded == {"Pod", "RayCluster"}
        assert operators.writes(port) == 2, "the events"
        assert not made(api, "demo")

        api.kubectl("-n", "kuberay", "scale", "deployment", "kuberay-operator", "--replicas=0")
        assert wait_made(api, "demo") < 10
        assert operators.get(health, "/readyz") == (200, "ok")

        operators.wait_quiet(api, port)
        before, count = len(api.list("pods", "default")), operators.writes(port) + 1
        api.kubectl("-n", "kuberay", "scale", "deployment", "kuberay-operator", "--replicas=1")
        api.wait(
            lambda: operators.writes(port) == count,
            within=SOON,
            what="the event about our Pod",
            namespace="default",
        )
        api.apply(example.manifest("RayCluster", {}, name="late"), "default")
        time.sleep(5)  # for nothing to happen
        assert not made(api, "late")
        assert operators.writes(port) == count
        assert len(api.list("pods", "default")) == before
        api.kubectl("-n", "kuberay", "delete", "deployment", "kuberay-operator")
        assert wait_made(api, "late") < 10
    said = [line for line in (tmp_path / "log").read_text().splitlines() if "WARNING" in line]
    assert len([line for line in said if "another operator for Ray is active" in line]) == 2
    assert len([line for line in said if "no other operator" in line]) == 2


def test_a_lease_is_waited_for_wherever_it_is(api: clusters.Cluster, tmp_path: Path) -> None:
    with renewed(api, "kuberay"):
        api.apply(example.manifest("RayCluster", {}, name="demo"), "default")
        with operators.running(
            api,
            tmp_path / "log",
            "--enable-leader-election=true",
            f"--leader-election-namespace={OWN}",
        ):
            wait_logged(api, tmp_path / "log", f"{HOLDER} holds the Lease kuberay/ray-operator-lea")
            time.sleep(16)  # longer than a Lease lasts that nobody renews
            assert not made(api, "demo")
    # The operator has left; the Lease has not expired when the next one comes.
    with operators.running(api, tmp_path / "log", f"--leader-election-namespace={OWN}"):
        assert 3 < wait_made(api, "demo") < 40


def test_one_lease_decides_in_one_namespace(api: clusters.Cluster, tmp_path: Path) -> None:
    """KubeRay's Deployment beside ours only stands by while we lead, and so do we beside it."""
    flags = ("--enable-leader-election=true", f"--leader-election-namespace={OWN}")
    api.apply(deployment(), OWN)
    api.apply(example.manifest("RayCluster", {}, name="demo"), "default")
    with renewed(api, OWN), operators.running(api, tmp_path / "log", *flags):
        wait_logged(api, tmp_path / "log", f"{HOLDER} holds the Lease {OWN}/ray-operator-leader")
        assert not made(api, "demo")
    with operators.running(api, tmp_path / "log", *flags):
        wait_made(api, "demo")


def test_ours_are_no_rivals(api: clusters.Cluster, tmp_path: Path) -> None:
    mark = {"ray-operator.io/operator": "true"}
    api.apply(deployment(command="ray-operator", **mark), "kuberay")
    flags = ("--enable-leader-election=true", "--watch-namespace=team")
    api.apply(example.manifest("RayCluster", {}, name="demo"), "default")
    api.apply(example.manifest("RayCluster", {}, name="demo"), "team")
    with (
        operators.running(api, tmp_path / "log", *flags, f"--leader-election-namespace={OWN}"),
        operators.running(
            api,
            tmp_path / "log2",
            "--enable-leader-election=true",
            "--leader-election-namespace=kuberay",
            "--watch-namespace=default",
        ),
    ):
        wait_made(api, "demo", "team")
        wait_made(api, "demo", "default")
    for log in ("log", "log2"):
        assert "another operator" not in (tmp_path / log).read_text()


def test_it_can_be_ignored(api: clusters.Cluster, tmp_path: Path) -> None:
    api.apply(deployment(), "kuberay")
    api.apply(example.manifest("RayCluster", {}, name="demo"), "default")
    with operators.running(api, tmp_path / "log", "--ignore-other-operators"):
        wait_made(api, "demo")
        wait_logged(api, tmp_path / "log", "another operator for Ray is active, and ignored")


def granted(
    api: clusters.Cluster, namespace: str, table: tuple[permissions.Permission, ...]
) -> None:
    """Give the service account of a namespaced operator the rights of a table, there."""
    at, group = {"namespace": namespace, "name": "operator"}, "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": OWN}
    reference = {"apiGroup": group, "kind": "Role", "name": "operator"}
    role = {"kind": "Role", "rules": generate.rules(table)}
    binding = {"kind": "RoleBinding", "roleRef": reference, "subjects": [subject]}
    for each in (role, binding):
        api.apply({"apiVersion": f"{group}/v1", "metadata": at, **each}, namespace)


def test_without_cluster_wide_rights_it_looks_where_it_may(
    api: clusters.Cluster, tmp_path: Path
) -> None:
    api.kubectl("-n", OWN, "create", "serviceaccount", "operator")
    granted(api, "team", permissions.OPERATOR)
    granted(api, OWN, permissions.LEADER_ELECTION)
    token = api.kubectl("-n", OWN, "create", "token", "operator").strip()
    access = yaml.safe_load(api.kubeconfig.read_text())
    access["users"][0]["user"] = {"token": token}
    access["contexts"][0]["context"]["namespace"] = OWN
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(access))
    limited = clusters.Cluster(kubeconfig)
    api.apply(example.manifest("RayCluster", {}, name="demo"), "team")
    flags = ("--enable-leader-election=true", "--watch-namespace=team")
    api.apply(deployment(), "kuberay")  # out of sight
    with operators.running(limited, tmp_path / "log", *flags) as port:
        wait_made(api, "demo", "team")
        assert operators.counted(port, "rest_client_requests_total", 'code="403"') == 0
    api.apply(deployment("--enable-leader-election=false"), OWN)
    with operators.running(limited, tmp_path / "log", *flags) as port:
        wait_logged(api, tmp_path / "log", f"the Deployment {OWN}/kuberay-operator is KubeRay's")
        assert operators.counted(port, "rest_client_requests_total", 'code="403"') == 0
