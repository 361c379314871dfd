"""The store of our own resources never goes back in time and forgets nothing it shouldn't."""

from typing import Any

from ray_operator import records, resources

KEY = records.Key("RayCluster", "ns1", "a")


def body(version: int, uid: str = "u1") -> dict[str, Any]:
    meta = {"namespace": "ns1", "name": "a", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": meta | {"managedFields": [{}]}}


def store() -> tuple[resources.Resources, list[records.Key]]:
    told: list[records.Key] = []
    return resources.Resources(told.append), told


def test_an_older_version_changes_nothing_and_a_newer_one_is_told() -> None:
    kept, told = store()
    kept.put(KEY, body(5))
    kept.put(KEY, body(4))
    kept.put(KEY, body(5))
    assert told == [KEY]
    assert kept.get(KEY) == (
        b'{"metadata":{"namespace":"ns1","name":"a","uid":"u1","resourceVersion":"5"}}'
    )
    kept.put(KEY, body(10))
    assert told == [KEY, KEY]


def test_our_own_write_is_not_told() -> None:
    kept, told = store()
    kept.put(KEY, body(5), tell=False)
    assert (told, kept.known()) == ([], [KEY])


def test_a_late_delete_leaves_the_younger_object_of_that_name() -> None:
    kept, _ = store()
    kept.put(KEY, body(5, "u2"))
    kept.drop(KEY, "u1")
    assert kept.known() == [KEY]


def test_reconcile_drops_what_vanished_and_asks_for_what_was_missed() -> None:
    kept, told = store()
    kept.put(KEY, body(5))
    other = records.Key("RayCluster", "ns1", "b")
    assert kept.reconcile("RayCluster", [(other, "u9", "7")]) == [other]
    assert kept.known() == []
    assert told == [KEY, KEY]
    kept.put(KEY, body(5))
    assert kept.reconcile("RayCluster", [(KEY, "u1", "5")]) == []
    assert kept.reconcile("RayCluster", [(KEY, "u1", "6")]) == [KEY]
    assert kept.reconcile("RayJob", []) == []
    assert kept.known() == [KEY]
