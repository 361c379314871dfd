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


CLUSTER = records.Key("RayCluster", "ns1", "c")
USER, OTHER = records.Key("RayJob", "ns1", "j"), records.Key("RayJob", "ns1", "k")


class Woken:
    """Relations, with the store that tells them, and who was woken since one last looked."""

    def __init__(self) -> None:
        self._woken: list[records.Key] = []
        self.relations = relations.Relations(self._woken.append, kinds=KINDS)
        self.kept = resources.Resources(
            lambda _: None, self.relations.touched, self.relations.forget
        )
        self._version = 0

    def job_says(self, key: records.Key, cluster: str | None) -> None:
        self._version += 1
        status = {"rayClusterName": cluster} if cluster else None
        self.kept.put(key, body(self._version, status=status))

    def cluster_changes(self) -> None:
        self._version += 1
        self.kept.put(CLUSTER, body(self._version))

    def since(self) -> list[records.Key]:
        found = sorted(self._woken)
        self._woken.clear()
        return found


def test_all_jobs_that_use_a_cluster_hear_of_it_and_of_its_children() -> None:
    woken = Woken()
    woken.job_says(USER, "c")
    woken.job_says(OTHER, "c")
    woken.cluster_changes()
    assert woken.since() == [USER, OTHER]
    woken.relations.changed(CLUSTER)
    assert woken.since() == [CLUSTER, USER, OTHER]
    woken.kept.drop(CLUSTER, "u1")
    assert woken.since() == [USER, OTHER]


@pytest.mark.parametrize("cluster", ["another", None])
def test_a_job_hears_of_the_cluster_that_it_uses_now(cluster: str | None) -> None:
    woken = Woken()
    woken.job_says(USER, "c")
    woken.job_says(USER, cluster)
    woken.cluster_changes()
    assert woken.since() == []
    woken.job_says(USER, "c")
    woken.cluster_changes()
    assert woken.since() == [USER]


def test_a_cluster_of_that_name_elsewhere_concerns_nobody() -> None:
    woken = Woken()
    woken.job_says(USER, "c")
    woken.relations.changed(records.Key("RayCluster", "ns2", "c"))
    woken.relations.changed(records.Key("RayJob", "ns1", "c"))
    assert USER not in woken.since()


def test_a_job_that_is_gone_is_not_woken_any_more() -> None:
    woken = Woken()
    woken.job_says(USER, "c")
    woken.job_says(OTHER, "c")
    woken.kept.drop(USER, "u1")
    woken.cluster_changes()
    assert woken.since() == [OTHER]
    woken.kept.drop(OTHER, "u1")
    woken.cluster_changes()
    assert woken.since() == []


def test_a_service_hears_of_both_clusters_and_of_no_other_then() -> None:
    woken = Woken()
    key = records.Key("RayService", "ns1", "s")
    old, new = records.Key("RayCluster", "ns1", "old"), records.Key("RayCluster", "ns1", "new")
    both = {
        "activeServiceStatus": {"rayClusterName": "old"},
        "pendingServiceStatus": {"rayClusterName": "new"},
    }
    woken.kept.put(key, body(1, status=both))
    for each in (old, new):
        woken.relations.changed(each)
        assert woken.since() == [each, key]
    woken.kept.put(key, body(2, status={"activeServiceStatus": {"rayClusterName": "new"}}))
    woken.relations.changed(old)
    assert woken.since() == [old]
    woken.relations.changed(new)
    assert woken.since() == [new, key]
