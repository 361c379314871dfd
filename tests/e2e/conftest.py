"""Fixtures of the end-to-end tests: the cluster, the operator as users run it, a namespace each.

The tests run one after another: they share the operator, some of them stop it, and a Ray head
takes most of a small machine to start. `KUBECONFIG` names a cluster of one's own (its operator
image is `OPERATOR_IMAGE`); without it the local cluster is used.
"""

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import audit as audits
from tests.support import bare, operators, ray
from tests.support import cluster as clusters

OPERATOR_NAMESPACE = "ray-system"
SHARED, DRAINING = "shared", "draining"
"""Of namespaces that several tests are in."""
TEST_SECONDS = 900
"""A test's own waits end earlier, and tell more."""


class SharedRayCluster(NamedTuple):
    """A ready Ray cluster of a head and a worker, for tests that leave it as it is."""

    namespace: str
    name: str


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "the operator has rights in the namespaces of the selected tests alone"
    parser.addoption("--namespaced", action="store_true", help=told)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "first: takes the whole cluster, before others share it")
    config.addinivalue_line("markers", "last: looks back on all other tests, so it runs after them")
    if config.getoption("numprocesses", None):
        raise pytest.UsageError("the e2e tests share one operator: run them without -n")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """Order tests: first, any, last."""
    if item.get_closest_marker("first"):
        return -1
    return 1 if item.get_closest_marker("last") else 0


