"""Clusters that KubeRay 1.3 to 1.7 made go on as they are, at a real API server.

Nothing runs there: Pods are given the status that a kubelet would have given them. What real Ray
makes of it is told by `tests/e2e/test_adoption.py`.
"""

import functools
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.api import operators
from tests.support import adoption, apiserver, ray
from tests.support import cluster as clusters

TESTS = Path(__file__).parents[1]
FILES = {
    path.name.partition(".out")[0].removesuffix(".yaml"): path
    for path in (*TESTS.glob("golden/cluster-*.out.yaml"), *TESTS.glob("adoption/*.yaml"))
}
MINUTE = timedelta(minutes=1)
SERVER_S = "ClusterIPNotAllocated"
"""The reason of a warning by which the API server tells of its own repairs."""
HASH = "ray.io/upgrade-strategy-recreate-hash"


class Adopted(NamedTuple):
    """A cluster that was taken over: its namespace and name, and its children before that."""

    namespace: str
    name: str
    before: dict[tuple[str, str], clusters.Json]


class Run(NamedTuple):
    """What an operator asked of the API server while it took over, and then in some resyncs."""

    creates: float
    deletes: float
    patches: float
    patches_later: float


def is_adopted(api: clusters.Cluster, each: Adopted) -> bool:
    found = api.get("rayclusters", each.namespace, each.name)
    assert found is not None
    status = found.get("status", {})
    ready = ray.condition(status, "RayClusterReady")
    return ready.get("status") == "True" and (
        status["observedGeneration"] == found["metadata"]["generation"]
    )


def measured(api: clusters.Cluster, port: int, adopted: dict[str, Adopted]) -> Run:
    """Let the operator take over, then resync a few times, and count its requests."""
    api.wait(lambda: operators.is_up(port), within=MINUTE, what="it", namespace="default")
    for name, each in adopted.items():
        is_so, what = functools.partial(is_adopted, api, each), f"{name} taken over"
        api.wait(is_so, within=MINUTE, what=what, namespace=each.namespace)
    quiet = 0.0

    def is_quiet() -> bool:
        nonlocal quiet
        before, quiet = quiet, operators.writes(port, "PATCH")
        time.sleep(2)
        return before == quiet == operators.writes(port, "PATCH")

    api.wait(is_quiet, within=MINUTE, what="no more writes", namespace="default")
    passes = operators.counted(port, "controller_runtime_reconcile_total")
    api.wait(
        lambda: (
            operators.counted(port, "controller_runtime_reconcile_total")
            >= passes + 2 * len(adopted)
        ),
        within=MINUTE,
        what="two resyncs of all",
        namespace="default",
    )
    return Run(
        operators.counted(port, "rest_client_requests_total", 'code="201"'),
        operators.writes(port, "DELETE"),
        quiet,
        operators.writes(port, "PATCH") - quiet,
    )


class Story(NamedTuple):
    """All clusters, what was told before, the run that took them over, and the one after."""

    adopted: dict[str, Adopted]
    told: list[str]
    first: Run
    second: Run
    api: clusters.Cluster


