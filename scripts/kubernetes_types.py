"""Refresh the schemas of Kubernetes' own types that our CRDs embed.

Owns: where they come from and what is left out of them. Does not own: how CRDs use them
(`ray_operator.api.kubernetes`). Run it by `make kubernetes-types` after raising `VERSION`, then
`make crds`; the result is committed, so that nothing is fetched to build or to test.

Left out: descriptions (they alone are five times the size a CRD may have), enumerations (a newer
API server may know more values), and defaults that only repeat a type's zero.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ray_operator.api import base, kubernetes

PATH = Path(kubernetes.__file__).with_name(kubernetes.FILE)
VERSION = "v1.36.3"
MODULE = "k8s.io/kubernetes"
DOCUMENTS = ("api__v1_openapi.json", "apis__networking.k8s.io__v1_openapi.json")
ROOTS = (
    "io.k8s.api.core.v1.PodTemplateSpec",
    "io.k8s.api.core.v1.Service",
    "io.k8s.api.core.v1.EnvVar",
    "io.k8s.api.core.v1.EnvFromSource",
    "io.k8s.api.core.v1.EnvVarSource",
    "io.k8s.api.core.v1.VolumeMount",
    "io.k8s.api.core.v1.ResourceRequirements",
    "io.k8s.api.core.v1.SecurityContext",
    "io.k8s.api.networking.v1.IngressTLS",
    "io.k8s.api.networking.v1.NetworkPolicyIngressRule",
    "io.k8s.api.networking.v1.NetworkPolicyEgressRule",
)
_OWN: dict[str, base.Json] = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": base.METADATA_SCHEMA,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": base.QUANTITY_SCHEMA,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
    },
    # No Pod template may hold any: an API server refuses to make such a Pod.
    "io.k8s.api.core.v1.EphemeralContainer": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}},
        "x-kubernetes-preserve-unknown-fields": True,
    },
}
_KEPT = ("type", "format", "required", "x-kubernetes-list-type", "x-kubernetes-list-map-keys")


def collect(schemas: dict[str, Any]) -> dict[str, base.Json]:
    """Return the reduced definitions that `ROOTS` reach, by short name."""
    found: dict[str, base.Json] = {}
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if _short(name) in found:
            continue
        found[_short(name)] = _OWN.get(name) or _reduced(schemas[name], schemas, waiting)
    return dict(sorted(found.items()))


def _short(name: str) -> str:
    return name.rsplit(".", 1)[1]


def _reduced(node: dict[str, Any], schemas: dict[str, Any], waiting: list[str]) -> base.Json:
    """Reduce one node; what it refers to is appended to `waiting`."""
    references = [each for each in [node, *node.get("allOf", ())] if "$ref" in each]
    if references:
        name = references[0]["$ref"].rsplit("/", 1)[1]
        waiting.append(name)
        return {"$ref": _short(name)}
    reduced = {key: node[key] for key in _KEPT if key in node}
    if node.get("default") not in (None, "", 0, False, {}):
        reduced["default"] = node["default"]
    if "properties" in node:
        reduced["properties"] = {
            name: _reduced(each, schemas, waiting) for name, each in node["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if key in node:
            reduced[key] = _reduced(node[key], schemas, waiting)
    _default_keys(reduced, schemas, node)
    return reduced


def _default_keys(reduced: base.Json, schemas: dict[str, Any], node: dict[str, Any]) -> None:
    """Note which keys of a list's items need a default because they are optional there.

    A structural schema demands that every key of a `listType: map` is required or defaulted.
    """
    keys = reduced.get("x-kubernetes-list-map-keys", ())
    if not keys:
        return
    items = node["items"]
    reference = next(each["$ref"] for each in [items, *items.get("allOf", ())] if "$ref" in each)
    item = schemas[reference.rsplit("/", 1)[1]]
    optional = {
        key: item["properties"][key].get("default", "")
        for key in keys
        if key not in item.get("required", ())
    }
    if optional:
        reduced["x-key-defaults"] = optional


def main() -> None:
    """Fetch the pinned version by Go's module proxy and write the data file."""
    with tempfile.TemporaryDirectory() as nowhere:
        answer = subprocess.run(
            ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"],
            cwd=nowhere,
            check=True,
            capture_output=True,
        )
    folder = Path(json.loads(answer.stdout)["Dir"]) / "api/openapi-spec/v3"
    schemas: dict[str, Any] = {}
    for document in DOCUMENTS:
        schemas |= json.loads((folder / document).read_text())["components"]["schemas"]
    content = {"source": f"{MODULE} {VERSION} api/openapi-spec/v3", "types": collect(schemas)}
    PATH.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
