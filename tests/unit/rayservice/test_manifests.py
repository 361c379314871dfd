"""What a RayService makes, beside what KubeRay made of the same."""

import json
from typing import Any
from unittest.mock import ANY

import pytest

from ray_operator import actions, names, settings
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayservice as api
from ray_operator.raycluster import desired
from ray_operator.rayservice import cluster, plan, services
from tests.unit import builders, golden
from tests.unit.golden import ABSENT, Difference
from tests.unit.rayservice.world import World, cluster_config, config

SETTINGS = settings.Settings(version="nightly")
MEANT = [
    Difference(
        f"metadata.annotations.{names.CONTENT_HASH_ANNOTATION}",
        ANY,
        ABSENT,
        "what may change in place is known by it",
    ),
    Difference(
        f"metadata.annotations.{names.GOAL_HASH_ANNOTATION}",
        ANY,
        ANY,
        "another set of fields counts",
    ),
    Difference(
        f"metadata.annotations.{names.SUSPENSION_ANNOTATION}",
        "false",
        ABSENT,
        "what a queue changes stays",
    ),
]


def load() -> tuple[api.RayService, dict[str, Any]]:
    """Return the RayService, and the cluster that was made of it."""
    found = golden.documents("service")
    (service,) = (each for each in found if each["kind"] == "RayService")
    (made,) = (each for each in found if each["kind"] == "RayCluster")
    service["metadata"]["uid"] = "<uid of owner>"
    del made["status"]
    return api.RayService.model_validate_json(json.dumps(service)), made


def test_the_cluster_is_as_kuberay_made_it_but_for_what_is_meant() -> None:
    service, theirs = load()
    ours = cluster.manifest(service, name=theirs["metadata"]["name"], options=SETTINGS)
    # An API server adds the defaults of the CRD to ours, as it did to theirs.
    assert golden.unmeant(ours, theirs, MEANT) == []
    assert golden.occurring(ours, theirs, MEANT) == set(range(len(MEANT)))


def test_its_pods_are_labelled_as_kuberay_did() -> None:
    _, made = load()
    model = cluster_api.RayCluster.model_validate_json(json.dumps(made))
    (group,) = model.spec.worker_group_specs
    head = desired.head_pod(model, settings=SETTINGS)
    (worker,) = desired.worker_pods(model, group, places=[desired.Place()], settings=SETTINGS)
    theirs = [each for each in golden.documents("service") if each["kind"] == "Pod"]
    for ours, their in zip((head, worker), theirs, strict=True):
        expected = dict(their["metadata"]["labels"])
        expected.pop(names.REPLICA_INDEX_LABEL, None)
        assert ours["metadata"]["labels"] == expected


def made_cluster(**fields: Any) -> cluster_api.RayCluster:
    world = World(rayClusterConfig=cluster_config(**fields))
    manifest = cluster.manifest(world.service(), name="svc-aaaaa", options=builders.SETTINGS)
    return cluster_api.RayCluster.model_validate_json(json.dumps(manifest))


def test_two_clusters_do_not_share_a_place_in_redis() -> None:
    store = {"redisAddress": "redis:6379", "externalStorageNamespace": "mine"}
    found = made_cluster(gcsFaultToleranceOptions=store)
    assert found.spec.gcs_fault_tolerance_options is not None
    place = found.spec.gcs_fault_tolerance_options.external_storage_namespace
    assert place == "mine-svc-aaaaa"


