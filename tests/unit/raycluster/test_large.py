"""Clusters of more Pods than one pass makes or changes."""

import dataclasses
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import actions, names
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
    cluster = builders.raycluster(
        groups=[builders.group("a", replicas=MANY // 3, maxReplicas=MANY, numOfHosts=3)]
    )
    made = worlds.converge(cluster, worlds.World())
    own = (names.REPLICA_NAME_LABEL, names.REPLICA_INDEX_LABEL, names.HOST_INDEX_LABEL)
    pods = tuple(
        msgspec.structs.replace(
            pod, labels={key: each for key, each in pod.labels.items() if key not in own}
        )
        for pod in made.observed.pods
    )
    before = dataclasses.replace(made, observed=dataclasses.replace(made.observed, pods=pods))
    end = worlds.converge(cluster, before)
    assert {pod.uid for pod in end.observed.pods} == {pod.uid for pod in pods}


@pytest.mark.parametrize("hosts", [1, 100])
def test_a_mistyped_number_costs_no_more_than_a_pass_makes(hosts: int) -> None:
    """Else one cluster's memory would end the operator for all of them."""
    group = builders.group("a", replicas=2**31 - 1, maxReplicas=2**31 - 1, numOfHosts=hosts)
    decided = worlds.decide(builders.raycluster(groups=[group]), worlds.World())
    made = [each for each in decided.actions if actions.makes(each)]
    assert turnover.MOST_CREATED - hosts < len(made) <= turnover.MOST_CREATED + 2
    assert decided.requeue_after == timedelta()
