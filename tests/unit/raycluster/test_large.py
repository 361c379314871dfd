"""Clusters of more Pods than one pass makes or changes."""

import dataclasses
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import actions, names, records
from ray_operator.raycluster import turnover
from tests.unit import builders
from tests.unit.raycluster import world as worlds

MANY = 300
assert MANY > turnover.MOST_CREATED


def of(world: worlds.World) -> Counter[str]:
    return Counter(
        pod.labels[names.GROUP_LABEL]
        for pod in world.observed.worker_pods()
        if pod.deletion_at is None
    )


def left_by_another_version(world: worlds.World) -> worlds.World:
    """Return the world as an operator of another version would have stamped it."""
    other = {names.HASH_ANNOTATION: "other", names.GROUP_HASH_ANNOTATION: "other"}
    pods = tuple(
        msgspec.structs.replace(
            pod,
            annotations={
                **pod.annotations,
                **other,
                **(
                    {names.VERSION_ANNOTATION: "other"}
                    if pod.labels[names.NODE_TYPE_LABEL] == "head"
                    else {}
                ),
            },
        )
        for pod in world.observed.pods
    )
    return dataclasses.replace(world, observed=dataclasses.replace(world.observed, pods=pods))


@pytest.mark.parametrize("strategy", [None, "Recreate", "RollingUpdate"])
def test_another_version_s_pods_are_stamped_and_stay(strategy: str | None) -> None:
    given = {"upgradeStrategy": {"type": strategy}} if strategy else {}
    cluster = builders.raycluster(
        groups=[builders.group("a", replicas=MANY, maxReplicas=MANY)], **given
    )
    made = worlds.converge(cluster, worlds.World())
    end = worlds.converge(cluster, left_by_another_version(made))
    assert {pod.uid for pod in end.observed.pods} == {pod.uid for pod in made.observed.pods}
    assert {pod.annotations[names.GROUP_HASH_ANNOTATION] for pod in end.observed.pods}.isdisjoint(
        {"other"}
    )


def test_a_worker_that_is_lost_meanwhile_is_replaced() -> None:
    cluster = builders.raycluster(groups=[builders.group("a", replicas=MANY, maxReplicas=MANY)])
    made = left_by_another_version(worlds.converge(cluster, worlds.World()))
    lost = dataclasses.replace(made.observed, pods=made.observed.pods[:-1])
    end = worlds.converge(cluster, dataclasses.replace(made, observed=lost))
    assert of(end) == {"a": MANY}


def test_replicas_move_between_groups_within_a_quota() -> None:
    """What is deleted makes room for what the quota refuses as long as it is there."""

    def cluster(a: int, b: int) -> Any:
        groups = {"a": a, "b": b}
        return builders.raycluster(
            groups=[
                builders.group(name, replicas=n, maxReplicas=MANY) for name, n in groups.items()
            ]
        )

    world = worlds.converge(cluster(0, MANY), worlds.World())
    wanted = cluster(MANY, 0)
    for _ in range(10):
        decided = worlds.decide(wanted, world)
        for action in decided.actions:
            if not actions.makes(action) or len(world.observed.worker_pods()) < MANY:
                world = world.apply([action])
        world = world.say(wanted).settle().told(asked=True)
        world = dataclasses.replace(world, now=world.now + timedelta(minutes=1))
    assert of(world) == {"a": MANY}


def test_a_replica_of_many_hosts_is_made_whole_and_once() -> None:
    def check(world: worlds.World) -> None:
        assert len(world.observed.worker_pods()) <= MANY

    cluster = builders.raycluster(groups=[builders.group("a", replicas=1, numOfHosts=MANY)])
    assert of(worlds.converge(cluster, worlds.World(), check=check)) == {"a": MANY}


def test_pods_without_labels_become_whole_replicas() -> None:
    groups = [
        builders.group(name, replicas=50, maxReplicas=50, numOfHosts=hosts)
        for name, hosts in (("a", 3), ("b", 4), ("c", 3))
    ]
    cluster = builders.raycluster(groups=groups)
    made = worlds.converge(cluster, worlds.World())
    own = (names.REPLICA_NAME_LABEL, names.REPLICA_INDEX_LABEL, names.HOST_INDEX_LABEL)
    pods = tuple(
        msgspec.structs.replace(
            pod, labels={key: each for key, each in pod.labels.items() if key not in own}
        )
        for pod in made.observed.pods
    )
    before = dataclasses.replace(made, observed=dataclasses.replace(made.observed, pods=pods))
    end = worlds.converge(cluster, before, rounds=20)
    assert {pod.uid for pod in end.observed.pods} == {pod.uid for pod in pods}


@pytest.mark.parametrize("hosts", [1, 2])
def test_all_broken_workers_hand_on_how_often_they_failed(hosts: int) -> None:
    groups = [
        builders.group(name, replicas=n // hosts, maxReplicas=MANY, numOfHosts=hosts)
        for name, n in (("a", MANY), ("b", 50))
    ]
    cluster = builders.raycluster(groups=groups)
    made = worlds.converge(cluster, worlds.World())
    broken = tuple(
        msgspec.structs.replace(
            pod,
            phase="Failed",
            ready=False,
            annotations={**pod.annotations, names.FAILURES_ANNOTATION: "3"},
        )
        if pod.labels[names.NODE_TYPE_LABEL] == names.WORKER
        else pod
        for pod in random.Random(1).sample(made.observed.pods, len(made.observed.pods))
    )
    before = dataclasses.replace(
        made,
        observed=dataclasses.replace(made.observed, pods=broken),
        now=made.now + timedelta(hours=1),
    )
    end = worlds.converge(cluster, before, rounds=20)
    assert of(end) == {"a": MANY, "b": 50}
    counts = {pod.annotations.get(names.FAILURES_ANNOTATION) for pod in end.observed.worker_pods()}
    assert counts == {"4"}


def test_a_group_of_whole_replicas_is_made_beside_a_large_one_that_is_refused() -> None:
    cluster = builders.raycluster(
        groups=[
            builders.group("a", replicas=MANY, maxReplicas=MANY),
            builders.group("b", replicas=2, numOfHosts=4),
        ]
    )
    decided = worlds.decide(cluster, worlds.World())
    made = Counter(
        each.manifest["metadata"]["labels"].get(names.GROUP_LABEL)
        for each in decided.actions
        if isinstance(each, actions.Create) and each.resource == records.PODS
    )
    assert made["b"] == 4


@pytest.mark.parametrize("hosts", [1, 100])
def test_a_mistyped_number_costs_no_more_than_a_pass_makes(hosts: int) -> None:
    """Else one cluster's memory would end the operator for all of them."""
    group = builders.group("a", replicas=2**31 - 1, maxReplicas=2**31 - 1, numOfHosts=hosts)
    decided = worlds.decide(builders.raycluster(groups=[group]), worlds.World())
    made = [each for each in decided.actions if actions.makes(each)]
    assert turnover.MOST_CREATED - hosts < len(made) <= turnover.MOST_CREATED + 2
    assert decided.requeue_after == timedelta()
