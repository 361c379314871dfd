"""The head Service."""

from typing import Any

import pytest

from ray_operator import names, settings
from ray_operator.raycluster import desired
from tests.unit import builders

OWNER = {
    "apiVersion": "ray.io/v1",
    "kind": "RayCluster",
    "name": "demo",
    "uid": builders.UID,
    "controller": True,
    "blockOwnerDeletion": True,
}
LABELS = {
    names.CLUSTER_LABEL: "demo",
    names.NODE_TYPE_LABEL: "head",
    names.IDENTIFIER_LABEL: "demo-head",
    names.APP_NAME_LABEL: "kuberay",
    names.CREATED_BY_LABEL: "kuberay-operator",
}
SELECTOR = {names.CLUSTER_LABEL: "demo", names.NODE_TYPE_LABEL: "head"}


def tcp(name: str, port: int) -> dict[str, Any]:
    return {"name": name, "port": port, "appProtocol": "tcp"}


def service(
    *, ports: Any = None, metadata: Any = None, options: Any = None, spec: Any = None, **head: Any
) -> dict[str, Any]:
    container = {"name": "ray", "ports": ports}
    template = {"metadata": metadata, "spec": {"containers": [container]}}
    cluster = builders.raycluster(headGroupSpec={"template": template, **head}, **(spec or {}))
    return desired.head_service(
        cluster, settings=settings.Settings(version="test", **(options or {}))
    )


def test_headless_with_the_ports_of_ray_by_default() -> None:
    assert service() == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "demo-head-svc",
            "namespace": "ns1",
            "labels": LABELS,
            "ownerReferences": [OWNER],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": SELECTOR,
            "ports": [
                tcp("client", 10001),
                tcp("dashboard", 8265),
                tcp("gcs-server", 6379),
                tcp("metrics", 8080),
                tcp("serve", 8000),
            ],
        },
    }


def test_the_service_of_the_user_is_completed() -> None:
    given = {
        "metadata": {
            "name": "front",
            "namespace": "elsewhere",
            "labels": {"mine": "1", names.CLUSTER_LABEL: "x"},
            "annotations": {"a": "1", "b": "1"},
        },
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerIP": "1.2.3.4",
            "selector": {"mine": "1"},
            "ports": [
                {"name": "dashboard", "port": 80, "targetPort": 8265, "appProtocol": "http"},
                {"name": "other", "port": 6379},
            ],
        },
    }
    assert service(
        headService=given, serviceType="NodePort", spec={"headServiceAnnotations": {"b": "2"}}
    ) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "front",
            "namespace": "ns1",
            "labels": {"mine": "1", **LABELS},
            "annotations": {"a": "1", "b": "2"},
            "ownerReferences": [OWNER],
        },
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerIP": "1.2.3.4",
            "selector": SELECTOR,
            "ports": [
                {"name": "dashboard", "port": 80, "targetPort": 8265, "appProtocol": "http"},
                {"name": "other", "port": 6379},
                tcp("client", 10001),
                tcp("metrics", 8080),
                tcp("serve", 8000),
            ],
        },
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"serviceType": "NodePort"}, {"type": "NodePort"}),
        (
            {"serviceType": "ClusterIP"},
            {"type": "ClusterIP", "clusterIP": "None", "publishNotReadyAddresses": True},
        ),
        ({"options": {"head_cluster_ip_service": True}}, {}),
        ({"headService": {"spec": {}}}, {}),
        ({"headService": {}, "serviceType": "LoadBalancer"}, {"type": "LoadBalancer"}),
    ],
)
def test_headless_only_without_another_type(given: Any, expected: dict[str, Any]) -> None:
    spec = service(**given)["spec"]
    del spec["selector"], spec["ports"]
    assert spec == expected


@pytest.mark.parametrize(
    ("declared", "ports"),
    [
        (
            [{"containerPort": 9000}, {"name": "gcs", "containerPort": 6380}],
            [tcp("9000-port", 9000), tcp("gcs", 6380), tcp("metrics", 8080)],
        ),
        ([{"name": "http", "containerPort": 8080}], [tcp("http", 8080)]),
        (
            [
                {"name": "dns", "containerPort": 53},
                {"name": "dns-udp", "containerPort": 53, "protocol": "UDP"},
            ],
            [tcp("dns", 53), tcp("metrics", 8080)],
        ),
    ],
)
def test_declared_ports_replace_the_default_ones(
    declared: list[dict[str, Any]], ports: list[dict[str, Any]]
) -> None:
    assert service(ports=declared)["spec"]["ports"] == ports


def test_labels_of_the_template_never_break_the_selector() -> None:
    labels = dict.fromkeys(LABELS, "mine")
    built = service(metadata={"labels": labels})
    assert built["spec"]["selector"] == SELECTOR
    assert built["metadata"]["labels"] == {**LABELS, names.APP_NAME_LABEL: "mine"}
