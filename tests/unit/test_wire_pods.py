"""Which container of a Pod is Ray's."""

from typing import Any

import msgspec
import pytest

from ray_operator import wire_pods

RAY: dict[str, Any] = {
    "name": "ray-head",
    "image": "rayproject/ray:2.60.0",
    "env": [{"name": "KUBERAY_GEN_RAY_START_CMD", "value": "ray start --head"}],
}
PROXY: dict[str, Any] = {
    "name": "istio-proxy",
    "image": "istio/proxyv2:1.24.0",
    "env": [{"name": "RAY", "value": "is beside"}],
}
BARE = {"name": "main", "image": "busybox"}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([RAY], RAY),
        ([RAY, PROXY], RAY),
        ([PROXY, RAY], RAY),
        ([BARE, PROXY, RAY], RAY),
        ([BARE, PROXY], BARE),
    ],
)
def test_the_one_that_starts_ray(
    containers: list[dict[str, Any]], expected: dict[str, Any]
) -> None:
    metadata = {
        "namespace": "ns1",
        "name": "demo",
        "uid": "u",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    data = msgspec.json.encode({"metadata": metadata, "spec": {"containers": containers}})
    found = wire_pods.pod(data)
    assert (found.ray_container, found.ray_image) == (expected["name"], expected["image"])