def _localcluster(command: str) -> Path | None:
    """Ask the local cluster for a path; None when it has no such thing."""
    done = subprocess.run(
        [sys.executable, "-m", "localcluster", command],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.exit(f"no local cluster: {done.stderr}", returncode=1)
    return Path(done.stdout.strip()) if done.stdout.strip() else None


@pytest.fixture(scope="session")
def is_local() -> bool:
    return not os.environ.get("KUBECONFIG")


@pytest.fixture(scope="session")
def cluster(is_local: bool) -> clusters.Cluster:
    if not is_local:
        return clusters.Cluster(Path(os.environ["KUBECONFIG"]))
    kubeconfig = _localcluster("kubeconfig")
    if kubeconfig is None or not kubeconfig.exists():
        pytest.exit("no local cluster: `make cluster` brings it up", returncode=1)
    return clusters.Cluster(kubeconfig, programs=_localcluster("path"))


@pytest.fixture(scope="session")
def _audit_log(is_local: bool) -> audits.Log | None:
    path = _localcluster("audit-log") if is_local else None
    return audits.Log(path, datetime.now(UTC)) if path else None


@pytest.fixture
def audit(_audit_log: audits.Log | None) -> audits.Log:
    if _audit_log is None:
        pytest.skip("this cluster's audit log is not at hand")
    return _audit_log


@pytest.fixture(scope="session")
def watched(
    cluster: clusters.Cluster, request: pytest.FixtureRequest
) -> Iterator[Mapping[str, str]]:
    """The namespaces of all tests, where the operator watches no others; else none."""
    if not request.config.getoption("namespaced"):
        yield {}
        return
    items = [each for each in request.session.items if isinstance(each, pytest.Function)]
    inside = {each.nodeid: each.name for each in items if "namespace" in each.fixturenames}
    about = {SHARED: SHARED, DRAINING: DRAINING} | inside
    found = {test: _name(name) for test, name in about.items()}
    values = {"singleNamespaceInstall": True, "watchNamespace": list(found.values())}
    try:
        for name in found.values():
            cluster.kubectl("create", "namespace", name)
        with operators.always(values):
            yield found
    finally:
        flags = ("--wait=false", "--ignore-not-found")
        cluster.kubectl("delete", "namespace", *flags, *found.values())


@pytest.fixture(scope="session")
def operator(
    cluster: clusters.Cluster,
    is_local: bool,
    _audit_log: audits.Log | None,
    watched: Mapping[str, str],
) -> Iterator[operators.Operator]:
    """The operator; it stays where it was installed before, else it goes."""
    if not is_local and not os.environ.get("OPERATOR_IMAGE"):
        pytest.exit("KUBECONFIG is set: name the operator's image by OPERATOR_IMAGE", returncode=1)
    if others := operators.others(cluster, OPERATOR_NAMESPACE):
        pytest.exit(f"other operators would interfere: {', '.join(others)}", returncode=1)
    was_there = operators.is_installed(cluster, OPERATOR_NAMESPACE)
    if was_there and watched:
        operators.Operator(cluster=cluster, namespace=OPERATOR_NAMESPACE).uninstall()
    installed = operators.install(cluster, namespace=OPERATOR_NAMESPACE)
    try:
        yield installed
        for name in watched.values():
            _clear(cluster, name, wait=True)
    finally:
        if not was_there or watched:
            installed.uninstall()
        if was_there and watched:
            with operators.always({}):
                operators.install(cluster, namespace=OPERATOR_NAMESPACE)


def _name(about: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", about.lower().removeprefix("test_"))[:40].strip("-")
    return f"e2e-{slug}-{uuid.uuid4().hex[:5]}"


@contextmanager
def own_namespace(
    cluster: clusters.Cluster, about: str, watched: Mapping[str, str], *, test: str = ""
) -> Iterator[str]:
    """Yield a namespace, of that test or several; it goes afterwards with all that is in it."""
    if standing := watched.get(test or about):
        try:
            yield standing
        finally:  # it goes after the operator, whose rights would go with it
            _clear(cluster, standing, wait=False)
        return
    name = _name(about)
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("-n", name, "wait", "serviceaccount/default", "--for=create", "--timeout=60s")
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def _clear(cluster: clusters.Cluster, namespace: str, *, wait: bool) -> None:
    listed = cluster.kubectl("api-resources", "--api-group=ray.io", "-o", "name").split()
    kinds = ",".join((*listed, "all"))
    flags = ("--all", "--ignore-not-found", f"--wait={str(wait).lower()}", "--timeout=120s")
    cluster.kubectl("-n", namespace, "delete", kinds, *flags)


@pytest.fixture
def namespace(
    cluster: clusters.Cluster, request: pytest.FixtureRequest, watched: Mapping[str, str]
) -> Iterator[str]:
    """A namespace of the test's own; it goes while the next test runs."""
    with own_namespace(cluster, request.node.name, watched, test=request.node.nodeid) as name:
        yield name


@pytest.fixture(scope="module")
def empty(cluster: clusters.Cluster, is_local: bool) -> Iterator[clusters.Cluster]:
    """The local cluster without the operator; what was installed is installed again."""
    if not is_local:
        pytest.skip("the CRDs of this cluster aren't the tests' to delete")
    if others := bare.others(cluster):
        pytest.fail(f"to remove the CRDs would remove these, delete them first: {others}")
    was_there = operators.is_installed(cluster, OPERATOR_NAMESPACE)
    yield cluster
    if was_there:
        operators.install(cluster, namespace=OPERATOR_NAMESPACE)


@pytest.fixture
def place(empty: clusters.Cluster) -> Iterator[clusters.Cluster]:
    """An empty cluster, which it is again afterwards, whatever came between."""
    bare.clear(empty)
    assert bare.left(empty) == []
    yield empty
    bare.clear(empty)


@pytest.fixture(scope="session")
def shared_ray_cluster(
    cluster: clusters.Cluster, operator: operators.Operator, watched: Mapping[str, str]
) -> Iterator[SharedRayCluster]:
    del operator  # it only has to be there
    with own_namespace(cluster, SHARED, watched) as namespace:
        cluster.apply(ray.ray_cluster(SHARED), namespace)
        ray.wait_ready(cluster, namespace, SHARED, workers=1)
        yield SharedRayCluster(namespace, SHARED)
