"""Replicas of several hosts: they come, break and go as one."""

import dataclasses
from typing import Any

import msgspec
import pytest

from ray_operator import actions, features, names, records, settings
from ray_operator.raycluster import plan
from tests.unit import builders
from tests.unit.raycluster import world as worlds

HOSTS = 3


def cluster(replicas: int, **fields: Any) -> Any:
    spec = {key: fields.pop(key) for key in ("enableInTreeAutoscaling",) if key in fields}
    group = builders.group("slice", replicas=replicas, numOfHosts=HOSTS, **fields)
    return builders.raycluster(groups=[group], **spec)


def replicas(world: worlds.World) -> dict[str, list[tuple[str, str]]]:
    """Return index and host index of each Pod, by the name of its replica."""
    found: dict[str, list[tuple[str, str]]] = {}
    for pod in world.observed.worker_pods():
        place = (pod.labels[names.REPLICA_INDEX_LABEL], pod.labels[names.HOST_INDEX_LABEL])
        found.setdefault(pod.labels[names.REPLICA_NAME_LABEL], []).append(place)
    return {name: sorted(places) for name, places in found.items()}


def whole(*indices: int) -> list[list[tuple[str, str]]]:
    return [[(str(index), str(host)) for host in range(HOSTS)] for index in indices]


def changed(world: worlds.World, name: str, **fields: Any) -> worlds.World:
    pods = tuple(
        msgspec.structs.replace(pod, **fields) if pod.name == name else pod
        for pod in world.observed.pods
    )
    return dataclasses.replace(world, observed=dataclasses.replace(world.observed, pods=pods))


def without(world: worlds.World, name: str) -> worlds.World:
    pods = tuple(pod for pod in world.observed.pods if pod.name != name)
    return dataclasses.replace(world, observed=dataclasses.replace(world.observed, pods=pods))


def uids(world: worlds.World) -> set[str]:
    return {pod.uid for pod in world.observed.worker_pods()}


TWO = worlds.converge(cluster(2), worlds.World())


@pytest.mark.parametrize("crash_after", [None, *range(9)])
def test_replicas_are_made_whole_after_any_crash(crash_after: int | None) -> None:
    end = worlds.converge(cluster(2), worlds.World(), crash_after=crash_after)
    assert sorted(replicas(end).values()) == whole(0, 1)
    assert "demo-headless" in {service.name for service in end.observed.services}


def test_names_of_replicas_are_label_values_and_never_come_again() -> None:
    seen = set()
    for _ in range(2):
        for name in replicas(TWO):
            assert name.startswith("slice-")
            assert len(name) <= names.LABEL_LENGTH
            seen.add(name)
    long = builders.group("g" * 63, replicas=1, numOfHosts=2)
    end = worlds.converge(builders.raycluster(groups=[long]), worlds.World())
    (name,) = replicas(end)
    assert len(name) == names.LABEL_LENGTH


@pytest.mark.parametrize("lost", [pod.name for pod in TWO.observed.worker_pods()])
def test_a_replica_that_lost_a_pod_starts_over(lost: str) -> None:
    (hit,) = (pod for pod in TWO.observed.worker_pods() if pod.name == lost)
    name = hit.labels[names.REPLICA_NAME_LABEL]
    end = worlds.converge(cluster(2), without(TWO, lost))
    assert sorted(replicas(end).values()) == whole(0, 1)
    assert not uids(end) & {
        pod.uid
        for pod in TWO.observed.worker_pods()
        if pod.labels[names.REPLICA_NAME_LABEL] == name
    }
    assert len(uids(end) & uids(TWO)) == HOSTS


def test_a_replica_with_a_broken_pod_starts_over() -> None:
    broken = TWO.observed.worker_pods()[1].name
    end = worlds.converge(cluster(2), changed(TWO, broken, phase="Failed"))
    assert sorted(replicas(end).values()) == whole(0, 1)
    assert len(uids(end) & uids(TWO)) == HOSTS


def test_a_replica_of_which_a_pod_terminates_goes() -> None:
    going = TWO.observed.worker_pods()[0].name
    world = changed(TWO, going, deletion_at=builders.NOW)
    deleted = [
        each.name
        for each in worlds.decide(cluster(2), world).actions
        if isinstance(each, actions.Delete)
    ]
    assert len(deleted) == HOSTS - 1
    assert going not in deleted


def test_workers_to_delete_take_their_replica_along() -> None:
    listed = TWO.observed.worker_pods()[0]
    strategy = {"workersToDelete": [listed.name, "another"]}
    end = worlds.converge(cluster(1, scaleStrategy=strategy), TWO)
    assert list(replicas(end)) == [
        name for name in replicas(TWO) if name != listed.labels[names.REPLICA_NAME_LABEL]
    ]


def test_scaling_in_takes_the_highest_index() -> None:
    end = worlds.converge(cluster(1), TWO)
    assert list(replicas(end).values()) == whole(0)
    assert set(replicas(end)) < set(replicas(TWO))


def test_with_autoscaling_only_the_autoscaler_scales_in() -> None:
    (head,) = TWO.observed.head_pods()
    mark = {**head.annotations, names.AUTOSCALER_ANNOTATION: "operator"}
    made_for_it = msgspec.structs.replace(head, annotations=mark)
    pods = (made_for_it, *TWO.observed.worker_pods())
    world = dataclasses.replace(TWO, observed=dataclasses.replace(TWO.observed, pods=pods))
    end = worlds.converge(cluster(1, enableInTreeAutoscaling=True), world)
    assert list(replicas(end).values()) == whole(0, 1)


def test_a_head_that_was_not_made_for_it_scales_nothing() -> None:
    """So the user does, as without autoscaling."""
    end = worlds.converge(cluster(1, enableInTreeAutoscaling=True), TWO)
    assert len(replicas(end)) == 1


def test_pods_without_labels_become_replicas_as_they_are() -> None:
    """As an operator without multi-host indexing made them; one is left over."""
    labels = (names.REPLICA_NAME_LABEL, names.HOST_INDEX_LABEL, names.REPLICA_INDEX_LABEL)

    def bare(pod: records.Pod) -> records.Pod:
        kept = {key: value for key, value in pod.labels.items() if key not in labels}
        return msgspec.structs.replace(pod, labels=kept)

    pods = [bare(pod) for pod in TWO.observed.worker_pods()]
    left = msgspec.structs.replace(pods[-1], name="left", uid="left", created_at=builders.NOW)
    observed = dataclasses.replace(TWO.observed, pods=(*TWO.observed.head_pods(), *pods, left))
    end = worlds.converge(cluster(2), dataclasses.replace(TWO, observed=observed))
    assert sorted(replicas(end).values()) == whole(0, 1)
    assert {pod.uid for pod in end.observed.pods} == {pod.uid for pod in TWO.observed.pods}


def test_without_the_gate_hosts_are_single_pods() -> None:
    gates = features.DEFAULT - {features.Feature.MULTI_HOST_INDEXING}
    options = settings.Settings(version="test", feature_gates=gates)
    decided = plan.plan(cluster(2), worlds.World().observed, options, builders.NOW)
    made = [each for each in decided.actions if isinstance(each, actions.Create)]
    workers = [
        each for each in made if "worker" in each.manifest["metadata"].get("generateName", "")
    ]
    assert len(workers) == 2 * HOSTS
    assert all(
        names.REPLICA_NAME_LABEL not in each.manifest["metadata"]["labels"] for each in workers
    )
