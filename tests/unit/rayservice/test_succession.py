"""Which cluster serves, through upgrades, reverts, failures and restarts of the operator."""

import copy
import dataclasses
import json
import random
from typing import Any

import pytest

from ray_operator import names
from ray_operator.api import service_vocabulary
from tests.unit import builders
from tests.unit.rayservice.world import BROKEN, World, cluster_config, config

Type = service_vocabulary.ServiceCondition
OTHER = cluster_config("rayproject/ray:2.46.1")
THIRD = cluster_config("rayproject/ray:2.46.2")
KUBERAYS = {
    names.GOAL_HASH_ANNOTATION: "V38HEBFBPV3UIRIN3RCG80K8CHESDSO4",
    names.VERSION_ANNOTATION: "v1.7.0",
    names.GROUP_COUNT_ANNOTATION: "1",
}


def test_the_first_cluster_serves_and_nothing_is_written_then() -> None:
    world = World().settle()
    assert world.made == [world.active]
    assert not world.pending
    assert world.status["serviceStatus"] == "Running"
    assert world.status["numServeEndpoints"] == 2
    assert world.condition(Type.READY)["status"] == "True"
    assert world.condition(Type.UPGRADE_IN_PROGRESS)["reason"] == "NoPendingCluster"
    assert world.condition(Type.UP_TO_DATE)["status"] == "True"
    assert {each.selector[names.CLUSTER_LABEL] for each in world.services.values()} == {
        world.active
    }
    writes = world.writes
    world.elapse(300)
    assert world.writes == writes
    assert world.clusters[world.active].puts == 1


def test_ready_is_said_two_seconds_after_the_first_endpoint() -> None:
    world = World()
    world.passes()
    first = 0
    for second in range(20):
        world.elapse()
        first = first or (second if world.behind() else 0)
        if world.condition(Type.READY)["status"] == "True":
            assert second - first >= 2
            return
    raise AssertionError("never ready")


def test_a_changed_cluster_is_made_beside_and_takes_over() -> None:
    world = World().settle()
    old = world.active
    world.edit(rayClusterConfig=OTHER)
    world.passes()
    assert world.active == old
    assert world.pending not in {"", old}
    assert world.condition(Type.UPGRADE_IN_PROGRESS)["status"] == "True"
    world.elapse(20)
    assert world.made == [old, world.active]
    assert not world.pending
    assert old in world.clusters, "its last requests are answered"
    world.elapse(70)
    assert list(world.clusters) == [world.active]
    assert world.dark_seconds == 0
    assert world.told.count("UpgradeStarted") == 1
    assert world.told.count("TrafficSwitched") == 2


def test_a_config_alone_is_applied_in_place() -> None:
    world = World().settle()
    world.edit(serveConfigV2=config(4))
    world.settle()
    assert len(world.made) == 1
    applied = world.clusters[world.active].applied
    assert applied is not None
    assert applied["applications"][0]["args"] == {"price": 4}
    world.edit(serveConfigV2="# a comment\n" + config(4))
    world.settle()
    assert world.clusters[world.active].puts == 2


def test_a_config_with_a_new_cluster_reaches_only_that() -> None:
    world = World().settle()
    old = world.clusters[world.active]
    world.edit(serveConfigV2=config(4), rayClusterConfig=OTHER)
    world.settle()
    assert old.puts == 1
    assert world.clusters[world.active].puts == 1
    assert world.dark_seconds == 0


def test_a_spec_that_returns_ends_the_upgrade() -> None:
    world = World().settle()
    old = world.active
    world.edit(rayClusterConfig=OTHER)
    world.settle(3)
    new = world.pending
    world.edit(rayClusterConfig=cluster_config())
    world.settle(3)
    assert (world.active, world.pending) == (old, "")
    assert world.made == [old, new]
    world.elapse(80)
    assert list(world.clusters) == [old]
    assert "UpgradeCancelled" in world.told


