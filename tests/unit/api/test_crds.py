"""CRDs: committed files are what the models say, and the API server can take them.

That it does take them is for `tests/api`.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_operator.api import base, crds, kubernetes, structural

ROOT = Path(__file__).parents[3]
STRUCTURAL = {
    "additionalProperties",
    "anyOf",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minItems",
    "minLength",
    "minimum",
    "maximum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}
KINDS = {kind.name: kind for kind in crds.KINDS}
VERSIONS = [
    (kind.name, version)
    for kind in crds.KINDS
    for version in ("v1", "v1alpha1")
    if version == "v1" or kind.old_columns is not None
]


@functools.cache
def definition(kind: str) -> dict[str, Any]:
    return crds.definition(KINDS[kind])


def version(kind: str, name: str) -> dict[str, Any]:
    (found,) = (each for each in definition(kind)["spec"]["versions"] if each["name"] == name)
    assert isinstance(found, dict)
    return found


def schema(kind: str, name: str = "v1") -> dict[str, Any]:
    found: dict[str, Any] = version(kind, name)["schema"]["openAPIV3Schema"]
    return found


def spec(kind: str, name: str = "v1") -> dict[str, Any]:
    found: dict[str, Any] = schema(kind, name)["properties"]["spec"]
    return found


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for each in schema.get("properties", {}).values():
        yield from nodes(each)
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key])


@pytest.mark.parametrize(("kind", "name"), VERSIONS)
def test_schemas_are_structural(kind: str, name: str) -> None:
    for node in nodes(schema(kind, name)):
        assert set(node) <= STRUCTURAL
        assert "type" in node or node.get("x-kubernetes-int-or-string") is True
        assert not {"properties", "additionalProperties"} <= set(node)
        assert set(node.get("required", ())) <= set(node.get("properties", ()))


@pytest.mark.parametrize("kind", KINDS)
def test_kubectl_apply_can_keep_a_definition_in_an_annotation(kind: str) -> None:
    assert len(crds.compact(definition(kind))) <= crds.LARGEST


@pytest.mark.parametrize("kind", KINDS)
def test_versions(kind: str) -> None:
    flags = [
        {key: each.get(key) for key in ("name", "served", "storage", "deprecated")}
        for each in definition(kind)["spec"]["versions"]
    ]
    v1 = {"name": "v1", "served": True, "storage": True, "deprecated": None}
    old = {"name": "v1alpha1", "served": True, "storage": False, "deprecated": True}
    assert flags == ([v1] if kind == "RayCronJob" else [v1, old])
    for each in definition(kind)["spec"]["versions"]:
        assert each["subresources"] == {"status": {}}


def test_names() -> None:
    names = {
        kind: (each["plural"], each["singular"], each.get("shortNames"), each["categories"])
        for kind in KINDS
        for each in [definition(kind)["spec"]["names"]]
    }
    assert names == {
        "RayCluster": ("rayclusters", "raycluster", None, ["all"]),
        "RayJob": ("rayjobs", "rayjob", ["rj"], ["all"]),
        "RayService": ("rayservices", "rayservice", None, ["all"]),
        "RayCronJob": ("raycronjobs", "raycronjob", ["rcj"], ["all"]),
    }


@pytest.mark.parametrize("kind", [kind for kind, name in VERSIONS if name == "v1alpha1"])
def test_the_old_version_has_every_field_of_ours(kind: str) -> None:
    new = KINDS[kind].schema(structural.Style(described=False, complete=False))
    assert list(structural.paths(schema(kind, "v1alpha1"))) == list(structural.paths(new))


def test_defaults_that_the_autoscaler_relies_on() -> None:
    group = spec("RayCluster")["properties"]["workerGroupSpecs"]["items"]
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


def test_defaults_of_a_job() -> None:
    fields = spec("RayJob")["properties"]
    assert {name: each["default"] for name, each in fields.items() if "default" in each} == {
        "submissionMode": "K8sJobMode",
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": 0,
    }


def test_idle_termination_can_be_written_by_rays_autoscaler() -> None:
    """Ray 2.60 patches `spec.idleSuspend`; a field that isn't there would be pruned."""
    fields = spec("RayCluster")["properties"]
    assert fields["idleSuspend"]["type"] == "boolean"
    assert set(fields["idleTerminationOptions"]["properties"]) == {"timeoutSeconds", "policy"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_ours_is_described(kind: str) -> None:
    style = structural.Style(described=True, complete=False)
    undescribed = [
        name
        for node in nodes(KINDS[kind].schema(style)["properties"]["spec"])
        if not node.get("x-kubernetes-preserve-unknown-fields")  # a type of Kubernetes' own
        for name, each in node.get("properties", {}).items()
        if "description" not in each
    ]
    assert undescribed == []


def test_pod_templates_are_those_of_kubernetes() -> None:
    template = kubernetes.schema("PodTemplateSpec")
    pod, container = (
        template["properties"]["spec"]["properties"],
        template["properties"]["spec"]["properties"]["containers"]["items"],
    )
    # Added by Kubernetes 1.33, 1.34, 1.35 and 1.36.
    assert {"resources", "hostnameOverride", "schedulingGroup"} <= set(pod)
    assert container["required"] == ["name"]
    ports = container["properties"]["ports"]
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    assert ports["items"]["properties"]["protocol"]["default"] == "TCP"
    assert template["properties"]["metadata"] == base.METADATA_SCHEMA


def test_printer_columns() -> None:
    columns = [
        (each["name"], each["type"], each["jsonPath"], each.get("priority", 0))
        for each in version("RayCluster", "v1")["additionalPrinterColumns"]
    ]
    assert columns == [
        ("desired workers", "integer", ".status.desiredWorkerReplicas", 0),
        ("available workers", "integer", ".status.availableWorkerReplicas", 0),
        ("cpus", "string", ".status.desiredCPU", 0),
        ("memory", "string", ".status.desiredMemory", 0),
        ("gpus", "string", ".status.desiredGPU", 0),
        ("tpus", "string", ".status.desiredTPU", 1),
        ("status", "string", ".status.state", 0),
        ("reason", "string", ".status.reason", 0),  # ours; empty while the cluster is ready
        ("age", "date", ".metadata.creationTimestamp", 0),
        ("head pod IP", "string", ".status.head.podIP", 1),
        ("head service IP", "string", ".status.head.serviceIP", 1),
        ("autoscaler", "string", ".status.autoscaler.mode", 1),  # ours
        ("unmet requests", "integer", ".status.autoscaler.unmetRequests", 1),  # ours
    ]


def test_columns_of_other_kinds() -> None:
    names = {
        (kind, name): [
            each["name"] for each in version(kind, name).get("additionalPrinterColumns", ())
        ]
        for kind, name in VERSIONS
        if kind != "RayCluster"
    }
    assert names == {
        ("RayJob", "v1"): [
            "job status",
            "deployment status",
            "ray cluster name",
            "start time",
            "end time",
            "reason",
            "ray cluster",
            "age",
        ],
        ("RayJob", "v1alpha1"): [],
        ("RayService", "v1"): ["service status", "num serve endpoints", "reason", "age"],
        ("RayService", "v1alpha1"): [],
        ("RayCronJob", "v1"): ["schedule", "timezone", "last schedule", "age", "suspend"],
    }
