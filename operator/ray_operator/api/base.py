"""What all models of the API share: strictness, aliases, metadata and opaque Kubernetes types.

Owns: the base model and the types whose schema is Kubernetes' rather than ours. Does not own: any
kind (`raycluster`, …). Invariant: a model accepts whatever an API server may have stored (unknown
fields stay, nulls mean "not given"), and `dump` gives back what was put in, nothing more.
"""

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

Json = dict[str, Any]
"""A JSON object that the operator passes on without reading it into a type."""

INT32_MAX = 2**31 - 1

Int32 = Annotated[int, WithJsonSchema({"type": "integer", "format": "int32"})]
Int64 = Annotated[int, WithJsonSchema({"type": "integer", "format": "int64"})]

QUANTITY_SCHEMA: Json = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "pattern": (
        r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
        r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
    ),
    "x-kubernetes-int-or-string": True,
}
Quantity = Annotated[str | int, WithJsonSchema(QUANTITY_SCHEMA)]

_PRESERVED: Json = {"x-kubernetes-preserve-unknown-fields": True}
_OBJECT: Json = {"type": "object", **_PRESERVED}
_STRINGS: Json = {"type": "object", "additionalProperties": {"type": "string"}}
METADATA_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": _STRINGS,
        "annotations": _STRINGS,
        "finalizers": {"type": "array", "items": {"type": "string"}},
    },
}
"""The embedded metadata that KubeRay admits; the API server prunes every other key."""

POD_TEMPLATE_SCHEMA: Json = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "metadata": METADATA_SCHEMA,
        "spec": {
            "type": "object",
            "required": ["containers"],
            "properties": {
                "containers": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}},
                        **_PRESERVED,
                    },
                }
            },
            **_PRESERVED,
        },
    },
    **_PRESERVED,
}
SERVICE_SCHEMA: Json = {
    "type": "object",
    "properties": {"metadata": METADATA_SCHEMA, "spec": _OBJECT},
    **_PRESERVED,
}

PodTemplate = Annotated[Json, WithJsonSchema(POD_TEMPLATE_SCHEMA)]
ServiceTemplate = Annotated[Json, WithJsonSchema(SERVICE_SCHEMA)]
Opaque = Annotated[Json, WithJsonSchema(_OBJECT)]
"""An object of Kubernetes' own API that only Kubernetes checks."""


def one_of(*values: str) -> dict[str, Any]:
    """Schema addition for a string field: the CRD enforces it, the model only documents it.

    A stored value from a newer or older CRD must not keep a resource from being read.
    """
    return {"enum": list(values)}


class Model(BaseModel):
    """The base of every API model: camelCase in JSON, snake_case in Python, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="allow",
        frozen=True,
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        """Read null as "not given", as the API server does."""
        if isinstance(data, dict) and None in data.values():
            return {key: value for key, value in data.items() if value is not None}
        return data

    def dump(self) -> Json:
        """Render as JSON what was given, by alias: no defaults, no nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


class Metadata(Model):
    """The part of ObjectMeta that the operator reads; other keys are kept."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)
    creation_timestamp: AwareDatetime | None = None
    deletion_timestamp: AwareDatetime | None = None
