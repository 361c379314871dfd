"""What is made of the schemas that the API server serves."""

from typing import Any

import pytest

from ray_operator import served

OPEN = {"x-kubernetes-preserve-unknown-fields": True}
TEXT = {"type": "string"}


def node(**schema: Any) -> served.Node:
    return served.node(schema)


OURS = node(
    properties={
        "spec": {"properties": {"a": TEXT, "list": {"items": {"properties": {"b": TEXT}}}}},
        "status": {"properties": {"c": TEXT}},
    }
)


@pytest.mark.parametrize(
    ("found", "lacking"),
    [
        ({"spec": {"properties": {"a": TEXT}}}, ["spec.list", "status"]),
        ({"spec": OPEN, "status": OPEN}, []),
        (
            {"spec": {"properties": {"a": TEXT, "list": {"items": {"properties": {}}}}}},
            ["spec.list[].b", "status"],
        ),
        ({"spec": {**OPEN, "properties": {"list": {"items": OPEN}}}, "status": OPEN}, []),
    ],
)
def test_what_a_served_schema_lacks(found: dict[str, Any], lacking: list[str]) -> None:
    assert list(served.missing(node(properties=found), OURS)) == lacking


def test_a_schema_lacks_nothing_of_itself() -> None:
    assert list(served.missing(OURS, OURS)) == []


def test_a_status_loses_what_can_not_be_stored() -> None:
    schema = node(
        properties={
            "known": {"properties": {"a": TEXT}},
            "items": {"items": {"properties": {"a": TEXT}}},
            "map": {"additionalProperties": {"properties": {"a": TEXT}}},
            "texts": {"additionalProperties": TEXT},
        }
    )
    both = {"a": "1", "b": "2"}
    status = {
        "known": both,
        "items": [both],
        "map": {"x": both},
        "texts": {"y": "z"},
        "unknown": 1,
    }
    kept = {"a": "1"}
    expected = {"known": kept, "items": [kept], "map": {"x": kept}, "texts": {"y": "z"}}
    assert served.prune(status, schema) == expected
    assert served.prune({"any": both}, node(**OPEN, properties={"known": TEXT})) == {"any": both}
    assert served.prune({"any": both}, node()) == {"any": both}
