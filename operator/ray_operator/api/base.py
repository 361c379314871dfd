"""What all models of the API share: strictness, aliases, metadata and scalar types.

Owns: the base model and types of single values. Does not own: any kind (`raycluster`, …), or
Kubernetes' own types (`kubernetes`). Invariant: a model accepts whatever an API server may have
stored (unknown fields stay, nulls mean "not given"), and `dump` gives back what was put in, nothing
more.
"""

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

Json = dict[str, Any]
"""A JSON object that the operator passes on without reading it into a type."""

INT32_MAX = 2**31 - 1

Int32 = Annotated[int, WithJsonSchema({"type": "integer", "format": "int32"})]
Int64 = Annotated[int, WithJsonSchema({"type": "integer", "format": "int64"})]
NonNegative = Annotated[int, WithJsonSchema({"type": "integer", "format": "int32", "minimum": 0})]
"""An int32 whose lower bound the CRD enforces (the model reads what is stored)."""
Positive = Annotated[int, WithJsonSchema({"type": "integer", "format": "int32", "minimum": 1})]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""An instant as the API server writes it, RFC 3339."""

QUANTITY_SCHEMA: Json = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "pattern": (
        r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
        r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
    ),
    "x-kubernetes-int-or-string": True,
}
Quantity = Annotated[str | int, WithJsonSchema(QUANTITY_SCHEMA)]

COUNT_OR_PERCENT_SCHEMA: Json = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "minimum": 0,
    "pattern": "^[0-9]{1,3}%$",
    "x-kubernetes-int-or-string": True,
}
CountOrPercent = Annotated[str | int, WithJsonSchema(COUNT_OR_PERCENT_SCHEMA)]
"""A number, or a part of the whole such as `25%`."""

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


def list_map(*keys: str, max_items: int | None = None) -> dict[str, Any]:
    """Schema addition for a list of objects told apart by these fields.

    Keys are unique then, and appliers of different items don't conflict.
    """
    bound = {"maxItems": max_items} if max_items else {}
    return {**bound, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


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
        allow_inf_nan=False,
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
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)
    creation_timestamp: AwareDatetime | None = None
    deletion_timestamp: AwareDatetime | None = None
    owner_references: list[Json] = Field(default_factory=list)

    def controller(self) -> str:
        """Return the UID of the controlling owner; empty when nobody controls the object."""
        found = (each["uid"] for each in self.owner_references if each.get("controller"))
        return next(found, "")


class Resource(Model):
    """The base of the kinds: what makes an object of the API a manifest."""

    api_version: str = "ray.io/v1"
    kind: str
    metadata: Metadata = Field(default_factory=Metadata)
    status: Json = Field(default_factory=dict)
    """What was last reported, as stored; the kind's status model types it."""

    def manifest(self) -> Json:
        """Render for `kubectl apply` or a client: what was given, no defaults, no nulls."""
        return {"apiVersion": self.api_version, "kind": self.kind, **self.dump()}
