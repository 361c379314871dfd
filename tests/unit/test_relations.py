"""A change of one of our own resources wakes the one of ours that made it."""

from typing import Any

import pytest

from ray_operator import records, relations, resources

JOB = {"apiVersion": "ray.io/v1", "kind": "RayJob", "name": "j", "uid": "o1", "controller": True}
KINDS = {"RayCluster", "RayJob"}


def body(version: int, *owners: dict[str, Any], **fields: Any) -> dict[str, Any]:
    metadata = {"namespace": "ns1", "name": "a", "uid": "u1", "resourceVersion": str(version)}
    return {"metadata": metadata | {"ownerReferences": list(owners)}, **fields}


@pytest.mark.parametrize(
    ("owners", "found"),
    [
        ([], []),
        ([JOB], [records.Key("RayJob", "ns1", "j")]),
        ([{**JOB, "apiVersion": "ray.io/v1alpha1"}], [records.Key("RayJob", "ns1", "j")]),
        ([{**JOB, "controller": False}], []),
        ([{**JOB, "apiVersion": "batch/v1"}], []),
        ([{**JOB, "kind": "RayService"}], []),
    ],
)
def test_only_a_controller_of_a_kind_that_is_reconciled_is_woken(
    owners: list[dict[str, Any]], found: list[records.Key]
) -> None:
    assert relations.owners(body(1, *owners), namespace="ns1", kinds=KINDS) == found


def test_an_owner_is_woken_by_birth_status_and_end_of_what_it_made() -> None:
    changed: list[records.Key] = []
    woken: list[records.Key] = []
    related = relations.Relations(woken.append, kinds=KINDS)
    kept = resources.Resources(changed.append, related.touched)
    key, owner = records.Key("RayCluster", "ns1", "a"), records.Key("RayJob", "ns1", "j")
    kept.put(key, body(1, JOB))
    kept.put(key, body(2, JOB, status={"state": "ready"}))
    kept.put(key, body(2, JOB, status={"state": "ready"}))
    kept.drop(key, "u1")
    assert changed == [key, key]
    assert woken == [owner, owner, owner]
