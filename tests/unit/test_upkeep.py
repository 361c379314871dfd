"""CRDs brought up to date, an installation checked, an operator retired: what is asked of whom."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import errors, kube, records, upkeep
from ray_operator.api import crds

JOB, SERVICE, CLUSTER = records.RAYJOBS, records.RAYSERVICES, records.RAYCLUSTERS
OTHER = "example.com/theirs"
POD = {"metadata": {"namespace": "ray", "name": "operator-1"}, "status": {"phase": "Running"}}
DEPLOYMENT = {
    "metadata": {"namespace": "ray", "name": "operator", "uid": "d"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b", "c": "d"}}},
}


class Server(kube.Kube):
    """Holds objects; a Pod of the operator goes once it has been looked at after the order."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.held: dict[tuple[records.Resource, str, str], list[str]] = {}
        self.deployment: dict[str, Any] | None = DEPLOYMENT
        self.pods: list[Any] = []
        self.refused: dict[str, errors.KubeError] = {}
        self.unserved: set[records.Resource] = set()
        self.closed: set[str] = set()
        self.established = 0

    async def apply(self, resource: Any, namespace: Any, manifest: Any) -> Any:
        self.done.append(("apply", resource.plural, namespace, manifest["metadata"]["name"]))

    async def get(self, resource: Any, namespace: Any, name: Any) -> Any:
        if resource is records.CRDS:
            self.established -= 1
            status = "True" if self.established < 0 else "False"
            condition = {"type": "Established", "status": status}
            return msgspec.json.encode({"metadata": {}, "status": {"conditions": [condition]}})
        assert (resource, namespace, name) == (records.DEPLOYMENTS, "ray", "operator")
        return msgspec.json.encode(self.deployment) if self.deployment else None

    async def list(self, resource: Any, *, namespace: Any, selector: str = "", **_: Any) -> Any:
        if resource is records.PODS:
            self.done.append(("pods", namespace, selector))
            return msgspec.json.encode({"items": [self.pods.pop()] if self.pods else None})
        if resource in self.unserved:
            raise errors.NotFound("no such resource")
        if namespace in self.closed:
            raise errors.Forbidden(f"no rights in {namespace}")
        items = [
            {"metadata": {"namespace": at, "name": name, "uid": "u", "finalizers": finalizers}}
            for (kind, at, name), finalizers in self.held.items()
            if kind is resource and namespace in {None, at}
        ]
        return msgspec.json.encode({"items": items})

    async def patch(
        self, resource: Any, namespace: Any, name: Any, *, uid: Any, change: Any
    ) -> Any:
        self.done.append((resource.plural, namespace, name, uid, change))
        if name in self.refused:
            raise self.refused.pop(name)
        if resource is not records.DEPLOYMENTS:
            self.held[resource, namespace, name] = change["metadata"]["finalizers"]

    async def try_create(self, resource: Any, namespace: Any, manifest: Any) -> Any:
        self.done.append((resource.plural, namespace, manifest["kind"]))
        if resource.plural in self.refused:
            raise self.refused[resource.plural]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PAUSE_SECONDS", 0)


async def retire(
    server: Server, *, deployment: str = "operator", watched: Iterable[str] = ()
) -> Any:
    said: list[str] = []
    await upkeep.retire(
        server, deployment=deployment, namespace="ray", watched=watched, say=said.append
    )
    return said


async def test_all_crds_are_applied_by_force_and_waited_for() -> None:
    server, said = Server(), list[str]()
    server.established = 3
    await upkeep.apply_crds(server, said.append)
    names = [f"{kind.plural}.ray.io" for kind in crds.KINDS]
    assert server.done == [("apply", "customresourcedefinitions", "", name) for name in names]
    assert said == [f"applied {name}" for name in names]
    assert server.established < 0


async def test_a_crd_that_is_never_served_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PATIENCE", timedelta())
    server = Server()
    server.established = 1_000_000
    with pytest.raises(upkeep.Failed, match=r"^rayclusters\.ray\.io isn't established, after 0 s$"):
        await upkeep.apply_crds(server, lambda _: None)


async def test_the_service_is_asked_until_it_answers_then_a_cluster_is_tried() -> None:
    answers, server, said = ["not yet", ""], Server(), list[str]()

    async def ask() -> str:
        return answers.pop(0)

    await upkeep.check(server, ask, namespace="team", say=said.append)
    assert answers == []
    assert server.done == [("rayclusters", "team", "RayCluster")]
    assert said == [
        "a ready operator answers at its Service",
        "a RayCluster in team would be taken",
    ]


async def test_a_refusal_is_told() -> None:
    server = Server()
    server.refused["rayclusters"] = errors.Forbidden("no")

    async def ask() -> str:
        return ""

    with pytest.raises(upkeep.Failed, match=r"^a RayCluster in team is refused: no$"):
        await upkeep.check(server, ask, namespace="team", say=lambda _: None)


