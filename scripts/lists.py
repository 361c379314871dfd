"""Write the lists of all fields, flags and metrics.

Owns: the layout of docs/fields.md, docs/flags.md and docs/metrics.md. Does not own: their content,
which is that of the CRDs, of the command line and of the metrics.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ray_operator import cli, features, inventory, workqueue
from ray_operator import metrics as operator_metrics
from ray_operator.api import crds, structural
from scripts import reference

Json = Mapping[str, Any]
_ELSEWHERE = {
    "template": "PodTemplateSpec",
    "headService": "Service",
    "submitterPodTemplate": "PodTemplateSpec",
    "rayClusterSpec": "RayCluster's spec",
    "rayClusterConfig": "RayCluster's spec",
    "rayClusterStatus": "RayCluster's status",
    "jobTemplate": "RayJob's spec",
}
"""Fields that hold what is explained elsewhere, by Kubernetes or in another table."""


def fields() -> str:
    """Return the document of all fields of all kinds."""
    return _document(
        "Fields",
        [
            "`kubectl explain raycluster.spec` tells the same of an installed cluster. A field of",
            "Kubernetes' own, such as a Pod template, is explained in Kubernetes' reference.",
            "",
            *(line for kind in crds.KINDS for line in _kind(kind)),
        ],
    )


def _kind(kind: crds.Kind) -> Iterator[str]:
    parts = kind.schema(structural.Style(described=True, complete=False))["properties"]
    for part in ("spec", "status"):
        rows = list(_fields(parts[part], part))
        yield f"## {kind.name}: {part}"
        yield ""
        yield from reference.table(("Field", "Type", "Default", "Meaning"), rows)
        yield ""


def _fields(node: Json, path: str) -> Iterator[tuple[str, ...]]:
    required = set(node.get("required", ()))
    for name, field in node.get("properties", {}).items():
        item = field.get("items", {})
        where = f"{path}.{name}"
        default = f"`{field['default']}`" if "default" in field else ""
        needed = "**required** " if name in required and not default else ""
        meaning = _cell(field.get("description", ""))
        values = ", ".join(f"`{each}`" for each in field.get("enum", ()))
        told = f"{needed}{meaning}" + (f" One of {values}." if values else "")
        yield f"`{where}`", _type(name, field), default, told.strip()
        if name not in _ELSEWHERE:
            yield from _fields(item or field, f"{where}[]" if item else where)


def _type(name: str, field: Json) -> str:
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    if field.get("x-kubernetes-int-or-string"):
        return "integer or percentage" if field.get("pattern", "").endswith("%$") else "quantity"
    kind = str(field.get("type", "any"))
    item = field.get("items", {}).get("type", "object")
    return f"list of {item}s" if kind == "array" else kind


def flags() -> str:
    """Return the document of all commands, their flags, and the feature gates."""
    gates = [
        (
            f"`{gate}`",
            "on" if gate in features.DEFAULT else "off",
            features.NOTES.get(gate, ""),
        )
        for gate in features.Feature
    ]
    return _document(
        "Commands and flags",
        [
            *(line for each in _commands(cli.parser()) for line in each),
            "## Feature gates",
            "",
            "For `--feature-gates`, as `Name=true,Other=false`.",
            "",
            *reference.table(("Gate", "Default", ""), gates),
            "",
        ],
    )


def _commands(parser: argparse.ArgumentParser) -> Iterator[Iterable[str]]:
    """Yield each command's lines."""
    (choices,) = (each for each in parser._actions if each.choices and each.dest == "command")
    helps = {each.dest: each.help or "" for each in choices._choices_actions}  # type: ignore[attr-defined]
    for name, command in dict(choices.choices or {}).items():
        rows = [
            (f"`{' '.join(_names(each))}`", _cell(_told(each)))
            for each in command._actions
            if each.dest != "help"
        ]
        yield (
            f"## `ray-operator {name}`",
            "",
            f"{helps[name][:1].upper()}{helps[name][1:]}.",
            "",
            *reference.table(("Flag", "Meaning, and the default"), rows),
            "",
        )


def _told(action: argparse.Action) -> str:
    values = ", ".join(f"`{each}`" for each in action.choices or ())
    return "; ".join(filter(None, (action.help or "", f"one of {values}" if values else "")))


def _names(action: argparse.Action) -> list[str]:
    long = [each for each in action.option_strings if each.startswith("--")]
    return long or [action.metavar if isinstance(action.metavar, str) else action.dest.upper()]


def metrics() -> str:
    """Return the document of all metrics."""
    own = [
        _metric(found, each)
        for each in (*vars(operator_metrics).values(), workqueue.WorkQueue())
        if hasattr(each, "collect")
        for found in each.collect()
    ]
    told = [
        _metric(found, found)
        for collector in (inventory.RayClusters, inventory.RayJobs, inventory.RayServices)
        for found in collector(_NONE).collect()
    ]
    heads = ("Metric", "Type", "Labels", "Meaning")
    return _document(
        "Metrics",
        [
            "At `/metrics` of the operator's Service, port 8080, with those of the process itself.",
            "The names are KubeRay's where it has the same.",
            "",
            "## Of the operator",
            "",
            *reference.table(heads, sorted(own)),
            "",
            "## Of each resource",
            "",
            "With `--enable-metrics`, the chart's default.",
            "",
            *reference.table(heads, sorted(told)),
            "",
        ],
    )


_NONE: Callable[[], list[Any]] = list


def _metric(found: Any, of: Any) -> tuple[str, str, str, str]:
    """Return the row of a metric; `of` is who has the names of its labels."""
    labels: Iterable[str] = getattr(of, "_labelnames", ()) or getattr(found, "_labelnames", ())
    shown = ", ".join(f"`{each}`" for each in labels)
    return f"`{_name(found)}`", found.type, shown, _cell(found.documentation)


def _name(metric: Any) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else str(metric.name)


def _document(title: str, lines: Iterable[str]) -> str:
    return "\n".join([reference.HEADER, f"# {title}", "", *lines])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
