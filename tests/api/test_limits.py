"""The smallest and the largest clusters, and the longest names, at a real API server."""

import os
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.api import operators
from tests.support import adoption, ray
from tests.support import cluster as clusters
from tests.support.rulebook import example

NAMESPACE = "limits"
MINUTE = timedelta(minutes=1)
LONGEST = "c" * 52 + "9"
LONGEST_GROUP = "G_" + "g" * 49 + "." + "g" * 10 + "9"


@pytest.fixture(scope="module", autouse=True)
def port(api: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    api.kubectl("create", "namespace", NAMESPACE)
    log = tmp_path_factory.mktemp("operator") / "log"
    flag = f"--watch-namespace={NAMESPACE}"
    with operators.running(api, log, flag, environment=os.environ) as port:
        yield port


def group(name: str, replicas: int, **fields: object) -> example.Json:
    bounds = {"minReplicas": 0, "maxReplicas": 2000, "replicas": replicas}
    return {"groupName": name, "template": example.template(), **bounds, **fields}


def made(api: clusters.Cluster, name: str, groups: list[example.Json], **more: object) -> None:
    changes = {"spec/workerGroupSpecs": groups, **more}
    api.apply(example.manifest("RayCluster", changes, name=name), NAMESPACE)


def wait_pods(api: clusters.Cluster, name: str, count: int) -> list[clusters.Json]:
    def there() -> list[clusters.Json] | None:
        found = ray.pods(api, NAMESPACE, name)
        return found if len(found) == count else None

    what = f"{count} Pods of {name}"
    return api.wait(there, within=4 * MINUTE, what=what, namespace=NAMESPACE)


def wait_status(api: clusters.Cluster, name: str, **fields: object) -> clusters.Json:
    def is_so() -> clusters.Json | None:
        found = api.get("rayclusters", NAMESPACE, name) or {}
        status: clusters.Json = found.get("status", {})
        return status if fields.items() <= status.items() else None

    return api.wait(is_so, within=MINUTE, what=f"{name}: {fields}", namespace=NAMESPACE)


def run(api: clusters.Cluster, pod: clusters.Json) -> None:
    at = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}/status"
    status = {"status": adoption.running(pod, "10.0.0.1")}
    api.send("PATCH", at, status, form="merge-patch+json")


@pytest.mark.parametrize("groups", [[], [group("idle", 0)]], ids=["none", "of none"])
def test_no_workers_are_enough(
    api: clusters.Cluster, groups: list[example.Json], request: pytest.FixtureRequest
) -> None:
    name = "small-" + re.sub(r"\W+", "-", request.node.callspec.id)
    made(api, name, groups)
    (head,) = wait_pods(api, name, 1)
    run(api, head)
    status = wait_status(api, name, state="ready", desiredWorkerReplicas=0)
    assert ray.condition(status, "RayClusterReady")["status"] == "True"


def test_fifty_groups(api: clusters.Cluster, port: int) -> None:
    before = operators.writes(port, "POST")
    made(api, "wide", [group(f"group-{number}", 1) for number in range(50)])
    pods = wait_pods(api, "wide", 51)
    status = wait_status(api, "wide", desiredWorkerReplicas=50)
    assert ray.condition(status, "RayClusterSpecValid")["status"] == "True"
    counts = {pod["metadata"]["labels"]["ray.io/group"] for pod in pods}
    assert len(counts) == 51
    posts = operators.writes(port, "POST") - before
    assert 51 <= posts <= 51 + 10, "the Pods, and few events"


def test_a_thousand_workers(api: clusters.Cluster, port: int) -> None:
    def count() -> dict[str, float]:
        return {verb: operators.writes(port, verb) for verb in ("POST", "PATCH", "DELETE")}

    before = count()
    made(api, "large", [group("many", 1000)])
    pods = wait_pods(api, "large", 1001)
    indices = {pod["metadata"]["labels"].get("ray.io/worker-group-replica-index") for pod in pods}
    assert len(indices - {None}) == 1000
    wait_status(api, "large", desiredWorkerReplicas=1000)
    spent = {verb: number - before[verb] for verb, number in count().items()}
    assert 1001 <= spent["POST"] <= 1001 + 20, "the Pods, and few events"
    assert spent["PATCH"] <= 30
    assert spent["DELETE"] == 0

    change = [{"op": "replace", "path": "/spec/workerGroupSpecs/0/replicas", "value": 0}]
    api.patch("rayclusters", NAMESPACE, "large", change)
    wait_pods(api, "large", 1)
    api.wait(
        lambda: count()["DELETE"] - before["DELETE"] == 1000,
        within=MINUTE,
        what="1000 requests, no more",
        namespace=NAMESPACE,
    )


def test_the_longest_names_fit_into_every_child(api: clusters.Cluster) -> None:
    """The API server takes each child; what DNS needs of names is looked at here."""
    everything = {
        f"{example.HEAD}/enableIngress": True,
        "spec/authOptions": {"mode": "token"},
        example.FT: {"redisAddress": "redis:6379"},
        "metadata/annotations": {"ray.io/enable-serve-service": "true"},
    }
    made(api, LONGEST, [group(LONGEST_GROUP, 1, numOfHosts=2)], **everything)
    pods = wait_pods(api, LONGEST, 3)
    status = wait_status(api, LONGEST, desiredWorkerReplicas=2)
    assert not ray.condition(status, "ReplicaFailure")
    groups = {pod["metadata"]["labels"]["ray.io/group"] for pod in pods}
    assert groups == {"headgroup", LONGEST_GROUP}
    children = adoption.seen(api, NAMESPACE)
    ours = [
        each
        for each in children.values()
        if each["metadata"]["ownerReferences"][0]["name"] == LONGEST
    ]
    assert len(ours) == 3 + 3 + 1 + 1, "Pods, Services, Secret, Ingress"
    for each in ours:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", each["metadata"]["name"])

    api.delete("rayclusters", NAMESPACE, LONGEST)
    api.wait(
        lambda: api.list("jobs", NAMESPACE, labels=f"ray.io/cluster={LONGEST}"),
        within=MINUTE,
        what="the Job that cleans up",
        namespace=NAMESPACE,
    )


def test_longer_names_are_refused(api: clusters.Cluster) -> None:
    long = example.manifest("RayCluster", {}, name=LONGEST + "9")
    said = api.dry_run(long, namespace=NAMESPACE)
    assert "metadata.name must have at most 53 characters" in said
    wordy = {"spec/workerGroupSpecs": [group("g" * 64, 1)]}
    said = api.dry_run(example.manifest("RayCluster", wordy), namespace=NAMESPACE)
    assert "spec.workerGroupSpecs[0].groupName: Too long: may not be more than 63" in said