def test_a_third_spec_replaces_the_pending_cluster() -> None:
    world = World().settle()
    world.edit(rayClusterConfig=OTHER)
    world.settle(3)
    world.edit(rayClusterConfig=THIRD)
    world.settle(90)
    assert len(world.made) == 3
    assert list(world.clusters) == [world.active] == world.made[2:]
    assert world.dark_seconds == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"serveConfigV2": config(path=BROKEN), "rayClusterConfig": OTHER},
        {"rayClusterConfig": {**OTHER, "headGroupSpec": {"template": {"spec": {}}}}},
        {"upgradeStrategy": {"type": "Sideways"}, "rayClusterConfig": OTHER},
        {"serveConfigV2": "no mapping", "rayClusterConfig": OTHER},
    ],
)
def test_a_bad_version_takes_no_traffic_and_a_good_one_recovers(bad: dict[str, Any]) -> None:
    world = World().settle()
    old = world.active
    world.edit(**bad)
    world.settle(60)
    assert world.active == old
    assert world.status["serviceStatus"] == "Running"
    assert world.status["numServeEndpoints"] == 2
    world.edit(serveConfigV2=config(5), rayClusterConfig=OTHER, upgradeStrategy=None)
    world.settle(40)
    assert world.active != old
    assert not world.pending
    assert world.dark_seconds == 0


def test_a_broken_application_is_told_with_the_words_of_serve() -> None:
    world = World(serveConfigV2=config(path=BROKEN)).settle()
    said = world.condition(Type.APPLICATIONS_RUNNING)
    assert (said["status"], said["reason"]) == ("False", "Unhealthy")
    assert "fruit is DEPLOY_FAILED: DEPLOY_FAILED" in said["message"]
    assert "fruit is DEPLOY_FAILED" in world.condition(Type.READY)["message"]
    assert not world.services
    world.edit(serveConfigV2=config())
    world.settle()
    assert len(world.made) == 1
    assert world.status["serviceStatus"] == "Running"


@pytest.mark.parametrize("type_", ["None", "NewClusterWithIncrementalUpgrade"])
def test_without_another_cluster_the_present_one_stays(type_: str) -> None:
    options = {
        "stepSizePercent": 25,
        "intervalSeconds": 1,
        "gatewayClassName": "istio",
        "maxSurgePercent": 50,
    }
    strategy = {"type": type_, "clusterUpgradeOptions": options}
    scaled = cluster_config(enableInTreeAutoscaling=True)
    world = World(upgradeStrategy=strategy, rayClusterConfig=scaled).settle()
    before = world.clusters[world.active].manifest["spec"]
    world.edit(rayClusterConfig={**OTHER, "enableInTreeAutoscaling": True})
    world.edit(serveConfigV2=config(7))
    world.settle()
    assert len(world.made) == 1
    assert world.clusters[world.active].manifest["spec"] == before
    assert world.clusters[world.active].puts == 2
    said = world.condition(Type.UP_TO_DATE)
    expected = "UpgradesAreOff" if type_ == "None" else "IncrementalUpgradeNotSupported"
    assert (said["status"], said["reason"]) == ("False", expected)
    assert world.condition(Type.READY)["status"] == "True"


def test_what_needs_no_new_cluster_is_changed_in_place() -> None:
    world = World().settle()
    wide = cluster_config(workerGroupSpecs=[builders.group(replicas=3), builders.group("more")])
    world.edit(rayClusterConfig=wide)
    world.settle()
    (name,) = world.made
    groups = world.clusters[name].manifest["spec"]["workerGroupSpecs"]
    assert [(each["groupName"], each["replicas"]) for each in groups] == [("small", 3), ("more", 1)]
    world.edit(rayClusterConfig=cluster_config())
    world.settle()
    assert len(world.made) == 2, "a removed group needs a new one"


