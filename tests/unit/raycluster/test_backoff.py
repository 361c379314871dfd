"""How soon Pods that keep failing are replaced, for workers, replicas of hosts and heads alike."""

import dataclasses
import itertools
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import names, records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import backoff
from tests.unit import builders
from tests.unit.raycluster import world as worlds

LONG = timedelta(minutes=30)
WINDOW = timedelta(minutes=10)


def is_old(pod: records.Pod) -> bool:
    return names.GROUP_HASH_ANNOTATION in pod.annotations


def groups(**fields: Any) -> list[dict[str, Any]]:
    return [builders.group("a", **fields)]


def fail(world: worlds.World, *, node_type: str, at: datetime, **fields: Any) -> worlds.World:
    """Let the living Pods of that type fail at that moment, which is the present."""

    def failed(pod: records.Pod) -> records.Pod:
        if pod.labels[names.NODE_TYPE_LABEL] != node_type or pod.phase == "Failed":
            return pod
        ended = records.Ended("Error", "", 1, at)
        container = records.Container(
            name=pod.ray_container, state="terminated", exit_code=1, ended=ended
        )
        given = {"phase": "Failed", "ready": False, "containers": (container,)}
        return msgspec.structs.replace(pod, **(given | fields))

    pods = tuple(map(failed, world.observed.pods))
    return dataclasses.replace(
        world, observed=dataclasses.replace(world.observed, pods=pods), now=at
    )


def creations(
    cluster: api.RayCluster,
    node_type: str,
    *,
    lives: timedelta = timedelta(),
    during: timedelta = LONG,
    **fields: Any,
) -> list[timedelta]:
    """Return when Pods of one type were made, each of which fails after it lived that long."""
    world = worlds.World(age=timedelta())
    made: dict[str, datetime] = {}
    while world.now < builders.NOW + during:
        for _ in range(10):
            todo = worlds.decide(cluster, world)
            after = world.apply(todo.actions).say(cluster).settle()
            if after.observed == world.observed:
                break
            world = after
        for pod in world.observed.pods:
            if pod.labels[names.NODE_TYPE_LABEL] == node_type:
                made.setdefault(pod.name, pod.created_at)
        if any(pod.phase == "Running" and pod.name in made for pod in world.observed.pods):
            world = fail(world, node_type=node_type, at=world.now + lives, **fields)
        else:
            assert todo.requeue_after is not None
            world = dataclasses.replace(world, now=world.now + todo.requeue_after)
    return sorted(moment - builders.NOW for moment in made.values())


def most_in_a_window(moments: list[timedelta]) -> int:
    return max(
        sum(start <= moment < start + WINDOW for moment in moments) for start in set(moments)
    )


CASES = {
    "worker": (builders.raycluster(groups=groups()), names.WORKER, 1),
    "hosts": (builders.raycluster(groups=groups(numOfHosts=3)), names.WORKER, 3),
    "head": (builders.raycluster(groups=[]), names.HEAD, 1),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@each_case
@pytest.mark.parametrize("seconds", [0, 5, 45])
def test_a_slot_that_keeps_failing_gets_six_pods_in_ten_minutes_and_never_none(
    case: tuple[api.RayCluster, str, int], seconds: int
) -> None:
    cluster, node_type, hosts = case
    moments = creations(cluster, node_type, lives=timedelta(seconds=seconds))
    assert most_in_a_window(moments) <= 6 * hosts
    assert moments[0] == timedelta()
    between = waits(sorted(set(moments)))
    assert max(between) <= backoff.LONGEST + timedelta(seconds=45)
    assert between[0] == timedelta(seconds=max(10, seconds))


@each_case
@pytest.mark.parametrize(
    "fields",
    [{"reason": "Evicted"}, {"reason": "NodeLost"}, {"disrupted": "PreemptionByScheduler"}],
)
def test_what_the_cluster_did_to_a_pod_is_not_counted(
    case: tuple[api.RayCluster, str, int], fields: dict[str, Any]
) -> None:
    cluster, node_type, _ = case
    during = timedelta(minutes=3)
    moments = sorted(set(creations(cluster, node_type, during=during, **fields)))
    assert set(waits(moments)) == {timedelta(seconds=10)}


def waits(moments: list[timedelta]) -> list[timedelta]:
    return [later - sooner for sooner, later in itertools.pairwise(moments)]


def test_pods_that_ran_for_long_are_replaced_at_once() -> None:
    cluster, node_type, _ = CASES["worker"]
    moments = creations(cluster, node_type, lives=backoff.FORGIVEN_AFTER)
    assert set(waits(moments)) == {backoff.FORGIVEN_AFTER}


def test_a_changed_template_is_tried_at_once() -> None:
    pod = builders.worker(
        index=0,
        phase="Failed",
        annotations={names.FAILURES_ANNOTATION: "5"},
        created_at=builders.NOW,
    )
    same = backoff.judge(pod, 5, is_old=is_old, options=builders.SETTINGS)
    assert same == backoff.Verdict(6, builders.NOW + backoff.LONGEST)
    old = msgspec.structs.replace(pod, annotations={names.GROUP_HASH_ANNOTATION: "older"})
    verdict = backoff.judge(old, 5, is_old=is_old, options=builders.SETTINGS)
    assert verdict == backoff.Verdict(0, builders.NOW)


@pytest.mark.parametrize("text", ["", "-1", "many", "1.5"])
def test_a_count_that_is_none_reads_as_zero(text: str) -> None:
    pod = builders.worker(annotations={names.FAILURES_ANNOTATION: text})
    assert backoff.inherited(pod) == 0
    service = builders.head_service(annotations={names.FAILURES_ANNOTATION: text})
    assert backoff.head_failures(service) == (0, "")


def test_any_count_that_somebody_wrote_waits_no_longer_than_the_longest() -> None:
    pod = builders.worker(index=0, phase="Failed", created_at=builders.NOW)
    verdict = backoff.judge(pod, 10**9, is_old=is_old, options=builders.SETTINGS)
    assert verdict.due == builders.NOW + backoff.LONGEST
