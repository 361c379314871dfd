"""The store of our own resources never goes back in time and forgets nothing it shouldn't."""

from typing import Any

import msgspec
import pytest

from ray_operator import records, resources

KEY = records.Key("RayCluster", "ns1", "a")


def body(version: int, **metadata: Any) -> dict[str, Any]:
    meta = {"namespace": "ns1", "name": "a", "uid": "u1", "resourceVersion": str(version)}
    return {"metadata": meta | {"managedFields": [{}]} | metadata}


def reconcile(
    kept: resources.Resources, *listed: tuple[records.Key, str, str], **fields: Any
) -> list[records.Key]:
    given = {"namespace": None, "version": "9"} | fields
    return kept.reconcile(given.pop("kind", "RayCluster"), listed, **given)


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
    kept.put(KEY, body(10, generation=2))
    assert told == [KEY, KEY]


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 2},
        {"labels": {"a": "b"}},
        {"annotations": {"a": "b"}},
        {"finalizers": ["a"]},
        {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        {"uid": "u2"},
    ],
)
def test_what_a_pass_could_care_for_is_told(change: dict[str, Any]) -> None:
    kept, told = store()
    kept.put(KEY, body(5))
    kept.put(KEY, body(6, **change))
    assert told == [KEY, KEY]


def test_a_changed_status_is_taken_in_and_told_to_nobody() -> None:
    """Whether it comes by the watch or as the answer to our write, and whichever is first."""
    kept, told = store()
    kept.put(KEY, body(5))
    kept.put(KEY, body(6) | {"status": {"state": "ready"}})
    kept.put(KEY, body(6) | {"status": {"state": "ready"}})
    assert told == [KEY]
    assert b"ready" in (kept.get(KEY) or b"")


def test_what_is_gone_does_not_come_back_with_a_late_answer() -> None:
    """Our last change, which removes the finalizer, is what ends the object."""
    kept, told = store()
    kept.put(KEY, body(5))
    kept.drop(KEY, "u1")
    kept.put(KEY, body(6, finalizers=[]))
    assert (kept.known(), told) == ([], [KEY, KEY])
    kept.put(KEY, body(7, uid="u2"))
    assert kept.known() == [KEY]


def test_a_late_delete_leaves_the_younger_object_of_that_name() -> None:
    kept, _ = store()
    kept.put(KEY, body(5, uid="u2"))
    kept.drop(KEY, "u1")
    assert kept.known() == [KEY]


def test_reconcile_drops_what_vanished_and_asks_for_what_was_missed() -> None:
    kept, told = store()
    kept.put(KEY, body(5))
    other = records.Key("RayCluster", "ns1", "b")
    assert reconcile(kept, (other, "u9", "7")) == [other]
    assert kept.known() == []
    assert told == [KEY, KEY]
    kept.put(KEY, body(5))
    assert reconcile(kept, (KEY, "u1", "5")) == []
    assert reconcile(kept, (KEY, "u1", "6")) == [KEY]
    assert reconcile(kept, kind="RayJob") == []
    assert reconcile(kept, namespace="ns2") == []
    assert kept.known() == [KEY]


def test_what_came_after_the_list_is_not_dropped_for_its_sake() -> None:
    kept, _ = store()
    kept.put(KEY, body(12))
    assert reconcile(kept, version="11") == []
    assert kept.known() == [KEY]
    assert reconcile(kept, version="12") == []
    assert kept.known() == []


OWNER = {"apiVersion": "ray.io/v1", "kind": "RayJob", "name": "j", "uid": "o1", "controller": True}


def test_all_that_is_taken_in_or_dropped_is_told_as_touched_with_the_object() -> None:
    told: list[tuple[records.Key, Any]] = []
    kept = resources.Resources(lambda _: None, lambda key, body: told.append((key, body)))
    slim = {name: value for name, value in body(5)["metadata"].items() if name != "managedFields"}
    kept.put(KEY, body(5))
    kept.put(KEY, body(5))
    kept.put(KEY, body(6) | {"status": {"state": "ready"}})
    last = {"metadata": slim | {"resourceVersion": "6"}, "status": {"state": "ready"}}
    kept.drop(KEY, "another")
    kept.drop(KEY, "u1")
    kept.drop(KEY, "u1")
    assert told == [(KEY, {"metadata": slim}), (KEY, last), (KEY, last)]


def test_what_a_controller_owns_is_found_by_its_uid_as_long_as_it_owns_it() -> None:
    kept, _ = store()
    other = records.Key("RayJob", "ns1", "a")
    kept.put(KEY, body(5, ownerReferences=[{**OWNER, "controller": False}, OWNER]))
    kept.put(other, body(6, ownerReferences=[OWNER]))
    assert kept.owned_by("o1", "RayCluster") == [kept.get(KEY)]
    assert kept.owned_by("o2", "RayCluster") == []
    kept.put(KEY, body(7, ownerReferences=[{**OWNER, "uid": "o2"}]))
    assert kept.owned_by("o1", "RayCluster") == []
    assert kept.owned_by("o2", "RayCluster") == [kept.get(KEY)]
    kept.drop(KEY, "u1")
    assert kept.owned_by("o2", "RayCluster") == []
    assert kept.owned_by("o1", "RayJob") == [kept.get(other)]


def test_the_answer_to_a_delete_tells_whether_the_object_still_terminates() -> None:
    kept, _ = store()
    part = resources.OfKind(kept, "RayCluster")
    named = {"apiVersion": "ray.io/v1", "kind": "RayCluster"}
    part.written("ns1", msgspec.json.encode(named | body(5)))
    ending = named | body(6, deletionTimestamp="2026-01-01T00:00:00Z")
    part.deleted("ns1", "a", "u1", msgspec.json.encode(ending))
    assert kept.known() == [KEY]
    assert b"deletionTimestamp" in (kept.get(KEY) or b"")
    part.removed("ns1", "a", "another")
    assert kept.known() == [KEY]
    part.deleted("ns1", "a", "u1", b'{"kind":"Status","status":"Success"}')
    assert kept.known() == []