def test_what_the_autoscaler_decided_stays() -> None:
    scaled = cluster_config(enableInTreeAutoscaling=True)
    world = World(rayClusterConfig=scaled).settle()
    spec = world.clusters[world.active].manifest["spec"]
    spec["workerGroupSpecs"][0]["replicas"] = 4
    group = builders.group(maxReplicas=9)
    world.edit(rayClusterConfig={**scaled, "workerGroupSpecs": [group]})
    world.settle()
    found = world.clusters[world.active].manifest["spec"]["workerGroupSpecs"][0]
    assert (found["replicas"], found["maxReplicas"]) == (4, 9)
    assert len(world.made) == 1


def test_a_cluster_that_somebody_deletes_is_replaced() -> None:
    world = World().settle()
    first = world.active
    world.clusters[first].deleted_at = world.now
    world.settle()
    assert world.active not in {"", first}
    assert world.status["serviceStatus"] == "Running"


def test_a_dead_head_of_what_serves_does_not_keep_the_next_from_taking_over() -> None:
    world = World().settle()
    old = world.active
    world.clusters[old].has_head = False
    world.edit(rayClusterConfig=OTHER)
    world.settle()
    assert world.active != old
    assert world.dark_seconds == 0


def test_an_unreachable_head_is_told_and_nothing_changes() -> None:
    world = World().settle()
    world.clusters[world.active].has_head = False
    world.settle(20)
    said = world.condition(Type.REACHABLE)
    assert said["status"] == "False"
    assert "cannot reach the head since" in said["message"]
    assert world.status["serviceStatus"] == "Running"
    apps = world.status["activeServiceStatus"]["applicationStatuses"]
    assert apps["fruit"]["status"] == "RUNNING"


def test_the_head_may_be_kept_from_requests() -> None:
    world = World(excludeHeadPodFromServeSvc=True).settle()
    assert world.status["numServeEndpoints"] == 1
    world.edit(excludeHeadPodFromServeSvc=False)
    world.settle()
    assert world.status["numServeEndpoints"] == 2


def test_a_slow_head_keeps_its_requests_while_nobody_else_could_take_them() -> None:
    world = World().settle()
    cluster = world.clusters[world.active]
    cluster.is_slow, cluster.worker_is_ready = True, False
    world.settle(5)
    assert cluster.head_label == "true"
    cluster.worker_is_ready = True
    world.settle(5)
    assert cluster.head_label == "false"


def test_suspended_and_resumed() -> None:
    world = World().settle()
    world.edit(rayClusterConfig=OTHER)
    world.settle(3)
    assert world.pending
    world.edit(suspend=True)
    world.passes()
    assert world.condition(Type.SUSPENDING)["status"] == "True"
    world.edit(suspend=False)  # what was begun is finished
    world.elapse()
    assert all(each.deleted_at for each in world.clusters.values())
    world.edit(suspend=True)
    world.elapse(10)
    assert not world.clusters
    assert not world.services
    assert world.condition(Type.SUSPENDED)["status"] == "True"
    assert world.condition(Type.READY)["reason"] == "SuspendComplete"
    writes = world.writes
    world.elapse(60)
    assert world.writes == writes
    world.edit(suspend=False)
    world.settle()
    assert world.status["serviceStatus"] == "Running"
    assert world.condition(Type.SUSPENDED)["reason"] == "RayServiceResumed"
    assert len(world.made) == len(set(world.made)) == 3


def test_created_suspended_makes_nothing_even_if_it_is_invalid() -> None:
    world = World(suspend=True, upgradeStrategy={"type": "Sideways"})
    world.finalizers = ["ray.io/rayservice-finalizer"]
    world.settle()
    assert not world.made
    assert world.condition(Type.SUSPENDED)["status"] == "True"


def test_a_start_that_takes_too_long_ends_and_a_new_spec_begins_anew() -> None:
    world = World(serveConfigV2=config(path=BROKEN))
    world.annotations[names.INITIALIZING_TIMEOUT_ANNOTATION] = "30s"
    world.settle(40)
    assert world.condition(Type.READY)["reason"] == "InitializingTimeout"
    assert (world.active, world.pending) == ("", "")
    assert world.told.count("RayServiceInitializingTimeout") == 1
    world.elapse(80)
    assert not world.clusters
    assert len(world.made) == 1
    world.edit(serveConfigV2=config())
    world.settle()
    assert world.status["serviceStatus"] == "Running"


