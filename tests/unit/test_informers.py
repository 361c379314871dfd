"""The store sees our own writes at once and never goes back in time."""

import time
from typing import Any, cast

import msgspec

from ray_operator import actions, apply, errors, informers, kube, records, wire_pods

KEY = records.Key("RayCluster", "ns1", "demo")


def manifest(name: str, version: int, **metadata: Any) -> dict[str, Any]:
    owner = {"kind": "RayCluster", "name": "demo", "uid": "u", "controller": True}
    return {
        "metadata": {
            "namespace": "ns1",
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [owner],
        }
        | metadata,
        "spec": {"containers": [{"name": "ray"}]},
    }


def encoded(name: str, version: int, **metadata: Any) -> bytes:
    return msgspec.json.encode(manifest(name, version, **metadata))


class Server:
    """Answer as the API server would: a list, creates and deletes."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.version = 0
        self.created: list[str] = []
        self.refuse: set[int] = set()
        self.page = 100

    async def list(self, *_: Any, after: str = "", **__: Any) -> bytes:
        start = int(after or "0")
        end = start + self.page
        following = {"continue": str(end)} if self.items[end:] else {}
        metadata = {"resourceVersion": str(self.version)} | following
        return msgspec.json.encode({"metadata": metadata, "items": self.items[start:end] or None})

    async def create(self, _: records.Resource, __: str, body: dict[str, Any], **___: Any) -> bytes:
        name = body["metadata"]["name"]
        self.created.append(name)
        if len(self.created) in self.refuse:
            raise errors.Forbidden("exceeded quota")
        return encoded(name, 100 + len(self.created))

    async def delete(
        self, _: records.Resource, __: str, name: str, *, uid: str, propagation: str
    ) -> bytes:
        assert not propagation
        if uid == "uid-gone":
            raise errors.NotFound("not found")
        return encoded(name, 200, deletionTimestamp="2026-01-01T00:00:30Z")


def store(server: Server) -> tuple[informers.Children[records.Pod], list[records.Key]]:
    told: list[records.Key] = []
    informer = informers.Informer(
        cast("kube.Kube", server),
        records.PODS,
        selector="",
        namespace=None,
        decode=wire_pods.pod,
        changed=told.append,
    )
    return informers.Children([informer]), told


def held(children: informers.Children[records.Pod]) -> list[tuple[str, str]]:
    return [(pod.name, pod.resource_version) for pod in children.owned_by(KEY)]


async def test_a_list_replaces_the_store_but_not_what_is_newer() -> None:
    server = Server()
    children, told = store(server)
    server.items, server.version = [manifest("old", 1), manifest("kept", 2)], 5
    await children.informers[0].relist()
    assert (held(children), told) == ([("kept", "2"), ("old", "1")], [KEY, KEY])
    children.written("ns1", encoded("ours", 9))
    server.items, server.version = [manifest("kept", 2)], 8
    await children.informers[0].relist()
    assert held(children) == [("kept", "2"), ("ours", "9")]
    children.written("ns1", encoded("kept", 1))
    assert held(children) == [("kept", "2"), ("ours", "9")]


async def test_a_list_that_the_watch_has_overtaken_brings_nothing_back() -> None:
    """The Pod in it was deleted meanwhile, and no event would ever say so again."""
    server = Server()
    children, _ = store(server)
    server.version = 112
    await children.informers[0].relist()
    server.items, server.version = [manifest("ghost", 100)], 110
    await children.relist_owned(KEY, "ray.io/cluster=demo")
    assert held(children) == []
    children.written("ns1", encoded("ghost", 105))
    assert held(children) == []
    children.written("ns1", encoded("new", 113))
    assert held(children) == [("new", "113")]


async def test_a_leader_lists_again_what_was_listed_before_it_led() -> None:
    server = Server()
    children, _ = store(server)
    before = time.monotonic()
    await children.informers[0].relist()
    server.items, server.version = [manifest("a", 1)], 1
    await children.relist_since(before)
    assert held(children) == []
    await children.relist_since(time.monotonic())
    assert held(children) == [("a", "1")]


async def test_a_list_of_many_comes_in_pages() -> None:
    server = Server()
    server.items, server.version = [manifest(name, 7) for name in ("a", "b", "c")], 7
    server.page = 2
    children, _ = store(server)
    await children.informers[0].relist()
    assert held(children) == [("a", "7"), ("b", "7"), ("c", "7")]


async def test_only_what_a_pass_could_care_for_wakes_its_owner() -> None:
    server = Server()
    children, told = store(server)
    given = {"containers": [{"name": "ray"}], "nodeName": "n"}
    steps: list[tuple[dict[str, Any], int]] = [
        ({}, 1),
        ({"spec": given}, 0),
        ({"spec": given, "status": {"hostIP": "10.0.0.1"}}, 0),
        ({"spec": given, "status": {"phase": "Running"}}, 1),
    ]
    for version, (more, woken) in enumerate(steps, start=1):
        server.items, server.version = [manifest("a", version) | more], version
        await children.informers[0].relist()
        assert (held(children), len(told)) == ([("a", str(version))], woken)
        told.clear()


async def test_relisting_one_owner_leaves_the_others() -> None:
    server = Server()
    children, _ = store(server)
    other = {"kind": "RayCluster", "name": "other", "uid": "o", "controller": True}
    server.items = [manifest("mine", 1), manifest("theirs", 1, ownerReferences=[other])]
    server.version = 5
    await children.informers[0].relist()
    server.items = []
    await children.relist_owned(KEY, "ray.io/cluster=demo")
    assert held(children) == []
    assert len(children.owned_by(records.Key("RayCluster", "ns1", "other"))) == 1


REASONS = actions.Reasons("Created", "FailedToCreate", "FailedCreate")


def creates(count: int) -> list[actions.Create]:
    pod = {"metadata": {"namespace": "ns1", "generateName": "demo-"}}
    return [
        actions.Create(resource=records.PODS, manifest=pod, reasons=REASONS) for _ in range(count)
    ]


def applier(
    server: Server, children: informers.Children[records.Pod], *, leading: bool = True
) -> apply.Applier:
    client = cast("kube.Kube", server)
    return apply.Applier(client, {records.PODS: children}, may_write=lambda: leading)


async def test_what_was_created_and_deleted_is_in_the_store_when_apply_returns() -> None:
    server = Server()
    children, told = store(server)
    outcome = await applier(server, children).apply(actions.Plan(actions=tuple(creates(3))))
    assert [result.error for result in outcome.results] == [None] * 3
    assert [pod.name for pod in children.owned_by(KEY)] == sorted(server.created)
    assert all(len(name) == len("demo-") + 5 for name in server.created)
    name = server.created[0]
    delete = actions.Delete(
        resource=records.PODS, namespace="ns1", name=name, uid=f"uid-{name}", reasons=REASONS
    )
    await applier(server, children).apply(actions.Plan(actions=(delete,)))
    (pod,) = [pod for pod in children.owned_by(KEY) if pod.name == name]
    assert pod.deletion_at is not None
    assert told == []


async def test_deleting_what_is_gone_is_success() -> None:
    server = Server()
    children, _ = store(server)
    children.written("ns1", encoded("gone", 1))
    delete = actions.Delete(
        resource=records.PODS, namespace="ns1", name="gone", uid="uid-gone", reasons=REASONS
    )
    outcome = await applier(server, children).apply(actions.Plan(actions=(delete,)))
    assert (outcome.failures, held(children)) == ((), [])


async def test_a_refused_create_stops_further_ones_of_its_sort() -> None:
    server = Server()
    children, _ = store(server)
    server.refuse = {2}
    outcome = await applier(server, children).apply(actions.Plan(actions=tuple(creates(100))))
    assert len(server.created) == 3  # one, then a batch of two
    assert [result.error is not None for result in outcome.results] == [False, True, False]


async def test_nothing_is_written_without_the_lease() -> None:
    server = Server()
    children, _ = store(server)
    try:
        await applier(server, children, leading=False).apply(
            actions.Plan(actions=tuple(creates(1)))
        )
    except errors.NotLeading:
        assert server.created == []
    else:
        raise AssertionError("wrote without the lease")


async def test_an_empty_list_may_be_null() -> None:
    server = Server()
    children, _ = store(server)
    await children.informers[0].relist()
    assert held(children) == []
