"""YAML as kubectl and KubeRay read it, which is not quite as Python's library does.

Owns: which plain texts are numbers, switches and nothing. Does not own: what the documents mean.
Invariant: a document comes out as the JSON that kubectl would send of it, without the nulls in
objects, which an API server takes away; bad ones end in ValueError, large ones take no more time
than their texts are long. Source: sigs.k8s.io/yaml, which reads YAML 1.1 by go-yaml: there are no
times and no numbers of base 60, but `y` is true and `1e3` a number.
"""

import math
import re
from typing import Any

import yaml

MOST_VALUES = 500_000
"""Of all documents of a text together."""
_SCALARS = {
    "null": (r"~|null|Null|NULL|", "~nN"),
    "bool": (
        r"y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE|n|N|no|No|NO|off|Off|OFF|false|False|FALSE",
        "yYnNtTfFoO",
    ),
    "int": (
        r"[-+]?(0|0o?[0-7_]*[0-7]_*|[1-9][0-9_]*|0b[01_]*[01]_*|0x[0-9a-fA-F_]*[0-9a-fA-F]_*)",
        "-+0123456789",
    ),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
    "merge": (r"<<", "<"),
}


class _Loader(yaml.CSafeLoader):
    """The library's safe loader with kubectl's plain texts."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - the library's own name and type


def _bool(loader: _Loader, node: yaml.ScalarNode) -> bool:
    return str(loader.construct_scalar(node)).lower() in {"y", "yes", "on", "true"}


for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$", re.ASCII), [*_first]
    )
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("$"), [""])
_Loader.add_constructor("tag:yaml.org,2002:bool", _bool)


def load_all(text: str) -> list[Any]:
    """Read the documents of a text.

    Raises ValueError when it is no YAML, nothing that JSON can say, or far longer than it looks;
    the message says where, or what.
    """
    try:
        found = [_json(each, {}) for each in yaml.load_all(text, Loader=_Loader)]
        if sum(_size(each, {}) for each in found) > MOST_VALUES:
            raise ValueError(f"its aliases make more than {MOST_VALUES} values of it")
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return found


def _size(value: Any, known: dict[int, int]) -> int:
    """Count the values that are written out of a value, those that are shared each time."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    if not isinstance(value, dict | list):
        if not isinstance(value, str | int | float | None):
            raise ValueError(f"{type(value).__name__} is nothing that JSON can say")
        return 1
    if id(value) not in known:
        known[id(value)] = 1  # if it holds itself, the rest fails anyway
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(each, known) for each in parts)
    return known[id(value)]


def _json(value: Any, done: dict[int, Any]) -> Any:
    """Convert a value; what aliases share, stays shared: written out it may be endless."""
    if id(value) in done:
        return done[id(value)]
    result = value
    if isinstance(value, list):
        result = [_json(each, done) for each in value]
    elif isinstance(value, dict):
        result = {_key(key): _json(each, done) for key, each in value.items() if each is not None}
    done[id(value)] = result
    return result


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