def test_a_cluster_that_cannot_be_made_takes_too_long_as_well() -> None:
    world = World()
    world.refused.add("RayCluster")
    world.annotations[names.INITIALIZING_TIMEOUT_ANNOTATION] = "30s"
    world.settle(20)
    ready = world.condition(Type.READY)
    assert ready["reason"] == "Initializing"
    assert ready["message"] == f"waiting for RayCluster {world.pending} to be made"
    world.settle(15)
    assert world.condition(Type.READY)["reason"] == "InitializingTimeout"
    world.edit(serveConfigV2=config(4))
    world.settle(20)
    assert world.condition(Type.READY)["reason"] == "Initializing"
    world.refused.clear()
    world.settle()
    assert world.status["serviceStatus"] == "Running"


LONG = ["300000000000", "99999999999999", "2562048h", "9" * 5000, f"{'9' * 5000}s"]


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:20])
def test_a_time_that_no_clock_can_hold_is_refused_and_ends_nothing(text: str) -> None:
    world = World(serveConfigV2=config(path=BROKEN))
    world.settle()
    world.annotations[names.INITIALIZING_TIMEOUT_ANNOTATION] = text
    world.settle(40)
    refused = world.condition(Type.SPEC_VALID)
    assert refused["message"] == (
        f"metadata.annotations[ray.io/initializing-timeout]: {text!r} is no positive duration of at"
        " most 292 years: write it like 30s, 5m or 300"
    )
    assert world.condition(Type.READY)["reason"] == "ValidationFailed"
    assert world.pending


@pytest.mark.parametrize("text", ["9223372036", "2562047h"])
def test_the_longest_time_is_one_that_goes_by(text: str) -> None:
    world = World(serveConfigV2=config(path=BROKEN))
    world.annotations[names.INITIALIZING_TIMEOUT_ANNOTATION] = text
    world.settle(40)
    assert world.condition(Type.SPEC_VALID)["status"] == "True"
    assert world.condition(Type.READY)["reason"] == "Initializing"


def test_deletion_waits_for_the_clusters() -> None:
    world = World().settle()
    world.is_deleted = True
    world.passes()
    assert world.finalizers
    world.elapse(6)
    assert not world.clusters
    assert not world.finalizers


@pytest.mark.parametrize("delay", [0, 10])
def test_an_old_cluster_stays_as_long_as_it_is_told(delay: int) -> None:
    world = World(rayClusterDeletionDelaySeconds=delay).settle()
    old = world.active
    world.edit(rayClusterConfig=OTHER)
    world.passes()
    while world.active == old:
        world.elapse()
    cluster, switched = world.clusters[old], world.now
    world.elapse(max(delay, 3) + 2)
    assert cluster.deleted_at is not None
    took = (cluster.deleted_at - switched).total_seconds()
    assert max(delay, 3) <= took <= max(delay, 3) + 1, "nodes have to hear of the switch"


def test_another_operators_cluster_is_taken_over_as_it_is() -> None:
    world = World().settle()
    metadata = world.clusters[world.active].manifest["metadata"]
    metadata["annotations"] = dict(KUBERAYS)
    for service in list(world.services.values()):
        service.annotations.clear()  # type: ignore[attr-defined]
    world.settle()
    assert len(world.made) == 1
    assert metadata["annotations"][names.VERSION_ANNOTATION] == "test"
    world.edit(rayClusterConfig=OTHER)
    world.settle()
    assert len(world.made) == 2
    assert world.dark_seconds == 0


