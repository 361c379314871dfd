"""Whatever is put where in a manifest: rules find words for it, and builders can rely on them."""

import copy
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

from ray_operator import actions, features
from ray_operator.api import crds
from ray_operator.api import raycluster as api
from ray_operator.api.validation import kinds
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import plan, status
from tests.support.rulebook import example
from tests.unit import builders

JUNK: tuple[Any, ...] = (None, 7, "x", "0b_", "2024-13-45", [], {}, [None], [[]], {"a": None})
CONTAINER = example.container(
    command=["a"],
    env=[{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {}}],
    envFrom=[{"secretRef": {"name": "a"}}],
    ports=[{"name": "serve", "containerPort": 1, "protocol": "TCP"}],
    resources={"limits": {"cpu": "1", "google.com/tpu": "4"}, "requests": {"memory": "1Gi"}},
    volumeMounts=[{"name": "v", "mountPath": "/v"}],
)
TEMPLATE = {
    "metadata": {"name": "a", "labels": {"a": "b"}, "annotations": {"a": "b"}},
    "spec": {
        "containers": [CONTAINER],
        "initContainers": [{"name": "first", "image": "i"}],
        "restartPolicy": "Never",
        "serviceAccountName": "a",
        "volumes": [{"name": "v", "emptyDir": {}}],
    },
}
SERVICE = {
    "metadata": {"name": "s", "labels": {"a": "b"}, "annotations": {"a": "b"}},
    "spec": {"type": "NodePort", "ports": [{"name": "p", "port": 1}], "selector": {"a": "b"}},
}
CLUSTER: example.Json = {
    example.HEAD: {
        "template": TEMPLATE,
        "headService": SERVICE,
        "rayStartParams": {"port": "6379", "resources": '{"a": 1}'},
    },
    f"{example.GROUP}/template": TEMPLATE,
    "spec/enableInTreeAutoscaling": True,
    example.OPTIONS: {"env": example.env("A")},
    "metadata/annotations": {"ray.io/enable-serve-service": "true"},
}
MANIFESTS = {
    "RayCluster": example.manifest("RayCluster", CLUSTER),
    "RayJob": example.manifest(
        "RayJob", {"spec/submitterPodTemplate": TEMPLATE, "spec/runtimeEnvYAML": "a: b"}
    ),
    "RayService": example.manifest("RayService", {"spec/serveService": SERVICE}),
    "RayCronJob": example.manifest("RayCronJob", {}),
}


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(each, (*at, key))


def replaced(manifest: example.Json, path: tuple[Any, ...], junk: Any) -> example.Json:
    result = at = copy.deepcopy(manifest)
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = junk
    return result


@pytest.mark.parametrize("kind", crds.KINDS, ids=lambda kind: kind.name)
def test_anything_anywhere(kind: crds.Kind) -> None:
    """What the model refuses no API server stores: `v1alpha1` is as strict about our own fields."""
    manifest, told = MANIFESTS[kind.name], 0
    for path in paths(manifest["spec"], ("spec",)):
        for junk in JUNK:
            try:
                resource = kind.resource.model_validate(replaced(manifest, path, junk))
            except pydantic.ValidationError:
                continue
            found = kinds.check(resource, features.DEFAULT).errors
            told += bool(found)
            if isinstance(resource, api.RayCluster) and not found:
                world = seen.Observed()
                plan.plan(resource, world, builders.SETTINGS, builders.NOW)
                status.next_status(resource, world, actions.Outcome(), builders.NOW)
    assert told
