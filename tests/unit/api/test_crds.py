"""CRDs: committed files are what the models say, and the API server can take them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_operator.api import crds

ROOT = Path(__file__).parents[3]
COPIES = [ROOT / "crds", ROOT / "charts" / "ray-operator" / "crds"]
STRUCTURAL = {
    "additionalProperties",
    "anyOf",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "minItems",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}


def version(name: str) -> dict[str, Any]:
    crd = yaml.safe_load(crds.crds()["ray.io_rayclusters.yaml"])
    (found,) = (each for each in crd["spec"]["versions"] if each["name"] == name)
    assert isinstance(found, dict)
    return found


def spec(name: str = "v1") -> dict[str, Any]:
    found: dict[str, Any] = version(name)["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for each in schema.get("properties", {}).values():
        yield from nodes(each)
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key])


@pytest.mark.parametrize("directory", COPIES, ids=["crds", "chart"])
def test_committed_crds_are_the_generated_ones(directory: Path) -> None:
    """After a change of the models, run `ray-operator crds`."""
    if directory != COPIES[0] and not directory.exists():
        pytest.skip("no chart yet")
    committed = {path.name: path.read_text() for path in directory.glob("ray.io_*.yaml")}
    assert committed == crds.crds()


@pytest.mark.parametrize("name", ["v1", "v1alpha1"])
def test_schemas_are_structural(name: str) -> None:
    for node in nodes(version(name)["schema"]["openAPIV3Schema"]):
        assert set(node) <= STRUCTURAL
        assert "type" in node or node.get("x-kubernetes-int-or-string") is True
        assert not {"properties", "additionalProperties"} <= set(node)
        assert set(node.get("required", ())) <= set(node.get("properties", ()))


def test_both_versions_are_served_and_the_old_one_warns() -> None:
    flags = {
        name: {key: version(name).get(key) for key in ("served", "storage", "deprecated")}
        for name in ("v1", "v1alpha1")
    }
    assert flags == {
        "v1": {"served": True, "storage": True, "deprecated": None},
        "v1alpha1": {"served": True, "storage": False, "deprecated": True},
    }
    assert version("v1")["subresources"] == version("v1alpha1")["subresources"] == {"status": {}}


def test_the_old_version_keeps_every_field_of_the_new_one() -> None:
    new, old = spec("v1"), spec("v1alpha1")
    for key in ("x-kubernetes-list-type", "x-kubernetes-list-map-keys"):
        del new["properties"]["workerGroupSpecs"][key]
    assert new == old


def test_defaults_that_the_autoscaler_relies_on() -> None:
    group = spec()["properties"]["workerGroupSpecs"]["items"]
    defaults = {
        name: each["default"] for name, each in group["properties"].items() if "default" in each
    }
    assert defaults == {
        "replicas": 0,
        "minReplicas": 0,
        "maxReplicas": 2147483647,
        "numOfHosts": 1,
        "priority": 0,
    }
    assert group["required"] == ["groupName", "maxReplicas", "minReplicas", "template"]


def test_every_field_of_the_spec_is_described() -> None:
    missing = [
        name
        for node in nodes(spec())
        for name, each in node.get("properties", {}).items()
        if "description" not in each
    ]
    kubernetes = {"metadata", "spec", "name", "namespace", "labels", "annotations", "finalizers"}
    assert set(missing) <= kubernetes | {"containers"}


def test_printer_columns() -> None:
    columns = [
        (each["name"], each["type"], each["jsonPath"], each.get("priority", 0))
        for each in version("v1")["additionalPrinterColumns"]
    ]
    assert columns == [
        ("desired workers", "integer", ".status.desiredWorkerReplicas", 0),
        ("available workers", "integer", ".status.availableWorkerReplicas", 0),
        ("cpus", "string", ".status.desiredCPU", 0),
        ("memory", "string", ".status.desiredMemory", 0),
        ("gpus", "string", ".status.desiredGPU", 0),
        ("tpus", "string", ".status.desiredTPU", 1),
        ("status", "string", ".status.state", 0),
        ("age", "date", ".metadata.creationTimestamp", 0),
        ("head pod IP", "string", ".status.head.podIP", 1),
        ("head service IP", "string", ".status.head.serviceIP", 1),
    ]