@pytest.mark.parametrize(("memory", "made"), [("2Gi", 1), ("3Gi", 2)])
def test_what_kuberay_stored_in_other_words_is_the_same_cluster(memory: str, made: int) -> None:
    """A user's file, applied once more, has its own words again in the RayService's lists."""
    config = cluster_config()
    head, workers = config["headGroupSpec"]["template"], config["workerGroupSpecs"][0]["template"]
    for template in (head, workers):
        template["spec"]["containers"][0]["resources"] = {"limits": {"cpu": 1, "memory": "2048Mi"}}
    world = World(rayClusterConfig=copy.deepcopy(config)).settle()
    for template in (head, workers):
        template.setdefault("metadata", {})["creationTimestamp"] = None
        template["spec"]["containers"][0] |= {"env": [], "tty": False}
        template["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1", "memory": memory}}
    manifest = world.clusters[world.active].manifest
    manifest["spec"] = config
    manifest["metadata"]["annotations"] = dict(KUBERAYS)
    world.settle()
    assert len(world.made) == made


MEANT = [
    ({"automountServiceAccountToken": False}, {}, 2),
    ({"nodeSelector": {"node-role.kubernetes.io/ray": ""}}, {}, 2),
    ({"hostNetwork": False}, {}, 1),
    ({"nodeSelector": {"pool": "a"}}, {names.KUEUE_QUEUE_LABEL: "q"}, 1),
]


@pytest.mark.parametrize(("live", "labels", "made"), MEANT)
def test_what_kuberay_has_yet_to_carry_out_is_carried_out(
    live: dict[str, Any], labels: dict[str, str], made: int
) -> None:
    """Unless it only looks like it, or a queue has written it."""
    world = World().settle()
    manifest = world.clusters[world.active].manifest
    manifest["spec"]["headGroupSpec"]["template"]["spec"] |= live
    manifest["metadata"]["labels"] |= labels
    manifest["metadata"]["annotations"] = dict(KUBERAYS)
    world.settle()
    assert len(world.made) == made


def test_a_suspension_asked_for_while_the_operator_is_upgraded_is_not_lost() -> None:
    world = World().settle()
    world.edit(rayClusterConfig=cluster_config(suspend=True))
    world.options = dataclasses.replace(world.options, version="newer")
    world.settle()
    assert world.clusters[world.made[0]].manifest["spec"]["suspend"] is True
    assert len(world.made) == 1


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_the_newest_spec_serves_in_the_end(seed: int) -> None:
    """Edits, crashes in the middle of passes and time, at random; what serves is never left."""
    chance = random.Random(seed)
    world = World()
    edits: list[dict[str, Any]] = [
        {"rayClusterConfig": cluster_config()},
        {"rayClusterConfig": OTHER},
        {"rayClusterConfig": THIRD},
        {"serveConfigV2": config(4)},
        {"serveConfigV2": config(5), "rayClusterConfig": THIRD},
        {"serveConfigV2": config(path=BROKEN), "rayClusterConfig": OTHER},
        {"rayClusterDeletionDelaySeconds": 5},
        {"upgradeStrategy": {"type": "Sideways"}},
        {"upgradeStrategy": None},
        {"excludeHeadPodFromServeSvc": True},
    ]
    for _ in range(25):
        if chance.random() < 0.4:
            world.edit(**chance.choice(edits))
        kind = chance.random()
        if kind < 0.4:
            world.passes(most=chance.randrange(4))
        elif kind < 0.5:
            world.passes(writes=False)
        else:
            world.passes()
        world.elapse(chance.randrange(8), passes=chance.random() < 0.8)
    if "broken" in world.spec["serveConfigV2"]:
        # In place the user breaks what serves, by their own word.
        world.edit(serveConfigV2=config(6))
    world.edit(upgradeStrategy=None)
    world.settle(150)
    assert not world.pending
    assert list(world.clusters) == [world.active]
    cluster = world.clusters[world.active]
    head = cluster.manifest["spec"]["headGroupSpec"]
    assert head == world.spec["rayClusterConfig"]["headGroupSpec"]
    assert cluster.applied == json.loads(world.spec["serveConfigV2"])
    assert world.status["serviceStatus"] == "Running"
    assert len(world.made) == len(set(world.made))
    writes = world.writes
    world.elapse(100)
    assert world.writes == writes
