"""Check JSON against a structural schema, as an API server with strict validation would.

Owns: what is refused and how it is said. Does not own: schemas (`api`) or reading files. Invariant:
a field that the schema doesn't name is an error, since it would be dropped; a message starts with
the path of the field and is in `kubectl`'s words.
"""

import datetime
import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import jsonschema

Json = dict[str, Any]
_NO_TEXT = (bool, int, float, datetime.date)
"""What YAML makes of a text without quotes."""


class Schema:
    """A structural schema, made ready once for many checks."""

    def __init__(self, schema: Json) -> None:
        """Take a schema as in a CRD."""
        with_keys: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
            jsonschema.Draft202012Validator, {"x-kubernetes-list-map-keys": _duplicates}
        )
        self._validator: jsonschema.protocols.Validator = with_keys(_strict(schema))

    def errors(self, value: Any) -> Iterator[tuple[str, str]]:
        """Yield path and message of what an API server would refuse or drop."""
        found = self._validator.iter_errors(value)
        for error in sorted(found, key=lambda each: _order(each.absolute_path)):
            yield _path(error.absolute_path), _words(error)


def _strict(node: Json) -> Json:
    """Turn a structural schema into a JSON schema that takes no unknown fields."""
    strict = {key: node[key] for key in node.keys() - {"format", "description"}}
    if "properties" in node:
        strict["properties"] = {name: _strict(each) for name, each in node["properties"].items()}
        if not node.get("x-kubernetes-preserve-unknown-fields"):
            strict["additionalProperties"] = False
        # What has a default needn't be given, though the field must be there.
        strict["required"] = [
            name for name in node.get("required", ()) if "default" not in node["properties"][name]
        ]
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), Mapping):
            strict[key] = _strict(node[key])
    if isinstance(node.get("additionalProperties"), Mapping):
        strict["propertyNames"] = {"type": "string"}  # YAML has other keys, too
    if node.get("type") == "object" and node.get("properties") == {}:
        strict.pop("additionalProperties", None)
    return strict


def _duplicates(
    _: Any, keys: list[str], instance: Any, schema: Mapping[str, Any]
) -> Iterator[jsonschema.ValidationError]:
    """Yield items of a list that its keys don't tell apart."""
    defaults = {name: each.get("default") for name, each in schema["items"]["properties"].items()}
    seen = set()
    for index, item in enumerate(instance if isinstance(instance, list) else []):
        if not isinstance(item, dict):
            continue
        key = ", ".join(f"{name} {item.get(name, defaults[name])!r}" for name in keys)
        if key in seen:
            yield jsonschema.ValidationError(f"appears twice: {key}", path=(index,))
        seen.add(key)


def _order(parts: Iterable[str | int]) -> list[tuple[bool, Any]]:
    return [(isinstance(part, str), part) for part in parts]


def _path(parts: Iterable[str | int]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _words(error: jsonschema.ValidationError) -> str:
    """Say what is wrong in the words of `kubectl`, where the library's are those of schemas."""
    wanted, instance = cast("Any", error.validator_value), cast("Any", error.instance)
    match error.validator:
        case "additionalProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
            unknown = [name for name in instance if name not in known]
            return f"unknown field {', '.join(_unknown(name, known) for name in unknown)}"
        case "required":
            missing = [name for name in wanted if name not in instance]
            return f"missing field {', '.join(map(repr, missing))}"
        case "enum":
            return f"{instance!r} is unknown: use {', '.join(map(str, filter(None, wanted)))}"
        case "anyOf":
            return f"{instance!r} must be a whole number or a text"
        case "type" if wanted == "string" and isinstance(instance, _NO_TEXT):
            return f"{instance} is no text: put it in quotes"
    return error.message


def _unknown(name: object, known: Iterable[str]) -> str:
    """Write the name, and the one that may be meant."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"{name!r}" + (f", did you mean {close[0]!r}?" if close else "")
