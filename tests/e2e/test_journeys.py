"""The journeys of docs/journeys.md, typed on an empty cluster, and what must be true after them.

Each begins and ends without operator and CRDs, so they run before other tests share a cluster.
"""

import concurrent.futures
import contextlib
import itertools
import random
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ray_operator import names
from tests.e2e import test_adoption
from tests.support import adoption, apiserver, bare, journeys, operators, ray
from tests.support import audit as audits
from tests.support import cluster as clusters

pytestmark = [pytest.mark.full, pytest.mark.first, pytest.mark.timeout(5400)]
MINUTE = timedelta(minutes=1)
JOURNEYS = journeys.read()
RAY = re.compile(r"samples/ray-|charts/ray-cluster")
KILLS_SECONDS = (8.0, 40.0)
"""How long an operator may live, at least and at most."""
REMOVAL = re.compile(r"^(kubectl delete -k|helm uninstall kuberay-operator)\b", re.MULTILINE)
"""Of the operator itself."""
KUBERAY = Path(__file__).parents[1] / "support/kuberay"
"""A chart as KubeRay's, whose operator holds its Lease and does nothing else."""


@pytest.fixture
def shell(place: clusters.Cluster, namespace: str, tmp_path: Path) -> Iterator[journeys.Shell]:
    """A user's shell: kubectl at work in the test's namespace, Helm, and Ray's command line."""
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(place.kubeconfig, kubeconfig)
    folder = tmp_path / "repository"
    folder.mkdir()
    path = f"{Path(sys.executable).parent}:{place.path}"
    shell = journeys.Shell(folder, {"KUBECONFIG": str(kubeconfig), "PATH": path})
    shell.type(f"kubectl config set-context --current --namespace={namespace}")
    yield shell
    shell.close()


def walk(
    cluster: clusters.Cluster,
    shell: journeys.Shell,
    namespace: str,
    steps: Iterable[journeys.Step],
) -> str:
    """Type the steps; return all that they printed. What goes wrong is told with the state then."""
    try:
        return "".join(journeys.walk(shell, steps))
    except journeys.Broken as broken:
        there = {each["metadata"]["name"] for each in cluster.list("namespaces", None)}
        states = [cluster.describe(each) for each in (namespace, *bare.NAMESPACES) if each in there]
        raise journeys.Broken("\n".join([str(broken), *states])) from None


def assert_nothing_left(cluster: clusters.Cluster, namespace: str) -> None:
    """No CRD, no operator, none of its rights, no namespace of the journey's, and no Pod."""
    assert bare.left(cluster) == []
    cluster.wait(
        lambda: not cluster.list("pods", namespace),
        within=timedelta(minutes=2),
        what="all Pods gone",
        namespace=namespace,
    )


def pairs(printed: str) -> set[tuple[str, str]]:
    """Read which pairs of nodes samples/example.py told of."""
    return set(re.findall(r"\('([\w-]+)', '([\w-]+)'\)", printed))


@contextlib.contextmanager
def operator_killed_now_and_then(cluster: clusters.Cluster) -> Iterator[list[float]]:
    """Kill every operator's Pod again and again; give how long each was left alone before.

    The first is soon, since a journey may be short.
    """
    draw, is_over, lives = random.Random(), threading.Event(), list[float]()
    spans = itertools.chain([(0.0, KILLS_SECONDS[0])], itertools.repeat(KILLS_SECONDS))
    selector = f"--selector={clusters.OPERATOR_PODS}"

    def kill() -> None:
        while not is_over.wait(life := draw.uniform(*next(spans))):
            with contextlib.suppress(clusters.CommandFailed):
                said = cluster.kubectl(
                    *("delete", "pod", "--all-namespaces", selector, "--force"),
                    *("--grace-period=0", "--wait=false"),
                )
                lives.extend([life] * said.count("force deleted"))

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield lives
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("letter", list("ABCDEF"))
def test_a_journey(
    place: clusters.Cluster,
    shell: journeys.Shell,
    namespace: str,
    audit: audits.Log,
    letter: str,
) -> None:
    audit = audit.later(datetime.now(UTC))
    steps = JOURNEYS[letter].steps
    last = next(number for number, each in enumerate(steps) if REMOVAL.search(each.commands))
    printed = walk(place, shell, namespace, steps[:last])
    assert audit.denied(operators.NAME) == [], "its rights go first when all of it is deleted"
    printed += walk(place, shell, namespace, steps[last:])
    if letter == "B":
        nodes = {each for pair in pairs(printed) for each in pair}
        for stem in ("raycluster-three-workers-", "ray-"):
            assert len({each for each in nodes if re.match(rf"{stem}(head|work)", each)}) == 4
    assert_nothing_left(place, namespace)


