"""Custom resource definitions, generated from the models.

Owns: turning pydantic's JSON schemas into structural schemas, and what a CRD says beyond fields
(versions, columns, categories). Does not own: fields, defaults and rules (the models). Invariant:
deterministic, so that a committed CRD can be compared with its source.

`v1alpha1` has the schema of `v1`. KubeRay's own v1alpha1 lacks newer fields, and since there is no
conversion, writing through it silently drops them; with one schema a round trip loses nothing.
Source: KubeRay 1.7, CRDs.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from ray_operator.api import base, raycluster, raycluster_status

_KEPT = (
    "description",
    "type",
    "format",
    "pattern",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "required",
)


def crds() -> dict[str, str]:
    """Return all CRDs as YAML by file name (`<group>_<plural>.yaml`)."""
    return {"ray.io_rayclusters.yaml": _yaml(_raycluster())}


def schema(model: type[base.Model]) -> base.Json:
    """Return a model's structural schema: references resolved, nulls and titles gone."""
    generated = model.model_json_schema(by_alias=True, mode="validation")
    return _structural(generated, generated.get("$defs", {}))


def _raycluster() -> base.Json:
    columns = [
        _column("desired workers", "integer", ".status.desiredWorkerReplicas"),
        _column("available workers", "integer", ".status.availableWorkerReplicas"),
        _column("cpus", "string", ".status.desiredCPU"),
        _column("memory", "string", ".status.desiredMemory"),
        _column("gpus", "string", ".status.desiredGPU"),
        _column("tpus", "string", ".status.desiredTPU", priority=1),
        _column("status", "string", ".status.state"),
        _column("age", "date", ".metadata.creationTimestamp"),
        _column("head pod IP", "string", ".status.head.podIP", priority=1),
        _column("head service IP", "string", ".status.head.serviceIP", priority=1),
    ]
    current = _resource("A Ray cluster.", raycluster.RayClusterSpec, _status())
    old = _resource("A Ray cluster.", raycluster.RayClusterSpec, _status())
    groups = current["properties"]["spec"]["properties"]["workerGroupSpecs"]
    groups["x-kubernetes-list-type"] = "map"
    groups["x-kubernetes-list-map-keys"] = ["groupName"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "rayclusters.ray.io"},
        "spec": {
            "group": "ray.io",
            "names": {
                "kind": "RayCluster",
                "listKind": "RayClusterList",
                "plural": "rayclusters",
                "singular": "raycluster",
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [
                _version("v1", current, columns, storage=True),
                {
                    **_version("v1alpha1", old, columns, storage=False),
                    "deprecated": True,
                    "deprecationWarning": "ray.io/v1alpha1 RayCluster is deprecated: use ray.io/v1",
                },
            ],
        },
    }


def _status() -> base.Json:
    """Return the status schema; unknown keys stay, since other controllers may write there."""
    status = schema(raycluster_status.RayClusterStatus)
    return {**status, "x-kubernetes-preserve-unknown-fields": True}


def _resource(description: str, spec: type[base.Model], status: base.Json) -> base.Json:
    return {
        "description": description,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": schema(spec),
            "status": status,
        },
    }


def _version(
    name: str, resource: base.Json, columns: list[base.Json], *, storage: bool
) -> base.Json:
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": resource},
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
    }


def _column(name: str, type_: str, path: str, *, priority: int = 0) -> base.Json:
    column = {"name": name, "type": type_, "jsonPath": path}
    return {**column, "priority": priority} if priority else column


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> base.Json:
    """Resolve and reduce one node of a JSON schema, depth first."""
    node = _resolved(node, definitions)
    kept = {key: node[key] for key in _KEPT if node.get(key) is not None}
    kept |= {key: node[key] for key in sorted(node) if key.startswith("x-kubernetes-")}
    if node.get("x-kubernetes-int-or-string"):
        kept["anyOf"] = node["anyOf"]
    if "properties" in node:
        kept["properties"] = {
            name: _structural(each, definitions) for name, each in node["properties"].items()
        }
    elif isinstance(node.get("additionalProperties"), dict):
        kept["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    elif node.get("type") == "object":
        kept["x-kubernetes-preserve-unknown-fields"] = True
    if "items" in node:
        kept["items"] = _structural(node["items"], definitions)
    return kept


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> base.Json:
    """Replace a reference, or a choice between a schema and null, by what it stands for.

    What stands beside it wins: a field's description over its model's.
    """
    beside = {key: value for key, value in node.items() if key not in {"$ref", "anyOf"}}
    if "$ref" in node:
        return {**_resolved(definitions[node["$ref"].rsplit("/", 1)[1]], definitions), **beside}
    choices = [each for each in node.get("anyOf", []) if each != {"type": "null"}]
    if len(choices) == 1:
        return {**_resolved(choices[0], definitions), **beside}
    return dict(node)


class _Dumper(yaml.SafeDumper):
    """Writes YAML without anchors, which not every reader of CRDs follows."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _yaml(manifest: base.Json) -> str:
    note = "# Generated by `ray-operator crds` from operator/ray_operator/api: don't edit.\n"
    return note + yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=100)
