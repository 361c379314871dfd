"""Compare our manifests with what KubeRay made of the same resources, field by field.

A table says which differences are meant, each with its reason; any other one is a mistake.
"""

import fnmatch
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import ANY

import yaml

GOLDEN = Path(__file__).parents[1] / "golden"
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


class Absent:
    """Stands for a field that isn't there."""

    def __repr__(self) -> str:
        return "<absent>"


ABSENT = Absent()
ELIDED = "<script elided, see the specs>"


class Difference(NamedTuple):
    """A difference by path (a pattern), our value, theirs, and why."""

    path: str
    ours: Any
    theirs: Any
    reason: str


SERVER_DEFAULTS = {
    "*.imagePullPolicy": "IfNotPresent",
    "*.ports.*.protocol": "TCP",
    "*.ports.*.targetPort": ANY,
    "*Probe.httpGet.scheme": "HTTP",
    "*.volumeMounts": [],
    "metadata.name": ANY,
    "spec.clusterIPs.0": "None",
    "spec.clusterIP": "<ip>",
    "spec.clusterIPs": "<ip>",
    "spec.externalTrafficPolicy": "Cluster",
    "spec.internalTrafficPolicy": "Cluster",
    "spec.ipFamilies.0": "IPv4",
    "spec.ipFamilyPolicy": "SingleStack",
    "spec.restartPolicy": "Always",
    "spec.serviceAccountName": "default",
    "spec.sessionAffinity": "None",
    "spec.type": "ClusterIP",
}


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk all leaves; items of lists go by their name, else by index."""
    if isinstance(value, dict) and value:
        items = value.items()
    elif isinstance(value, list) and value:
        items = {
            each["name"] if isinstance(each, dict) and "name" in each else index: each
            for index, each in enumerate(value)
        }.items()
    else:
        yield path, value
        return
    for key, each in items:
        yield from flat(each, f"{path}.{key}" if path else str(key))


def is_meant(path: str, ours: Any, theirs: Any, table: Sequence[Difference]) -> bool:
    if isinstance(ours, Absent):
        for pattern, default in SERVER_DEFAULTS.items():
            if fnmatch.fnmatchcase(path, pattern) and default == theirs:
                return True
    return any(
        fnmatch.fnmatchcase(path, meant.path)
        and matches(meant.ours, ours)
        and matches(meant.theirs, theirs)
        for meant in table
    )


def matches(expected: Any, value: Any) -> bool:
    if isinstance(expected, Absent) or isinstance(value, Absent):
        return expected is value
    return bool(expected == value)


def unmeant(
    ours: dict[str, Any], theirs: dict[str, Any], table: Sequence[Difference]
) -> list[tuple[str, Any, Any]]:
    """Return path and both values of each difference that the table doesn't have."""
    left, right = dict(flat(ours)), dict(flat(theirs))
    return [
        (path, left.get(path, ABSENT), right.get(path, ABSENT))
        for path in sorted({*left, *right})
        if left.get(path, ABSENT) != right.get(path, ABSENT)
        and not is_meant(path, left.get(path, ABSENT), right.get(path, ABSENT), table)
    ]


def occurring(
    ours: dict[str, Any], theirs: dict[str, Any], table: Sequence[Difference]
) -> set[int]:
    """Return the places in the table of the differences that there are."""
    left, right = dict(flat(ours)), dict(flat(theirs))
    return {
        place
        for path in {*left, *right}
        for place, meant in enumerate(table)
        if fnmatch.fnmatchcase(path, meant.path)
        and matches(meant.ours, left.get(path, ABSENT))
        and matches(meant.theirs, right.get(path, ABSENT))
    }


def documents(stem: str) -> list[dict[str, Any]]:
    """Return all that stood there, as in its namespace, `g-<stem>`."""
    text = (GOLDEN / f"{stem}.out.yaml").read_text()
    found = list(yaml.safe_load_all(UUID.sub("<uid of owner>", text)))
    for each in found:
        each["metadata"]["namespace"] = f"g-{stem}"
    return found