def test_clusters_of_another_operator(
    place: clusters.Cluster, shell: journeys.Shell, namespace: str
) -> None:
    """G: real Ray in Pods as KubeRay makes them, and its operator in the way."""
    apiserver.install_crds(place)
    place.helm("install", "kuberay-operator", str(KUBERAY), "-n", "kuberay", "--create-namespace")
    resource, children = adoption.read(test_adoption.GOLDEN)
    for child in children:
        if child["kind"] == "Pod":
            child["spec"]["containers"][0]["env"].append(dict(ray.PATIENCE))
    made = [test_adoption.here(each, namespace) for each in children]
    adoption.leave(place, namespace, resource, made, runs=True)
    place.wait(
        lambda: test_adoption.all_ready(place, namespace),
        within=ray.START,
        what="head and worker ready, without any operator",
        namespace=namespace,
    )
    before = test_adoption.lives(place, namespace)
    walk(place, shell, namespace, JOURNEYS["G"].steps)
    ray.wait_tasks(place, namespace, test_adoption.NAME, within=timedelta(minutes=2))
    assert test_adoption.lives(place, namespace) == before


def test_two_pods_of_another_operator_make_room(place: clusters.Cluster, namespace: str) -> None:
    """Each in turn could take the Lease; ours is ready before, and writes when both are gone."""
    apiserver.install_crds(place)
    options = ("-n", "kuberay", "--wait", "--set", "replicas=2")
    place.helm("install", operators.NAME, str(KUBERAY), *options, "--create-namespace")
    place.apply(ray.ray_cluster("waiting"), namespace)

    def lease() -> clusters.Json:
        found = place.get("leases", "kuberay", names.LEASE) or {"spec": {"holderIdentity": ""}}
        return dict(found["spec"])

    def is_ours() -> bool:
        return str(lease()["holderIdentity"]).startswith(names.IDENTITY_PREFIX)

    place.wait(
        lambda: lease()["holderIdentity"], within=MINUTE, what="a leader", namespace="kuberay"
    )
    assert not is_ours()
    command = ("helm", "upgrade", operators.NAME, str(operators.CHART), *options)
    theirs = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        upgrade = pool.submit(lambda: place.run(*command, "--reset-values", within=5 * MINUTE))
        while not (upgrade.done() and upgrade.exception()):
            made = ray.pods(place, namespace, "waiting")
            if is_ours():
                break
            assert made == [], "written beside an operator that leads"
            theirs.append(lease()["renewTime"])
            time.sleep(0.2)
        upgrade.result()
    assert theirs
    head = place.wait(
        lambda: ray.pods(place, namespace, "waiting", node_type="head"),
        within=MINUTE,
        what="the head made",
        namespace=namespace,
    )[0]
    assert head["metadata"]["creationTimestamp"] >= theirs[-1][:19]
    assert len(place.list("pods", "kuberay")) == 2


@pytest.mark.parametrize("letter", "ABCDE")
def test_a_journey_ends_well_though_the_operator_is_killed(
    place: clusters.Cluster, shell: journeys.Shell, namespace: str, letter: str
) -> None:
    """Killed at any moment from the first Ray resource on; before, the journey shows its Pod."""
    steps = JOURNEYS[letter].steps
    first = next(number for number, each in enumerate(steps) if RAY.search(each.commands))
    walk(place, shell, namespace, steps[:first])
    with operator_killed_now_and_then(place) as lives:
        walk(place, shell, namespace, steps[first:])
    print(f"killed {len(lives)} times, after {[round(each) for each in lives]} s")
    assert lives
    assert_nothing_left(place, namespace)
