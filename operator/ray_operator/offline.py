"""Check manifests without a cluster: `ray-operator validate`.

Owns: finding our resources in YAML files and what is said of them. Does not own: reading YAML
(`go_yaml`), schemas (`api.crds`) and rules (`api.validation`). Invariant: what passes here
is accepted by an API server with the CRDs of this version; other kinds in the files are left alone.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pydantic

from ray_operator import features, go_yaml, strict
from ray_operator.api import base, crds
from ray_operator.api.validation import kinds

VERSIONS = ("ray.io/v1", "ray.io/v1alpha1")
_KEPT_BY_SERVERS = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
_METADATA: base.Json = {
    "type": "object",
    "properties": {
        **base.METADATA_SCHEMA["properties"],
        "generateName": {"type": "string"},
        **{name: {} for name in _KEPT_BY_SERVERS},
    },
}
"""ObjectMeta of a resource, which CRDs leave to the API server."""


class Finding(NamedTuple):
    """One thing to tell of a file; `rule` is empty where the schema speaks."""

    file: str
    resource: str
    path: str
    message: str
    rule: str = ""
    is_warning: bool = False

    def __str__(self) -> str:
        """Write as one line."""
        where = ": ".join(part for part in (self.file, self.resource, self.path) if part)
        rule = f" ({self.rule})" if self.rule else ""
        return f"{where}: {'warning: ' if self.is_warning else ''}{self.message}{rule}"


def check(path: Path, enabled: features.Features) -> tuple[int, list[Finding]]:
    """Check all of our resources in a file; return how many there are, and what is to be told.

    Raises OSError when the file can't be read.
    """
    try:
        documents = go_yaml.load_all(path.read_text())
    except ValueError as error:
        message = " ".join(str(error).split())
        return 0, [Finding(str(path), "", "", f"is no YAML: {message}")]
    found = [each for document in documents for each in _resources(document)]
    return len(found), [
        finding._replace(file=str(path)) for each in found for finding in _check(each, enabled)
    ]


def _resources(document: Any) -> Iterator[base.Json]:
    """Yield our resources in a document, which may be a list of them."""
    if not isinstance(document, dict):
        return
    if str(document.get("apiVersion", "")).startswith("ray.io/"):
        yield document
    elif isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _resources(item)


def _check(manifest: base.Json, enabled: features.Features) -> Iterator[Finding]:
    metadata = manifest.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    resource = f"{manifest.get('kind')}/{name}"
    kind = next((each for each in crds.KINDS if each.name == manifest.get("kind")), None)
    known = VERSIONS[:1] if kind is None or kind.old_columns is None else VERSIONS
    if kind is None or manifest["apiVersion"] not in known:
        message = f"{manifest['apiVersion']} {manifest.get('kind')} is unknown"
        yield Finding("", resource, "", message)
        return
    broken = False
    for path, message in _schema(kind).errors(manifest):
        broken = True
        yield Finding("", resource, path, message)
    try:
        errors, warnings = kinds.check(kind.resource.model_validate(manifest), enabled)
    except pydantic.ValidationError as error:
        if not broken:  # or it is said already, in better words
            for detail in error.errors():
                path = ".".join(map(str, detail["loc"]))
                yield Finding("", resource, path, detail["msg"])
        return
    for each in errors:
        yield Finding("", resource, each.path, each.message, each.rule)
    for each in warnings:
        yield Finding("", resource, each.path, each.message, each.rule, is_warning=True)


@functools.cache
def _schema(kind: crds.Kind) -> strict.Schema:
    schema = crds.v1(kind)
    schema["properties"]["metadata"] = _METADATA
    return strict.Schema({**schema, "required": ["spec"]})
