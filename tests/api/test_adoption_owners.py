"""RayJobs and RayServices that KubeRay made go on with the cluster they have, at a real API server.

Nothing runs there, so their heads don't answer: what is taken over must outlast that too.
"""

import copy
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.api import operators
from tests.support import adoption, apiserver, ray
from tests.support import cluster as clusters

Json = clusters.Json
TESTS = Path(__file__).parents[1]
ROUNDS = timedelta(seconds=3)
"""Between two looks at each."""


class Taken(NamedTuple):
    """What was taken over: the resource, and its children before that."""

    namespace: str
    resource: Json
    before: dict[tuple[str, str], Json]


def recorded(case: str) -> tuple[Json, list[Json]]:
    """Return a resource as the reference left it, and its children."""
    if case != "service that serves":
        return adoption.read(TESTS / f"golden/{case}.out.yaml")
    service, children = adoption.read(TESTS / "golden/service.out.yaml")
    return service, [*children, *serving(service, children)]


def serving(service: Json, children: list[Json]) -> Iterator[Json]:
    """Have a RayService serve: its status, and yield the Services that it has then."""
    name, status = service["metadata"]["name"], service["status"]
    (cluster,) = (each for each in children if each["kind"] == "RayCluster")
    status["activeServiceStatus"] = status["pendingServiceStatus"]
    applications = status["activeServiceStatus"]["applicationStatuses"]
    applications["a"] = {
        "status": "RUNNING",
        "serveDeploymentStatuses": {"f": {"status": "HEALTHY"}},
    }
    status["pendingServiceStatus"] = {}
    status |= {"serviceStatus": "Running", "numServeEndpoints": 1}
    for each, is_so, reason in zip(
        status["conditions"],
        ("True", "False"),
        ("NonZeroServeEndpoints", "NoPendingServe"),
        strict=True,
    ):
        each |= {"status": is_so, "reason": reason, "message": ""}
    (head,) = (each for each in children if each["kind"] == "Service")
    marks = {"ray.io/originated-from-cr-name": name, "ray.io/originated-from-crd": "RayService"}
    made_of: Json = {"ownerReferences": [{"kind": "RayService"}]}
    yield {
        **copy.deepcopy(head),
        "metadata": {
            **made_of,
            "name": f"{name}-head-svc",
            "labels": {**marks, "ray.io/node-type": "head", "ray.io/identifier": f"{name}-head"},
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            **made_of,
            "name": f"{name}-serve-svc",
            "labels": {**marks, "ray.io/serve": f"{name}-serve"},
        },
        "spec": {
            "ports": [{"name": "serve", "port": 8000, "protocol": "TCP", "targetPort": 8000}],
            "selector": {"ray.io/cluster": cluster["metadata"]["name"], "ray.io/serve": "true"},
        },
    }


CASES = ("job-k8s", "service", "service that serves")


@pytest.fixture(scope="module")
def story(
    programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[clusters.Cluster, dict[str, Taken]]]:
    """Leave all of them, and let an operator take them over and look at them a few times."""
    environment = {
        **os.environ,
        "RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV": str(int(ROUNDS.total_seconds())),
    }
    with apiserver.running(programs) as api:
        apiserver.install_crds(api)
        taken = {}
        for case in CASES:
            namespace = f"adoption-{case.replace(' ', '-')}"
            api.kubectl("create", "namespace", namespace)
            resource, children = recorded(case)
            adoption.leave(api, namespace, resource, children)
            taken[case] = Taken(namespace, resource, adoption.seen(api, namespace))
        log = tmp_path_factory.mktemp("operator") / "log"
        with operators.running(api, log, environment=environment) as port:
            operators.wait_up(port)
            wanted = operators.passes(port) + 8 * len(taken)
            api.wait(
                lambda: operators.passes(port) >= wanted,
                within=timedelta(minutes=2),
                what="some looks at all",
                namespace="default",
            )
        yield api, taken


@pytest.mark.parametrize("case", CASES)
def test_its_children_are_the_same(
    story: tuple[clusters.Cluster, dict[str, Taken]], case: str
) -> None:
    api, taken = story
    namespace, _, before = taken[case]
    after = adoption.seen(api, namespace)
    assert after.keys() - before.keys() == set()
    for key, child in before.items():
        assert after[key]["metadata"]["uid"] == child["metadata"]["uid"]
        if key[0] != "rayclusters":
            assert adoption.fixed(after[key]) == adoption.fixed(child)
        else:
            assert after[key]["spec"] == child["spec"]


def status(story: tuple[clusters.Cluster, dict[str, Taken]], case: str) -> Json:
    """Return its status, which tells that the operator looks after it, and that no head answers."""
    api, taken = story
    one = taken[case]
    plural = f"{one.resource['kind'].lower()}s"
    found = api.get(plural, one.namespace, one.resource["metadata"]["name"])
    assert found is not None
    told: Json = found["status"]
    assert ray.condition(told, "RayReachable")["reason"] == "HeadUnreachable"
    return told


def test_the_job_runs_on(story: tuple[clusters.Cluster, dict[str, Taken]]) -> None:
    told = status(story, "job-k8s")
    assert (told["jobId"], told["rayClusterName"]) == ("job-hkfss", "job-p4926")
    assert told["jobDeploymentStatus"] == "Running"


def test_the_service_serves_on(story: tuple[clusters.Cluster, dict[str, Taken]]) -> None:
    told = status(story, "service that serves")
    assert told["activeServiceStatus"]["rayClusterName"] == "svc-jw4ft"
    assert not told.get("pendingServiceStatus", {}).get("rayClusterName")


def test_the_service_that_starts_goes_on_there(
    story: tuple[clusters.Cluster, dict[str, Taken]],
) -> None:
    assert status(story, "service")["pendingServiceStatus"]["rayClusterName"] == "svc-jw4ft"
