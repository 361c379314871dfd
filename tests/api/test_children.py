"""Services, Secret and Ingress at a real API server: made, updated, removed, adopted."""

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.api import operators
from tests.support import cluster as clusters
from tests.support.rulebook import example

SOON = timedelta(seconds=30)
HEAD = "spec/headGroupSpec"


@pytest.fixture(scope="module", autouse=True)
def operator(api: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with operators.running(api, tmp_path_factory.mktemp("operator") / "log"):
        yield


def wait_for(api: clusters.Cluster, resource: str, name: str) -> example.Json:
    return api.wait(
        lambda: api.get(resource, "default", name),
        within=SOON,
        what=f"{resource}/{name}",
        namespace="default",
    )


def change(api: clusters.Cluster, name: str, **spec: object) -> None:
    api.patch("rayclusters", "default", name, {"spec": spec})


def test_a_token_is_drawn_once_and_given_to_every_container(api: clusters.Cluster) -> None:
    auth = {"spec/authOptions": {"mode": "token"}, "spec/workerGroupSpecs/0/replicas": 1}
    api.apply(example.manifest("RayCluster", auth, name="token"), "default")
    secret = wait_for(api, "secrets", "token")
    assert len(base64.b64decode(base64.b64decode(secret["data"]["auth_token"]))) == 32
    pods = api.wait(
        lambda: (
            found
            if len(found := api.list("pods", "default", labels="ray.io/cluster=token")) == 2
            else None
        ),
        within=SOON,
        what="head and worker",
        namespace="default",
    )
    for pod in pods:
        for each in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
            env = {entry["name"]: entry for entry in each["env"]}
            assert env["RAY_AUTH_MODE"]["value"] == "token"
            reference = env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
            assert (reference["name"], reference["key"]) == ("token", "auth_token")
    change(api, "token", headServiceAnnotations={"a": "b"})
    wait_annotation(api, "services", "token-head-svc", "a", "b")
    assert wait_for(api, "secrets", "token")["data"] == secret["data"]


def wait_annotation(
    api: clusters.Cluster, resource: str, name: str, key: str, value: str | None
) -> None:
    def is_there() -> bool:
        found = api.get(resource, "default", name)
        return bool(found and found["metadata"]["annotations"].get(key) == value)

    api.wait(is_there, within=SOON, what=f"{name}: {key}={value}", namespace="default")


def test_services_and_ingress_follow_the_spec(api: clusters.Cluster) -> None:
    shown = {f"{HEAD}/enableIngress": True, "spec/headServiceAnnotations": {"a": "1", "b": "2"}}
    api.apply(example.manifest("RayCluster", shown, name="shown"), "default")
    ingress = wait_for(api, "ingresses", "shown-head-ingress")
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "shown-head-svc", "port": {"number": 8265}}
    service = wait_for(api, "services", "shown-head-svc")
    assert service["spec"]["clusterIP"] == "None"

    # What others write stays; what we wrote and the user took back goes.
    api.kubectl("annotate", "service", "shown-head-svc", "theirs=kept")
    change(api, "shown", headServiceAnnotations={"a": "3", "b": None})
    wait_annotation(api, "services", "shown-head-svc", "a", "3")
    wait_annotation(api, "services", "shown-head-svc", "b", None)
    wait_annotation(api, "services", "shown-head-svc", "theirs", "kept")

    ports = [{"name": "dashboard", "containerPort": 9000}, {"name": "gcs", "containerPort": 6379}]
    at = f"/{HEAD}/template/spec/containers/0/ports"
    api.patch("rayclusters", "default", "shown", [{"op": "add", "path": at, "value": ports}])
    api.wait(
        lambda: (
            {
                each["name"]
                for each in (api.get("services", "default", "shown-head-svc") or {})["spec"][
                    "ports"
                ]
            }
            == {"dashboard", "gcs", "metrics"}
        ),
        within=SOON,
        what="the new ports",
        namespace="default",
    )
    change(api, "shown", headGroupSpec={"enableIngress": False})
    api.wait(
        lambda: api.get("ingresses", "default", "shown-head-ingress") is None,
        within=SOON,
        what="the Ingress gone",
        namespace="default",
    )


def test_a_name_that_is_taken_is_told(api: clusters.Cluster) -> None:
    taken = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "taken-head-svc"},
        "spec": {"ports": [{"port": 1}]},
    }
    api.apply(taken, "default")
    api.apply(example.manifest("RayCluster", {}, name="taken"), "default")

    def told() -> bool:
        found = api.get("rayclusters", "default", "taken") or {}
        conditions = found.get("status", {}).get("conditions", ())
        return any(
            each["type"] == "ReplicaFailure"
            and each["reason"] == "FailedCreateService"
            and "already exists" in each["message"]
            for each in conditions
        )

    api.wait(told, within=SOON, what="the collision told", namespace="default")
    assert api.list("pods", "default", labels="ray.io/cluster=taken")
