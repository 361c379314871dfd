"""What is written of one resource reaches the store of those who made it."""

import asyncio
from typing import Any

import msgspec
import pytest

from ray_operator import informers, listwatch, names, pod_events, stores

CLUSTERS, JOBS, SERVICES = "of clusters", "of jobs", "of services"
OF_CLUSTER = {names.CLUSTER_LABEL: "c"}
OF_JOB = {names.ORIGIN_KIND_LABEL: "RayJob", names.ORIGIN_NAME_LABEL: "j"}
OF_SERVICE = {names.ORIGIN_KIND_LABEL: "RayService", names.ORIGIN_NAME_LABEL: "s"}


class Kept:
    """A store of children; it keeps what it is told."""

    def __init__(self, name: str, told: list[tuple[str, str, str]]) -> None:
        self._name = name
        self._told = told

    def written(self, namespace: str, answer: bytes) -> None:
        self._told.append((self._name, "written", msgspec.json.decode(answer)["metadata"]["name"]))
        assert namespace == "ns1"

    def removed(self, namespace: str, name: str, uid: str) -> None:
        self._told.append((self._name, "removed", name))
        assert (namespace, uid) == ("ns1", "u1")


@pytest.fixture
def told() -> list[tuple[str, str, str]]:
    return []


@pytest.fixture
def families(told: list[tuple[str, str, str]]) -> stores.Families[Any]:
    clusters: Any = Kept(CLUSTERS, told)
    jobs: Any = Kept(JOBS, told)
    services: Any = Kept(SERVICES, told)
    return stores.Families(clusters, {"RayJob": jobs, "RayService": services})


def answer(labels: dict[str, str], **metadata: Any) -> bytes:
    given = {"name": "a", "uid": "u1", "labels": labels}
    return msgspec.json.encode({"metadata": given | metadata})


GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("labels", "store"),
    [
        (OF_CLUSTER, CLUSTERS),
        (OF_JOB, JOBS),
        (OF_SERVICE, SERVICES),
        ({**OF_JOB, **OF_CLUSTER}, CLUSTERS),
    ],
)
def test_what_was_written_is_kept_once(
    families: stores.Families[Any],
    told: list[tuple[str, str, str]],
    labels: dict[str, str],
    store: str,
) -> None:
    families.written("ns1", answer(labels))
    families.deleted("ns1", "a", "u1", answer(labels, **GOING))
    assert told == [(store, "written", "a"), (store, "written", "a")]


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind": "Status", "status": "Success", "details": {"name": "a", "uid": "u1"}}',
        answer(OF_JOB),
        answer(OF_JOB, uid="u2", **GOING),
    ],
    ids=["a Status", "as it was last", "a younger one"],
)
def test_what_a_delete_left_nothing_of_is_dropped_wherever_it_was(
    families: stores.Families[Any], told: list[tuple[str, str, str]], body: bytes
) -> None:
    families.deleted("ns1", "a", "u1", body)
    assert told == [(each, "removed", "a") for each in (CLUSTERS, JOBS, SERVICES)]


async def test_all_that_is_listed_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store without a watch would only hear of our own writes."""
    listed: list[tuple[str, str]] = []
    watched: list[tuple[str, str]] = []

    async def relist(informer: informers.Informer[Any], _: float) -> None:
        listed.append((informer.resource.kind, informer._selector))

    async def run(informer: listwatch.ListWatch[Any]) -> None:
        watched.append((informer.resource.kind, informer._selector))

    monkeypatch.setattr(informers.Informer, "relist_since", relist)
    monkeypatch.setattr(listwatch.ListWatch, "run", run)
    monkeypatch.setattr(pod_events.PodEvents, "run", run)
    client: Any = None
    found = stores.Stores(client, namespaces=("a", "b"), changed=lambda _: None)
    await found.relist_since(0.0)
    await asyncio.gather(*found.work().values())
    assert sorted(each for each in watched if each[0] != "Event") == sorted(listed)
    assert len(set(listed)) == len(listed) / 2