def changed(given: dict[str, Any], live: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return what an update writes: made as `given`, since as `live`, wanted as `now`."""
    manifest = made_cluster(**given).dump()
    manifest["spec"] |= live
    found = cluster_api.RayCluster.model_validate_json(json.dumps(manifest))
    service = World(rayClusterConfig=cluster_config(**now)).service()
    patch = cluster.update(service, found, options=builders.SETTINGS)
    spec: dict[str, Any] = patch.change.get("spec", {})
    return spec


@pytest.mark.parametrize(
    ("given", "live", "now", "written"),
    [
        ({"suspend": True}, {"suspend": False}, {"suspend": True}, {}),  # a queue admitted it
        ({}, {"suspend": True}, {}, {}),
        ({"suspend": True}, {}, {}, {"suspend": None}),
        ({"suspend": True}, {}, {"suspend": False}, {"suspend": False}),
        ({}, {}, {"suspend": True}, {"suspend": True}),
    ],
)
def test_suspension_changes_only_when_it_was_edited(
    given: dict[str, Any], live: dict[str, Any], now: dict[str, Any], written: dict[str, Any]
) -> None:
    assert changed(given, live, now) == written


def test_where_a_queue_lets_pods_run_stays() -> None:
    head = cluster_config()["headGroupSpec"]
    head["template"]["spec"]["nodeSelector"] = {"pool": "a100"}
    assert changed({}, {"headGroupSpec": head}, {"suspend": True}) == {"suspend": True}


@pytest.mark.parametrize("location", ["HeadOnly", "Disabled", "EveryNode"])
def test_a_cluster_knows_where_requests_are_taken(location: str) -> None:
    text = json.dumps({"proxy_location": location, **json.loads(config())})
    world = World(serveConfigV2=text)
    manifest = cluster.manifest(world.service(), name="svc-aaaaa", options=builders.SETTINGS)
    said = manifest["metadata"]["annotations"].get(names.PROXY_LOCATION_ANNOTATION)
    assert said == (None if location == "EveryNode" else location)


def test_tools_keep_their_own_annotations() -> None:
    world = World()
    world.annotations = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "argocd.argoproj.io/tracking-id": "a",
        names.FT_NAMESPACE_ANNOTATION: "here",
    }
    manifest = cluster.manifest(world.service(), name="svc-aaaaa", options=builders.SETTINGS)
    annotations = manifest["metadata"]["annotations"]
    assert annotations[names.FT_NAMESPACE_ANNOTATION] == "here-svc-aaaaa"
    assert not annotations.keys() & {
        "kubectl.kubernetes.io/last-applied-configuration",
        "argocd.argoproj.io/tracking-id",
    }


def ports_of(*ports: tuple[str, int]) -> dict[str, Any]:
    given = cluster_config()["headGroupSpec"]
    given["template"]["spec"]["containers"][0]["ports"] = [
        {"name": name, "containerPort": number} for name, number in ports
    ]
    return {"headGroupSpec": given}


@pytest.mark.parametrize(
    ("declared", "given", "ports"),
    [
        ((), (), [("serve", 8000)]),
        ((("serve", 9000), ("serve-grpc", 9001)), (), [("serve", 9000), ("serve-grpc", 9001)]),
        ((("dashboard", 8265),), (), None),
        ((("dashboard", 8265),), (("mine", 80),), [("mine", 80)]),
        ((), (("serve", 80), ("more", 81)), [("serve", 80), ("more", 81)]),
        ((), (("http", 8000),), [("serve", 8000)]),
        ((), (("", 80),), [("serve", 8000), ("port-80", 80)]),
    ],
)
def test_ports_of_the_serve_service(
    declared: tuple[tuple[str, int], ...],
    given: tuple[tuple[str, int], ...],
    ports: list[tuple[str, int]] | None,
) -> None:
    target = made_cluster(**ports_of(*declared) if declared else {})
    template = {"spec": {"ports": [{"name": name, "port": number} for name, number in given]}}
    world = World(serveService=template)
    made = services.serve_service(world.service(), target)
    if ports is None:
        assert made is None
        return
    assert made is not None
    assert [(each["name"], each["port"]) for each in made["spec"]["ports"]] == ports


def test_the_users_serve_service_stays_his_but_for_what_finds_pods() -> None:
    given = {
        "metadata": {
            "name": "mine",
            "namespace": "elsewhere",
            "labels": {"a": "b", names.ORIGIN_NAME_LABEL: "no"},
            "annotations": {"c": "d"},
        },
        "spec": {"type": "NodePort", "selector": {"x": "y"}, "sessionAffinity": "ClientIP"},
    }
    world = World(serveService=given)
    made = services.serve_service(world.service(), made_cluster())
    assert made is not None
    metadata, spec = made["metadata"], made["spec"]
    assert (metadata["name"], metadata["namespace"]) == ("mine", "ns1")
    assert metadata["labels"]["a"] == "b"
    assert metadata["labels"][names.ORIGIN_NAME_LABEL] == "svc"
    assert metadata["annotations"] == {"c": "d"}
    assert (spec["type"], spec["sessionAffinity"]) == ("NodePort", "ClientIP")
    assert spec["selector"] == {names.CLUSTER_LABEL: "svc-aaaaa", names.SERVE_LABEL: "true"}


def test_a_renamed_serve_service_replaces_the_other() -> None:
    world = World().settle()
    world.edit(serveService={"metadata": {"name": "mine"}})
    world.passes()
    assert "mine" in world.services
    world.elapse(3)
    assert sorted(world.services) == ["mine", "svc-head-svc"]
    assert world.active == world.made[0]


def test_an_earlier_serve_service_leads_on_while_the_renamed_one_cannot_be_made() -> None:
    world = World().settle()
    world.refused.add("mine")
    world.edit(
        serveService={"metadata": {"name": "mine"}},
        rayClusterConfig=cluster_config("rayproject/ray:2.47.0"),
    )
    world.settle(150)
    assert world.active == world.made[1]
    assert not world.pending
    assert world.condition("Ready")["status"] == "True"
    assert world.dark_seconds == 0
    world.refused.clear()
    world.elapse(3)
    assert sorted(world.services) == ["mine", "svc-head-svc"]
    assert world.dark_seconds == 0


def test_an_earlier_serve_service_makes_room_for_its_address_under_another_name() -> None:
    spec = {"clusterIP": "10.96.0.7"}
    world = World(serveService={"spec": spec}).settle()
    world.edit(serveService={"metadata": {"name": "mine"}, "spec": spec})
    made = plan.plan(world.service(), world.seen(), world.options, world.now).actions
    assert [(type(each).__name__, each.resource.kind) for each in made] == [
        ("Delete", "Service"),
        ("Apply", "Service"),
    ]
    world.passes()
    assert sorted(world.services) == ["mine", "svc-head-svc"]


def test_a_node_port_moves_to_the_renamed_serve_service_once_that_is_there() -> None:
    ports = [{"name": "serve", "port": 8000, "nodePort": 30080}]
    spec = {"type": "NodePort", "ports": ports}
    world = World(serveService={"spec": spec}).settle()
    world.refused.add("mine")
    world.edit(serveService={"metadata": {"name": "mine"}, "spec": spec})
    world.elapse(5)
    assert world.services["svc-serve-svc"].ports[0].node_port == 30080
    world.refused.clear()
    plan_now = plan.plan(world.service(), world.seen(), world.options, world.now)
    (made,) = plan_now.actions
    assert isinstance(made, actions.Apply)
    assert "nodePort" not in made.manifest["spec"]["ports"][0]
    world.elapse(3)
    assert sorted(world.services) == ["mine", "svc-head-svc"]
    assert world.services["mine"].ports[0].node_port == 30080
    assert world.dark_seconds == 0
