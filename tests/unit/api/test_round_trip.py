"""Whatever an API server may hold of our kinds goes through the models unchanged."""

import functools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_operator.api import base, crds, raycluster, structural
from tests.support.rulebook import example

JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=3,
)
FIELDS = structural.Style(described=False, complete=False)


def stored(node: example.Json) -> st.SearchStrategy[Any]:
    """Generate what a schema allows; unknown fields only where it leaves objects open."""
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return st.sampled_from([0, 7, "1", "500m", "1.5Gi", "2e3"])
    if node["type"] == "object":
        return _object(node)
    if node["type"] == "array":
        return st.lists(stored(node["items"]), max_size=2)
    if node.get("format") == "date-time":
        return st.just("2026-01-02T03:04:05Z")
    scalars: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(node.get("minimum", -(2**31)), 2**31 - 1),
        "number": st.floats(allow_nan=False, allow_infinity=False, width=32),
        "boolean": st.booleans(),
        "string": st.text(max_size=5),
    }
    return scalars[node["type"]]


def _object(node: example.Json) -> st.SearchStrategy[Any]:
    if "additionalProperties" in node:
        each = stored(node["additionalProperties"])
        return st.dictionaries(st.text(min_size=1, max_size=5), each, max_size=2)
    if "properties" not in node:
        return st.dictionaries(st.text(min_size=1, max_size=5), JSON, max_size=2)
    fields = {name: stored(each) for name, each in node["properties"].items()}
    required = set(node.get("required", ()))
    return st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in required},
        optional={name: fields[name] for name in fields if name not in required},
    )


@functools.cache
def resources(kind: crds.Kind) -> st.SearchStrategy[Any]:
    schema = kind.schema(FIELDS)["properties"]
    return st.fixed_dictionaries(
        {
            "apiVersion": st.just("ray.io/v1"),
            "kind": st.just(kind.name),
            "metadata": st.just({"name": "demo", "labels": {"a": "b"}, "managedFields": [{}]}),
            "spec": stored(schema["spec"]),
        },
        optional={"status": stored(schema["status"]), "unknown": JSON},
    )


@pytest.mark.parametrize("kind", crds.KINDS, ids=lambda kind: kind.name)
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_manifest_to_model_to_manifest(kind: crds.Kind, data: st.DataObject) -> None:
    manifest = data.draw(resources(kind))
    model = kind.resource.model_validate(manifest)
    assert model.manifest() == manifest
    assert kind.resource.model_validate(model.manifest()) == model


@pytest.mark.parametrize("kind", crds.KINDS, ids=lambda kind: kind.name)
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_status_goes_through_its_model(kind: crds.Kind, data: st.DataObject) -> None:
    status = data.draw(stored(kind.schema(FIELDS)["properties"]["status"]))
    assert kind.status.model_validate(status).dump() == status


def test_the_models_are_an_sdk() -> None:
    """Snake case in Python, the API's names in the manifest; nothing but what was given."""
    cluster = raycluster.RayCluster(
        metadata=base.Metadata(name="demo"),
        spec=raycluster.RayClusterSpec(
            head_group_spec=raycluster.HeadGroupSpec(
                template=example.template(), ray_start_params={"dashboard-host": "0.0.0.0"}
            ),
            worker_group_specs=[
                raycluster.WorkerGroupSpec(group_name="small", replicas=2, template={"spec": {}})
            ],
        ),
    )
    assert cluster.manifest() == {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "demo"},
        "spec": {
            "headGroupSpec": {
                "template": example.template(),
                "rayStartParams": {"dashboard-host": "0.0.0.0"},
            },
            "workerGroupSpecs": [
                {"groupName": "small", "replicas": 2, "template": {"spec": {}}},
            ],
        },
    }