async def test_the_operator_is_stopped_before_its_finalizers_go() -> None:
    server = Server()
    server.pods = [POD, POD]
    server.held = {
        (JOB, "a", "job"): [upkeep.FINALIZERS[JOB], OTHER],
        (JOB, "a", "theirs"): [OTHER],
        (SERVICE, "b", "service"): [upkeep.FINALIZERS[SERVICE]],
        (CLUSTER, "b", "cluster"): [upkeep.FINALIZERS[CLUSTER]],
    }
    said = await retire(server)
    asked = ("pods", "ray", "a=b,c=d")

    def released(*left: str) -> dict[str, Any]:
        return {"metadata": {"finalizers": list(left), "resourceVersion": ""}}

    assert server.done == [
        ("deployments", "ray", "operator", "d", {"spec": {"replicas": 0}}),
        *(asked, asked, asked),
        ("rayclusters", "b", "cluster", "u", released()),
        ("rayjobs", "a", "job", "u", released(OTHER)),
        ("rayservices", "b", "service", "u", released()),
    ]
    assert said == [
        "stopped Deployment ray/operator",
        "released RayCluster b/cluster: what it keeps in Redis stays there",
        "released RayJob a/job: deleted now, its job isn't stopped on a cluster that stays",
        "released RayService b/service",
        "nothing waits for the operator",
    ]


async def test_only_watched_namespaces_are_touched_and_absent_crds_have_nothing() -> None:
    server = Server()
    server.unserved = {SERVICE, CLUSTER}
    ours = [upkeep.FINALIZERS[JOB]]
    server.held = {(JOB, at, "job"): list(ours) for at in ("a", "b", "c")}
    await retire(server, deployment="", watched=("a", "c"))
    assert server.held == {(JOB, "a", "job"): [], (JOB, "b", "job"): ours, (JOB, "c", "job"): []}


async def test_a_watched_namespace_that_is_gone_with_our_rights_keeps_nothing() -> None:
    server = Server()
    server.held = {(JOB, "a", "job"): [upkeep.FINALIZERS[JOB]]}
    server.closed = {"b"}
    said = await retire(server, deployment="", watched=("b", "a"))
    assert server.held == {(JOB, "a", "job"): []}
    assert "left alone: no rights in b" in said


async def test_a_conflict_is_looked_at_again_and_what_is_gone_is_well() -> None:
    server = Server()
    ours = [upkeep.FINALIZERS[JOB]]
    server.held = {(JOB, "a", "changed"): list(ours)}
    server.refused = {"changed": errors.Conflict("changed since")}
    said = await retire(server, deployment="")
    assert server.held == {(JOB, "a", "changed"): []}
    assert len(said) == 2


async def test_what_can_not_be_released_is_named_and_keeps_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "PATIENCE", timedelta())
    server = Server()
    server.held = {(JOB, "a", name): [upkeep.FINALIZERS[JOB]] for name in ("first", "second")}
    server.refused = {"first": errors.Forbidden("a policy")}
    message = r"^RayJob a/first keeps its finalizer: a policy, after 0 s$"
    with pytest.raises(upkeep.Failed, match=message):
        await retire(server, deployment="")
    assert server.held[JOB, "a", "second"] == []


async def test_an_operator_that_does_not_stop_keeps_its_finalizers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "PATIENCE", timedelta())
    server = Server()
    server.pods = [POD]
    server.held = {(JOB, "a", "job"): [upkeep.FINALIZERS[JOB]]}
    with pytest.raises(upkeep.Failed, match=r"^Pod operator-1 still runs, after 0 s$"):
        await retire(server)
    assert server.held == {(JOB, "a", "job"): [upkeep.FINALIZERS[JOB]]}


async def test_deletions_that_have_begun_are_left_to_the_operator_for_a_moment() -> None:
    class Deleting(Server):
        looks = 0

        async def list(self, resource: Any, **asked: Any) -> Any:
            if resource is JOB:
                self.looks += 1
                going = self.looks < 3
                meta = {"name": "job", "finalizers": [upkeep.FINALIZERS[JOB]]}
                meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
                return msgspec.json.encode({"items": [{"metadata": meta}] if going else []})
            return await super().list(resource, **asked)

        async def patch(self, resource: Any, *_: Any, **__: Any) -> Any:
            assert resource is records.DEPLOYMENTS
            assert self.looks == 3

    assert await retire(Deleting()) == [
        "stopped Deployment ray/operator",
        "nothing waits for the operator",
    ]


async def test_an_operator_that_is_gone_already_is_no_obstacle() -> None:
    server = Server()
    server.deployment = None
    assert (await retire(server))[-1] == "nothing waits for the operator"
