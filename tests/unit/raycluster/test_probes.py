"""Probes of the Ray container."""

import subprocess
from typing import Any

import pytest

from ray_operator import names, settings
from ray_operator.raycluster import desired
from tests.unit import builders


def container(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["spec"]["containers"][0]
    return found


def cluster_of(*, version: str | None, image: str = "img", **more: Any) -> Any:
    ray = {"name": "ray", "image": image, **more.pop("ray", {})}
    template = {"spec": {"containers": [ray]}}
    params = {"rayStartParams": {"dashboard-agent-listen-port": "1111", "dashboard-port": "2222"}}
    return builders.raycluster(
        rayVersion=version,
        headGroupSpec={"template": template, **params},
        groups=[{**builders.group(template=template), **params}],
        **more,
    )


def pods(cluster: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    (group,) = cluster.spec.worker_group_specs
    head = desired.head_pod(cluster, settings=builders.SETTINGS)
    (worker,) = desired.worker_pods(
        cluster, group, places=[desired.Place()], settings=builders.SETTINGS
    )
    return container(head), container(worker)


def checks(probe: dict[str, Any]) -> str:
    bash, flag, script = probe["exec"]["command"]
    assert (bash, flag) == ("bash", "-c")
    return str(script.splitlines()[-1])


@pytest.mark.parametrize(
    ("version", "image", "is_http"),
    [
        ("2.53.0", "img", True),
        ("v2.60", "img", True),
        ("2.52.9", "img", False),
        ("nightly", "rayproject/ray:2.60.0", False),
        (None, "img", False),
        (None, "rayproject/ray:2.53.0-py312-gpu", True),
        (None, "mirror.example:5000/rayproject/ray-ml:2.53.1@sha256:abc", True),
        (None, "rayproject/ray:2.46.0", False),
        (None, "rayproject/ray:latest", False),
        ("", "rayproject/ray:2.60.0", True),
        (None, "mirror/notrayproject/ray:2.60.0", False),
    ],
)
def test_plain_http_since_ray_has_the_endpoint(
    version: str | None, image: str, *, is_http: bool
) -> None:
    head, worker = pods(cluster_of(version=version, image=image))
    for each in (head, worker):
        assert ("httpGet" in each["livenessProbe"]) is is_http
        assert ("httpGet" in each["readinessProbe"]) is is_http


def test_http_probes_ask_the_agent() -> None:
    head, worker = pods(cluster_of(version="2.60.0"))
    for each, timeout in ((head, 5), (worker, 2)):
        common = {
            "httpGet": {"path": "/api/healthz", "port": 1111},
            "periodSeconds": 5,
            "successThreshold": 1,
            "timeoutSeconds": timeout,
        }
        liveness = {**common, "initialDelaySeconds": 30, "failureThreshold": 120}
        assert each["livenessProbe"] == liveness
        readiness = {**common, "initialDelaySeconds": 0, "failureThreshold": 10}
        assert each["readinessProbe"] == readiness


def test_older_ray_is_asked_by_bash() -> None:
    head, worker = pods(cluster_of(version="2.46.0"))
    for probe in ("livenessProbe", "readinessProbe"):
        assert checks(head[probe]) == (
            "ask 1111 /api/local_raylet_healthz && ask 2222 /api/gcs_healthz"
        )
        assert checks(worker[probe]) == "ask 1111 /api/local_raylet_healthz"
        assert (head[probe]["timeoutSeconds"], worker[probe]["timeoutSeconds"]) == (5, 5)


def test_a_node_is_seen_as_soon_as_it_is_up() -> None:
    """One shell asks for a while, since to start it costs more than to ask."""
    for version in ("2.46.0", "2.60.0"):
        head, worker = pods(cluster_of(version=version))
        for each, asked in (
            (head, "ask 1111 /api/local_raylet_healthz && ask 2222 /api/gcs_healthz"),
            (worker, "ask 1111 /api/local_raylet_healthz"),
        ):
            bash, flag, script = each["startupProbe"]["exec"]["command"]
            assert (bash, flag) == ("bash", "-c")
            assert f"said=$({{ {asked}; }} 2>&1) && exit" in script
            assert each["startupProbe"]["periodSeconds"] == 1


def test_a_startup_that_ends_well_ends_at_once_and_a_bad_one_says_why() -> None:
    head, _ = pods(cluster_of(version="2.46.0"))
    *shell, script = head["startupProbe"]["exec"]["command"]
    asks, loop = script.split("while", 1)
    works = asks + "ask() { echo fine; }\nwhile" + loop
    fails = asks + "ask() { echo no: $1; return 1; }\nwhile" + loop.replace("-lt 8", "-lt 1")
    for each, said, code in ((works, "", 0), (fails, "no: 1111\n", 1)):
        done = subprocess.run([*shell, each], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr, done.returncode) == (said, "", code)


def test_workers_of_a_service_are_ready_when_their_proxy_is() -> None:
    labels = {names.ORIGIN_KIND_LABEL: "RayService"}
    ports = [{"name": "serve", "containerPort": 3333}]
    head, worker = pods(
        cluster_of(version="2.60.0", metadata={"labels": labels}, ray={"ports": ports})
    )
    assert "httpGet" in head["readinessProbe"]
    assert "httpGet" in worker["livenessProbe"]
    asked = worker["readinessProbe"]
    assert asked["httpGet"] == {"path": "/-/healthz", "port": 3333}
    assert asked["periodSeconds"] * asked["failureThreshold"] <= 5, "as soon as the reference"


@pytest.mark.parametrize(
    ("location", "serves"),
    [("EveryNode", True), ("", True), ("HeadOnly", False), ("Disabled", False)],
)
def test_workers_without_a_proxy_are_ready_without_one(location: str, *, serves: bool) -> None:
    metadata = {
        "labels": {names.ORIGIN_KIND_LABEL: "RayService"},
        "annotations": {names.PROXY_LOCATION_ANNOTATION: location},
    }
    cluster = cluster_of(version="2.46.0", metadata=metadata)
    _, worker = pods(cluster)
    assert ("httpGet" in worker["readinessProbe"]) is serves
    (group,) = cluster.spec.worker_group_specs
    (pod,) = desired.worker_pods(
        cluster, group, places=[desired.Place()], settings=builders.SETTINGS
    )
    assert pod["metadata"]["labels"][names.SERVE_LABEL] == str(serves).lower()


def test_probes_of_the_user_stay_each_by_itself() -> None:
    mine = {"tcpSocket": {"port": 1}}
    head, _ = pods(cluster_of(version="2.60.0", ray={"livenessProbe": mine}))
    assert head["livenessProbe"] == mine
    assert "httpGet" in head["readinessProbe"]
    assert head["readinessProbe"]["initialDelaySeconds"] == 10
    assert "startupProbe" not in head


def test_no_probes_where_switched_off() -> None:
    options = settings.Settings(version="test", inject_probes=False)
    head = container(desired.head_pod(cluster_of(version="2.60.0"), settings=options))
    assert not {"livenessProbe", "readinessProbe", "startupProbe"} & set(head)
