"""Kubernetes' own types within our resources: plain JSON here, complete schemas in the CRDs.

Owns: the annotated types for models, and expanding their schemas from `kubernetes.json`, which
`make kubernetes-types` writes. Does not own: any rule about them. Invariant: a model never reads
into them, so whatever a newer Kubernetes adds passes through untouched; the data file is read only
to make CRDs or to validate (the operator's configuration, once), never for a resource.
"""

import functools
import importlib.resources
import json
from typing import Annotated, Any

from pydantic import WithJsonSchema

VARIABLES = 4096
"""More variables than any container has."""
_BOUNDS = {"env": VARIABLES, "volumeMounts": VARIABLES, "volumes": VARIABLES, "containers": 512}
"""Lists that rules look through: only with a bound can an API server tell what a rule may cost."""
FILE = "kubernetes.json"
MARK = "x-kubernetes-type"
"""Stands for the schema of the named type in what pydantic generates."""

Json = dict[str, Any]
OPEN: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

# A type stands for itself, a mapping for an object with (among others) these fields, and a list of
# one for a list of it. A field with an exclamation mark must be there.
_METADATA: Json = {"name": str, "labels": {}, "annotations": {}}
CONTAINER: Json = {
    "name": str,
    "image": str,
    "command": [str],
    "args": [str],
    "env": [{"!name": str, "value": str}],
    "envFrom": [{}],
    "ports": [{"name": str}],
    "resources": {"limits": {}, "requests": {}},
    "volumeMounts": [{"name": str, "mountPath": str}],
}
_POD_TEMPLATE: Json = {
    "metadata": _METADATA,
    "spec": {
        "containers": [CONTAINER],
        "initContainers": [CONTAINER],
        "restartPolicy": str,
        "serviceAccountName": str,
        "volumes": [{"name": str}],
    },
}
_SERVICE: Json = {
    "metadata": _METADATA,
    "spec": {"ports": [{"name": str, "port": int, "protocol": str}], "selector": {}, "type": str},
}
FORMS: dict[str, Json] = {
    "PodTemplateSpec": _POD_TEMPLATE,
    "RayPodTemplate": _POD_TEMPLATE,
    "Service": _SERVICE,
    "EnvVar": CONTAINER["env"][0],
    "VolumeMount": CONTAINER["volumeMounts"][0],
}
"""What rules and builders read of a type."""


def _type(name: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "object", MARK: name})


PodTemplate = Annotated[Json, _type("PodTemplateSpec")]
RayPodTemplate = Annotated[Json, _type("RayPodTemplate")]
"""A template whose first container runs Ray, so that there must be one."""
Service = Annotated[Json, _type("Service")]
Container = Annotated[Json, _type("Container")]
EnvVar = Annotated[Json, _type("EnvVar")]
EnvFrom = Annotated[Json, _type("EnvFromSource")]
EnvVarSource = Annotated[Json, _type("EnvVarSource")]
VolumeMount = Annotated[Json, _type("VolumeMount")]
ResourceRequirements = Annotated[Json, _type("ResourceRequirements")]
SecurityContext = Annotated[Json, _type("SecurityContext")]
IngressTLS = Annotated[Json, _type("IngressTLS")]
IngressRule = Annotated[Json, _type("NetworkPolicyIngressRule")]
EgressRule = Annotated[Json, _type("NetworkPolicyEgressRule")]


@functools.cache
def _types() -> dict[str, Json]:
    text = importlib.resources.files(__package__).joinpath(FILE).read_text()
    types: dict[str, Json] = json.loads(text)["types"]
    return types


def schema(name: str) -> Json:
    """Return the structural schema of a type, such as `PodTemplateSpec`.

    Raises KeyError when `kubernetes.json` has no such type.
    """
    if name == "RayPodTemplate":
        template = schema("PodTemplateSpec")
        template["properties"]["spec"]["properties"]["containers"]["minItems"] = 1
        return {**template, "required": ["spec"]}
    return _expanded({"$ref": name})


def outline(name: str) -> Json:
    """Return a schema that is open but for the types of what the operator reads."""
    return _outlined(FORMS.get(name, {}))


def _outlined(form: Any) -> Json:
    if isinstance(form, list):
        return {"type": "array", "items": _outlined(form[0])}
    if not isinstance(form, dict):
        return {"type": {str: "string", int: "integer"}[form]}
    fields = {mark.removeprefix("!"): _outlined(each) for mark, each in form.items()}
    required = [mark[1:] for mark in form if mark.startswith("!")]
    return {
        **OPEN,
        **({"properties": fields} if fields else {}),
        **({"required": required} if required else {}),
    }


def _expanded(node: Json) -> Json:
    if "$ref" in node:
        return _expanded(_types()[node["$ref"]])
    result = {key: value for key, value in node.items() if key != "x-key-defaults"}
    if "properties" in node:
        result["properties"] = {
            name: _expanded(each) for name, each in sorted(node["properties"].items())
        }
        for name in _BOUNDS.keys() & result["properties"].keys():
            result["properties"][name]["maxItems"] = _BOUNDS[name]
    for key in ("items", "additionalProperties"):
        if key in node:
            result[key] = _expanded(node[key])
    for key, default in node.get("x-key-defaults", {}).items():
        result["items"]["properties"][key]["default"] = default
    return result
