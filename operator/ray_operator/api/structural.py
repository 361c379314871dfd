"""Structural schemas, generated from the models.

Owns: turning pydantic's JSON schemas into what a CRD holds. Does not own: fields and defaults (the
models), rules (`validation`), Kubernetes' own types (`kubernetes`). Invariant: deterministic, so
that a committed CRD can be compared with its source.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from ray_operator.api import base, cel, kubernetes

_KEPT = (
    "type",
    "format",
    "pattern",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "maxProperties",
    "required",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What a schema holds besides fields, their types and bounds.

    Attributes:
        described: fields say what they mean.
        complete: Kubernetes' own types are spelled out; otherwise only what the operator reads of
            them, and they are open for the rest.
        expressions: the rules for the API server to check.
    """

    described: bool
    complete: bool
    expressions: tuple[cel.Cel, ...] = ()

    def rules(self, model: str) -> list[base.Json]:
        """Return the entries of `x-kubernetes-validations` of a model, by its class name."""
        return [each.schema() for each in self.expressions if model in each.models]


FIELDS_ONLY = Style(described=False, complete=False)


def schema(model: type[base.Model], style: Style) -> base.Json:
    """Return a model's structural schema: references resolved, nulls and titles gone."""
    generated = model.model_json_schema(by_alias=True, mode="validation")
    definitions = generated.pop("$defs", {})
    for name, definition in [*definitions.items(), (model.__name__, generated)]:
        if rules := style.rules(name):
            definition["x-kubernetes-validations"] = rules
    return _structural(generated, definitions, style)


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any], style: Style) -> base.Json:
    """Resolve and reduce one node of a JSON schema, depth first."""
    node = _resolved(node, definitions)
    described = {"description": node["description"]} if "description" in node else {}
    kept = dict(described) if style.described else {}
    if kubernetes.MARK in node:
        name = node[kubernetes.MARK]
        whole = kubernetes.schema(name) if style.complete else kubernetes.outline(name)
        return {**kept, **whole}
    kept |= {key: node[key] for key in _KEPT if node.get(key) not in (None, "")}
    kept |= {key: node[key] for key in sorted(node) if key.startswith("x-kubernetes-")}
    if node.get("x-kubernetes-int-or-string"):
        kept["anyOf"] = node["anyOf"]
    if "properties" in node:
        kept["properties"] = {
            name: _structural(each, definitions, style) for name, each in node["properties"].items()
        }
    elif isinstance(node.get("additionalProperties"), dict):
        kept["additionalProperties"] = _structural(node["additionalProperties"], definitions, style)
    elif node.get("type") == "object":
        kept["x-kubernetes-preserve-unknown-fields"] = True
    if "items" in node:
        kept["items"] = _structural(node["items"], definitions, style)
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


def paths(node: Mapping[str, Any], at: str = "") -> Iterable[str]:
    """Yield the paths of all fields that a schema names, lists and maps as `[]` and `{}`."""
    for name, each in node.get("properties", {}).items():
        path = f"{at}.{name}" if at else name
        yield path
        yield from paths(each, path)
    if isinstance(node.get("items"), Mapping):
        yield from paths(node["items"], f"{at}[]")
    if isinstance(node.get("additionalProperties"), Mapping):
        yield from paths(node["additionalProperties"], f"{at}{{}}")