@pytest.fixture(scope="module")
def story(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    environment = {**os.environ, "RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV": "3"}
    logs = tmp_path_factory.mktemp("operator")
    with apiserver.running(programs) as api:
        apiserver.install_crds(api)
        adopted = {}
        for name, path in FILES.items():
            namespace = f"adoption-{name.replace('.', '-')}"
            api.kubectl("create", "namespace", namespace)
            cluster, children = adoption.read(path)
            adoption.leave(api, namespace, cluster, children)
            before = adoption.seen(api, namespace)
            assert len(before) == len(children)
            adopted[name] = Adopted(namespace, cluster["metadata"]["name"], before)
        told = operators.rehearsed(api)
        for each in adopted.values():
            assert adoption.seen(api, each.namespace) == each.before, "nothing is kept"
        with operators.running(api, logs / "first", environment=environment) as port:
            first = measured(api, port, adopted)
        with operators.running(api, logs / "second", environment=environment) as port:
            second = measured(api, port, adopted)
            yield Story(adopted, told, first, second, api)


@pytest.mark.parametrize("case", FILES)
def test_only_metadata_changes(story: Story, case: str) -> None:
    namespace, _, before = story.adopted[case]
    after = adoption.seen(story.api, namespace)
    for key, child in before.items():
        assert adoption.fixed(after[key]) == adoption.fixed(child)
        assert adoption.lost(child, after[key]) == {}
    made = after.keys() - before.keys()
    # The roles of a sidecar that the operator does without are nobody's any more.
    assert made == set()
    pods = {name: pod for (kind, name), pod in after.items() if kind == "pods"}
    assert len({pod["metadata"]["annotations"][HASH] for pod in pods.values()}) == 1


def test_no_child_is_made_or_deleted(story: Story) -> None:
    events = [
        (each["reason"], each["message"])
        for one in story.adopted.values()
        for each in story.api.list("events", one.namespace)
        if each["type"] != "Normal" and each["reason"] != SERVER_S
    ]
    assert events == []
    assert story.first.deletes == 0
    assert story.first.creates == 0, "neither children nor events"


def test_a_resync_and_a_restart_write_nothing(story: Story) -> None:
    assert story.first.patches_later == 0
    assert story.second == Run(creates=0, deletes=0, patches=0, patches_later=0)


def test_the_writes_are_one_status_and_one_stamp_a_pod(story: Story) -> None:
    pods = sum(kind == "pods" for each in story.adopted.values() for kind, _ in each.before)
    labelled = 3 + 4  # headless and Serve Services; Pods that become replicas
    assert story.first.patches == len(story.adopted) + pods + labelled


def test_it_was_told_before(story: Story) -> None:
    *writes, summary = story.told
    others = int(story.first.patches) - len(story.adopted)
    assert len(writes) == others
    assert all(each.startswith(("change pods ", "change services ")) for each in writes)
    assert summary == (
        f"{len(story.adopted)} resources: 0 Pods would be made and 0 deleted,"
        f" {others} writes in all, {len(story.adopted)} statuses beside them"
    )


def test_unlabelled_pods_become_replicas(story: Story) -> None:
    namespace, name, _ = story.adopted["kuberay-1.4-multihost"]
    found: dict[str, set[tuple[str, str]]] = {}
    for pod in ray.pods(story.api, namespace, name, node_type="worker"):
        labels = pod["metadata"]["labels"]
        place = (
            labels["ray.io/worker-group-replica-index"],
            labels["ray.io/replica-host-index"],
        )
        found.setdefault(labels["ray.io/worker-group-replica-name"], set()).add(place)
    assert sorted(map(sorted, found.values())) == [
        [("0", "0"), ("0", "1")],
        [("1", "0"), ("1", "1")],
    ]


def patch(story: Story, case: str, *operations: tuple[str, str, object]) -> None:
    """Change the RayCluster by a JSON patch: operation, path below the spec, value."""
    one = story.adopted[case]
    change = [
        {"op": verb, "path": f"/spec/{path}", "value": value} for verb, path, value in operations
    ]
    story.api.patch("rayclusters", one.namespace, one.name, change)


def workers(story: Story, case: str) -> set[str]:
    one = story.adopted[case]
    found = ray.pods(story.api, one.namespace, one.name, node_type="worker")
    return {pod["metadata"]["name"] for pod in found}


def wait_workers(story: Story, case: str, count: int) -> set[str]:
    story.api.wait(
        lambda: len(workers(story, case)) == count,
        within=MINUTE,
        what=f"{count} workers",
        namespace=story.adopted[case].namespace,
    )
    return workers(story, case)


@pytest.mark.parametrize("case", ["cluster-sample", "kuberay-1.3", "kuberay-1.6"])
def test_services_follow_a_change_of_the_spec(story: Story, case: str) -> None:
    """The ports of the other operator go, the address that was given stays."""
    one, api = story.adopted[case], story.api
    name = next(name for kind, name in one.before if kind == "services" and "serve" not in name)
    before = one.before["services", name]
    api.kubectl("-n", one.namespace, "annotate", "service", name, "theirs=kept")
    ports = [
        {"name": "dashboard", "containerPort": 9000},
        {"name": "gcs-server", "containerPort": 6379},
    ]
    patch(
        story,
        case,
        ("add", "headGroupSpec/template/spec/containers/0/ports", ports),
        ("add", "headServiceAnnotations", {"mine": "1"}),
    )

    def follows() -> clusters.Json | None:
        found = api.get("services", one.namespace, name) or {}
        return found if found["metadata"].get("annotations", {}).get("mine") else None

    after = api.wait(follows, within=MINUTE, what="the Service", namespace=one.namespace)
    assert {each["name"]: each["port"] for each in after["spec"]["ports"]} == {
        "dashboard": 9000,
        "gcs-server": 6379,
        "metrics": 8080,
    }
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["annotations"]["theirs"] == "kept"
    for key in ("clusterIP", "clusterIPs", "type"):
        assert after["spec"][key] == before["spec"][key]
    assert after["spec"]["selector"] == {
        "ray.io/cluster": one.name,
        "ray.io/node-type": "head",
    }
    pods = {name for kind, name in one.before if kind == "pods"}
    now = {pod["metadata"]["name"] for pod in ray.pods(api, one.namespace, one.name)}
    assert now == pods


@pytest.mark.parametrize(
    ("case", "replicas", "hosts"),
    [("cluster-sample", 1, 1), ("kuberay-1.3", 2, 1), ("kuberay-1.4-multihost", 2, 2)],
)
def test_adopted_workers_are_scaled(story: Story, case: str, replicas: int, hosts: int) -> None:
    standing = workers(story, case)
    patch(story, case, ("add", "workerGroupSpecs/0/replicas", replicas + 2))
    more = wait_workers(story, case, (replicas + 2) * hosts)
    assert standing < more
    patch(story, case, ("add", "workerGroupSpecs/0/replicas", replicas))
    assert wait_workers(story, case, replicas * hosts) == standing, "those that work stay"
    if replicas > 1:
        patch(story, case, ("add", "workerGroupSpecs/0/replicas", replicas - 1))
        assert wait_workers(story, case, (replicas - 1) * hosts) < standing


@pytest.mark.parametrize("case", ["cluster-user-command", "kuberay-1.4-multihost"])
def test_recreate_replaces_all_pods_once_the_spec_changes(story: Story, case: str) -> None:
    one, api = story.adopted[case], story.api
    old = {pod["metadata"]["uid"] for pod in ray.pods(api, one.namespace, one.name)}
    answered = functools.partial(is_answered, story, case)
    patch(story, case, ("add", "upgradeStrategy", {"type": "Recreate"}))
    api.wait(answered, within=MINUTE, what="it answered", namespace=one.namespace)
    assert {pod["metadata"]["uid"] for pod in ray.pods(api, one.namespace, one.name)} == old
    image = "headGroupSpec/template/spec/containers/0/image"
    patch(story, case, ("replace", image, "rayproject/ray:2.60.0"))

    def replaced() -> bool:
        pods = ray.pods(api, one.namespace, one.name)
        return len(pods) == len(old) and old.isdisjoint(pod["metadata"]["uid"] for pod in pods)

    api.wait(replaced, within=MINUTE, what="all Pods replaced", namespace=one.namespace)


def is_answered(story: Story, case: str) -> bool:
    one = story.adopted[case]
    found = story.api.get("rayclusters", one.namespace, one.name) or {}
    return bool(found["status"]["observedGeneration"] == found["metadata"]["generation"])


def test_a_deleted_cluster_is_cleaned_up_after_in_redis(story: Story) -> None:
    one, api = story.adopted["cluster-gcs-ft"], story.api
    api.delete("rayclusters", one.namespace, one.name)
    merge = "merge-patch+json"
    (job,) = api.wait(
        lambda: api.list("jobs", one.namespace),
        within=MINUTE,
        what="the Job that cleans up",
        namespace=one.namespace,
    )
    env = {
        each["name"]: each.get("value")
        for each in job["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    head = next(pod for (kind, _), pod in one.before.items() if kind == "pods" and is_head(pod))
    assert (
        env["RAY_external_storage_namespace"]
        == (head["metadata"]["annotations"]["ray.io/external-storage-namespace"])
    ), "the keys of the head that ran, not of one made anew"
    assert not ray.pods(api, one.namespace, one.name, node_type="head")
    at = f"/apis/batch/v1/namespaces/{one.namespace}/jobs/{job['metadata']['name']}/status"
    now = adoption.NOW
    done = [
        {"type": type_, "status": "True", "lastTransitionTime": now, "lastProbeTime": now}
        for type_ in ("SuccessCriteriaMet", "Complete")
    ]
    status = {
        "conditions": done,
        "startTime": job["metadata"]["creationTimestamp"],
        "completionTime": job["metadata"]["creationTimestamp"],
        "succeeded": 1,
    }
    api.send("PATCH", at, {"status": status}, form=merge)
    api.wait(
        lambda: api.get("rayclusters", one.namespace, one.name) is None,
        within=MINUTE,
        what="it gone",
        namespace=one.namespace,
    )


def is_head(pod: clusters.Json) -> bool:
    return bool(pod["metadata"]["labels"]["ray.io/node-type"] == "head")
