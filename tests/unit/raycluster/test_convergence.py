"""Every world becomes the wanted one, also when the operator dies in the middle."""

import dataclasses
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import actions, names, records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import observed as seen
from tests.unit import builders
from tests.unit.raycluster import world as worlds

THREE_AND_TWO = [builders.group("a", replicas=3), builders.group("b", replicas=2)]
WANTED = [
    ("Pod", "a", "0"),
    ("Pod", "a", "1"),
    ("Pod", "a", "2"),
    ("Pod", "b", "0"),
    ("Pod", "b", "1"),
    ("Pod", "headgroup", ""),
    ("Service", "demo-head-svc", ""),
]


def labelled(name: str, group: str, **fields: Any) -> records.Pod:
    return builders.worker(name, group=group, **fields)


STARTS = {
    "nothing": worlds.World(),
    "too many": worlds.World(
        observed=seen.Observed(
            pods=tuple(labelled(f"a-{n}", "a", index=n) for n in range(7)),
            services=(builders.head_service(),),
        )
    ),
    "broken ones": worlds.World(
        observed=seen.Observed(
            pods=(
                builders.pod(phase="Failed", ready=False),
                labelled("a-0", "a", index=0, phase="Failed"),
                labelled("a-1", "a", index=1),
                labelled("b-0", "b", index=0, phase="Succeeded"),
            )
        )
    ),
    "two heads": worlds.World(
        observed=seen.Observed(pods=(builders.pod("head-1"), builders.pod("head-2")))
    ),
    "all on the way out": worlds.World(
        observed=seen.Observed(
            pods=(
                builders.pod(deletion_at=builders.NOW),
                labelled("a-0", "a", index=0, deletion_at=builders.NOW),
            )
        )
    ),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
@pytest.mark.parametrize("crash_after", [None, *range(8)])
def test_every_start_and_every_crash_end_in_the_wanted_world(
    start: worlds.World, crash_after: int | None
) -> None:
    cluster = builders.raycluster(groups=THREE_AND_TWO)
    if not worlds.decide(cluster, start).actions:
        start = start.settle()
    end = worlds.converge(cluster, start, crash_after=crash_after)
    assert end.shape() == WANTED
    assert worlds.decide(cluster, end).actions == ()


def test_scaling_in_keeps_the_lowest_indices() -> None:
    big = worlds.converge(builders.raycluster(groups=THREE_AND_TWO), worlds.World())
    small = [builders.group("a", replicas=1), builders.group("b", replicas=0)]
    end = worlds.converge(builders.raycluster(groups=small), big)
    assert end.shape() == [
        ("Pod", "a", "0"),
        ("Pod", "headgroup", ""),
        ("Service", "demo-head-svc", ""),
    ]
    kept = {pod.uid for pod in end.observed.pods}
    assert kept < {pod.uid for pod in big.observed.pods}


def pods(world: worlds.World) -> list[tuple[str, str, str]]:
    return [each for each in world.shape() if each[0] == "Pod"]


def truths(world: worlds.World) -> set[str]:
    return {each["type"] for each in world.status["conditions"] if each["status"] == "True"}


ACTIVE = builders.raycluster(groups=THREE_AND_TWO)
SUSPENDED = builders.raycluster(groups=THREE_AND_TWO, suspend=True)


@pytest.mark.parametrize("crash_after", [None, *range(7)])
def test_a_suspended_cluster_keeps_its_service_alone(crash_after: int | None) -> None:
    running = worlds.converge(ACTIVE, worlds.World())
    end = worlds.converge(SUSPENDED, running, crash_after=crash_after)
    assert end.shape() == [("Service", "demo-head-svc", "")]
    assert truths(end) == {"RayClusterSpecValid", "RayClusterSuspended", "RayClusterUpToDate"}
    assert end.status["state"] == "suspended"


def test_a_cluster_made_suspended_never_has_pods() -> None:
    world = worlds.World()
    for _ in range(5):
        assert all(
            item.resource != records.PODS for item in worlds.decide(SUSPENDED, world).actions
        )
        world = world.apply(worlds.decide(SUSPENDED, world).actions).say(SUSPENDED)
        assert world.status["state"] == "suspended"
    assert "RayClusterSuspended" in truths(world)


@pytest.mark.parametrize("crash_after", [None, *range(7)])
def test_a_resumed_cluster_is_whole_again(crash_after: int | None) -> None:
    rested = worlds.converge(SUSPENDED, worlds.converge(ACTIVE, worlds.World()))
    end = worlds.converge(ACTIVE, rested, crash_after=crash_after)
    assert end.shape() == WANTED
    assert "RayClusterSuspended" not in truths(end)
    assert end.status["state"] == "ready"


def test_a_suspension_that_has_begun_goes_to_its_end() -> None:
    running = worlds.converge(ACTIVE, worlds.World())
    begun = running.say(SUSPENDED)
    assert "RayClusterSuspending" in truths(begun)
    end = worlds.converge(ACTIVE, begun)
    assert end.shape() == WANTED
    assert not {pod.uid for pod in end.observed.pods} & {pod.uid for pod in running.observed.pods}


def test_ray_may_suspend_an_idle_cluster() -> None:
    idle = builders.raycluster(groups=THREE_AND_TWO, idleSuspend=True)
    assert pods(worlds.converge(idle, worlds.converge(ACTIVE, worlds.World()))) == []


def recreated(image: str, **fields: Any) -> api.RayCluster:
    group = builders.group("a", replicas=2)
    group["template"]["spec"]["containers"][0]["image"] = image
    return builders.raycluster(groups=[group], upgradeStrategy={"type": "Recreate"}, **fields)


@pytest.mark.parametrize("crash_after", [None, *range(4)])
def test_recreate_replaces_every_pod_of_an_older_spec(crash_after: int | None) -> None:
    before = worlds.converge(recreated("old"), worlds.World())
    end = worlds.converge(recreated("new"), before, crash_after=crash_after)
    assert end.shape() == before.shape()
    assert not {pod.uid for pod in end.observed.pods} & {pod.uid for pod in before.observed.pods}


def test_recreate_makes_nothing_before_all_is_gone() -> None:
    before = worlds.converge(recreated("old"), worlds.World())
    first = before.apply(worlds.decide(recreated("new"), before).actions)
    assert all(pod.deletion_at is not None for pod in first.observed.pods)
    assert worlds.decide(recreated("new"), first).actions == ()


def test_recreate_notices_workers_of_the_old_spec_behind_a_new_head() -> None:
    old = worlds.converge(recreated("old"), worlds.World())
    new = worlds.converge(recreated("new"), worlds.World())
    mixed = seen.Observed(
        pods=(*new.observed.head_pods(), *old.observed.worker_pods()),
        services=new.observed.services,
    )
    decided = worlds.decide(recreated("new"), worlds.World(observed=mixed)).actions
    assert {item.name for item in decided if isinstance(item, actions.Delete)} == {
        pod.name for pod in old.observed.worker_pods()
    }


def test_what_another_version_hashed_is_stamped_and_not_replaced() -> None:
    before = worlds.converge(recreated("old"), worlds.World())

    def theirs(pod: records.Pod) -> records.Pod:
        version = {names.VERSION_ANNOTATION: "v1.7.0"} if pod in heads else {}
        hashed = {names.HASH_ANNOTATION: "theirs"}
        return msgspec.structs.replace(pod, annotations={**pod.annotations, **hashed, **version})

    heads = before.observed.head_pods()
    foreign = tuple(map(theirs, before.observed.pods))
    world = dataclasses.replace(before, observed=dataclasses.replace(before.observed, pods=foreign))
    end = worlds.converge(recreated("old"), world)
    assert {pod.uid for pod in end.observed.pods} == {pod.uid for pod in foreign}
    assert end.observed == before.observed


def test_without_a_strategy_a_changed_template_leaves_pods_alone() -> None:
    before = worlds.converge(builders.raycluster(groups=[builders.group("a")]), worlds.World())
    changed = builders.group("a")
    changed["template"]["spec"]["containers"][0]["image"] = "new"
    assert worlds.decide(builders.raycluster(groups=[changed]), before).actions == ()


def test_workers_of_a_removed_group_stay_and_are_told_of_once() -> None:
    before = worlds.converge(ACTIVE, worlds.World())
    fewer = builders.raycluster(groups=THREE_AND_TWO[:1])
    (event,) = worlds.decide(fewer, before).events
    assert (event.type, event.reason) == ("Warning", "OrphanedWorkerGroup")
    assert "b. List them again" in event.message
    end = worlds.converge(fewer, before)
    assert end.shape() == before.shape()
    assert {"OrphanedWorkerGroup", "RayClusterReady"} <= truths(end)
    assert worlds.decide(fewer, end).events == ()
    assert "OrphanedWorkerGroup" not in truths(worlds.converge(ACTIVE, end))


def test_workers_of_a_removed_group_go_on_request() -> None:
    before = worlds.converge(ACTIVE, worlds.World())
    wanted = {"annotations": {names.DELETE_ORPHANS_ANNOTATION: "true"}}
    fewer = builders.raycluster(groups=THREE_AND_TWO[:1], metadata=wanted)
    assert pods(worlds.converge(fewer, before)) == [
        ("Pod", "a", "0"),
        ("Pod", "a", "1"),
        ("Pod", "a", "2"),
        ("Pod", "headgroup", ""),
    ]


def test_a_paused_cluster_is_left_as_it_is_and_told_of() -> None:
    paused = {"annotations": {names.PAUSED_ANNOTATION: "true"}}
    cluster = builders.raycluster(groups=THREE_AND_TWO, metadata=paused)
    end = worlds.converge(cluster, worlds.World())
    assert end.shape() == []
    assert end.status["desiredWorkerReplicas"] == 5


def test_a_lost_head_stays_lost_if_that_is_wanted() -> None:
    wanted = {"annotations": {names.KEEP_HEAD_ANNOTATION: "true"}}
    cluster = builders.raycluster(groups=THREE_AND_TWO, metadata=wanted)
    whole = worlds.converge(cluster, worlds.World())
    assert whole.shape() == WANTED
    headless = dataclasses.replace(whole.observed, pods=tuple(whole.observed.worker_pods()))
    lost = dataclasses.replace(whole, observed=headless)
    assert worlds.decide(cluster, lost).actions == ()
    assert worlds.converge(ACTIVE, lost).shape() == WANTED


def test_a_head_that_submits_its_job_itself_is_never_followed_by_another() -> None:
    """Not even when it is lost before the cluster was ever ready: the job would run again."""
    wanted = {
        "annotations": {names.KEEP_HEAD_ANNOTATION: "true"},
        "labels": {names.SUBMISSION_MODE_LABEL: "SidecarMode"},
    }
    cluster = builders.raycluster(groups=THREE_AND_TWO, metadata=wanted)
    whole = worlds.converge(cluster, worlds.World())
    workers = tuple(whole.observed.worker_pods())
    status = {key: each for key, each in whole.status.items() if key != "conditions"}
    headless = dataclasses.replace(whole.observed, pods=workers)
    lost = dataclasses.replace(whole, observed=headless, status=status)
    end = worlds.converge(cluster, lost)
    assert end.observed.head_pods() == []
    assert end.status["head"] == whole.status["head"]
    (head,) = whole.observed.head_pods()
    ended_at = builders.NOW - timedelta(minutes=2)
    for change in (
        {"phase": "Failed"},
        {"phase": "Failed", "deletion_at": builders.NOW},
        {"deletion_at": ended_at},  # its node is gone
        {"phase": "Failed", "reason": "Evicted"},
    ):
        broken = msgspec.structs.replace(head, **change)
        around = dataclasses.replace(whole.observed, pods=(broken, *workers))
        ending = dataclasses.replace(whole, observed=around, status=status)
        assert not [each for each in worlds.decide(cluster, ending).actions if actions.makes(each)]
        assert worlds.converge(cluster, ending).status["head"] == whole.status["head"]


def test_every_child_is_controlled_by_the_cluster_and_found_by_its_labels() -> None:
    end = worlds.converge(builders.raycluster(groups=THREE_AND_TWO), worlds.World())
    children: list[records.Pod | records.Service] = [*end.observed.pods, *end.observed.services]
    assert {child.owner for child in children} == {
        records.Owner("RayCluster", "demo", builders.UID)
    }
    assert {child.labels[names.CLUSTER_LABEL] for child in children} == {"demo"}
