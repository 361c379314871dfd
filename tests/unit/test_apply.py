"""Whose fields of an object become ours when we first apply it."""

from typing import Any

from ray_operator import apply

OWNED: dict[str, Any] = {"f:metadata": {"f:ownerReferences": {}}, "f:spec": {"f:ports": {}}}


def entry(manager: str, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields}


def test_its_maker_s() -> None:
    user = entry("kubectl-annotate", "Update", {"f:metadata": {"f:annotations": {}}})
    made = entry("manager", "Update", OWNED)
    assert apply.inherited([user, made]) == [user, entry("ray-operator", "Apply", OWNED)]


def test_nobody_s_once_we_applied_it() -> None:
    ours = entry("ray-operator", "Apply", OWNED)
    assert apply.inherited([ours, entry("manager", "Update", OWNED)]) is None


def test_nobody_s_who_did_not_make_it() -> None:
    assert apply.inherited([entry("kubectl-edit", "Update", {"f:spec": {}})]) is None
