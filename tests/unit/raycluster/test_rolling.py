"""Rolling updates from end to end: which Pods are replaced, in which order, and what is said."""

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ray_operator import names, records
from ray_operator.api import raycluster as api
from tests.unit import builders
from tests.unit.raycluster import world as worlds

REDIS = {"redisAddress": "redis:6379"}
FINALIZER = {"finalizers": ["ray.io/gcs-ft-redis-cleanup-finalizer"]}


def cluster(
    *,
    a: str = "old",
    head: str = "old",
    rolling: dict[str, Any] | None = None,
    type_: str = "RollingUpdate",
    **fields: Any,
) -> api.RayCluster:
    """Build a cluster of 4 workers `a`, whose image is named, and 2 workers `b`."""
    groups = [builders.group("a", replicas=4), builders.group("b", replicas=2)]
    groups[0]["template"]["spec"]["containers"][0]["image"] = a
    template = builders.template("ray-head")
    template["spec"]["containers"][0]["image"] = head
    strategy = {"type": type_} | ({"rollingUpdate": rolling} if rolling else {})
    return builders.raycluster(
        groups=fields.pop("groups", groups),
        upgradeStrategy=strategy,
        headGroupSpec={"template": template},
        **fields,
    )


def living(world: worlds.World, group: str) -> int:
    return sum(pod.deletion_at is None for pod in world.observed.worker_pods(group))


def keeps(group: str, *, least: int, most: int) -> Callable[[worlds.World], None]:
    """Return a check of how many Pods of the group there are; those that terminate don't count."""

    def check(world: worlds.World) -> None:
        assert least <= living(world, group) <= most

    return check


def uids(world: worlds.World, group: str) -> set[str]:
    return {pod.uid for pod in world.observed.pods if pod.labels[names.GROUP_LABEL] == group}


def up_to_date(world: worlds.World) -> tuple[str, str, str]:
    (found,) = (c for c in world.status["conditions"] if c["type"] == "RayClusterUpToDate")
    return found["status"], found["reason"], found["message"]


BEFORE = worlds.converge(cluster(), worlds.World())


@pytest.mark.parametrize("crash_after", [None, *range(4)])
@pytest.mark.parametrize(
    ("rolling", "least", "most"),
    [
        (None, 3, 5),
        ({"maxSurge": 0, "maxUnavailable": 1}, 3, 4),
        ({"maxSurge": 2, "maxUnavailable": 0}, 4, 6),
        ({"maxSurge": "100%", "maxUnavailable": "100%"}, 0, 8),
    ],
)
def test_only_the_changed_group_is_replaced_and_within_its_limits(
    rolling: dict[str, Any] | None, least: int, most: int, crash_after: int | None
) -> None:
    end = worlds.converge(
        cluster(a="new", rolling=rolling),
        BEFORE,
        crash_after=crash_after,
        rounds=40,
        check=keeps("a", least=least, most=most),
    )
    assert {each: len(uids(end, each)) for each in "ab"} == {"a": 4, "b": 2}
    assert not uids(end, "a") & uids(BEFORE, "a")
    assert uids(end, "b") == uids(BEFORE, "b")
    assert uids(end, "headgroup") == uids(BEFORE, "headgroup")
    assert up_to_date(end) == ("True", "AllPodsUpToDate", "")
    assert end.status["updatedWorkerReplicas"] == 6


def test_replicas_of_several_hosts_are_replaced_whole() -> None:
    group = builders.group("a", replicas=2, numOfHosts=2)
    before = worlds.converge(cluster(groups=[group]), worlds.World())
    changed = builders.group("a", replicas=2, numOfHosts=2)
    changed["template"]["spec"]["containers"][0]["image"] = "new"

    def whole(world: worlds.World) -> None:
        hosts: dict[str, int] = {}
        for pod in world.observed.worker_pods():
            name = pod.labels[names.REPLICA_NAME_LABEL]
            hosts[name] = hosts.get(name, 0) + 1
        assert set(hosts.values()) == {2}
        assert len(hosts) <= 3

    end = worlds.converge(cluster(groups=[changed]), before, rounds=40, check=whole)
    assert len(uids(end, "a")) == 4
    assert not uids(end, "a") & uids(before, "a")


def test_progress_is_told() -> None:
    said: list[tuple[str, str, str]] = []
    worlds.converge(
        cluster(a="new"), BEFORE, rounds=40, check=lambda world: said.append(up_to_date(world))
    )
    assert said[0] == (
        "False",
        "RollingUpdateInProgress",
        "of an older template: 4 workers of group a: 3 workers are of the new one",
    )
    assert said[-1][0] == "True"


def test_a_head_whose_state_would_be_lost_stays_until_the_user_consents() -> None:
    end = worlds.converge(cluster(head="new"), BEFORE, rounds=40)
    assert end.observed == BEFORE.observed
    assert up_to_date(end)[:2] == ("False", "HeadNotReplaced")
    assert "rollingUpdate.replaceHead to Always" in up_to_date(end)[2]
    consented = worlds.converge(cluster(head="new", rolling={"replaceHead": "Always"}), end)
    assert not uids(consented, "headgroup") & uids(end, "headgroup")
    assert uids(consented, "a") == uids(end, "a")


def with_state(head: str, rolling: dict[str, Any] | None = None) -> api.RayCluster:
    return cluster(
        a=head, head=head, rolling=rolling, gcsFaultToleranceOptions=REDIS, metadata=FINALIZER
    )


def test_a_head_whose_state_survives_comes_last() -> None:
    before = worlds.converge(with_state("old"), worlds.World())

    def last(world: worlds.World) -> None:
        if uids(world, "headgroup") != uids(before, "headgroup"):
            assert not uids(world, "a") & uids(before, "a")

    end = worlds.converge(with_state("new"), before, rounds=40, check=last)
    assert not uids(end, "headgroup") & uids(before, "headgroup")
    kept = worlds.converge(with_state("new", {"replaceHead": "Never"}), before, rounds=40)
    assert uids(kept, "headgroup") == uids(before, "headgroup")
    assert up_to_date(kept)[1] == "HeadNotReplaced"


def test_a_head_that_never_got_ready_is_replaced_at_once() -> None:
    def unready(pod: records.Pod) -> records.Pod:
        return msgspec.structs.replace(pod, ready=False, phase="Pending")

    observed = dataclasses.replace(BEFORE.observed, pods=tuple(map(unready, BEFORE.observed.pods)))
    stuck = dataclasses.replace(BEFORE, observed=observed, status={})
    end = worlds.converge(cluster(a="new", head="new"), stuck, rounds=40)
    assert not uids(end, "headgroup") & uids(BEFORE, "headgroup")
    assert up_to_date(end)[0] == "True"


def test_the_version_of_ray_is_not_changed_bit_by_bit() -> None:
    old, new = "rayproject/ray:2.46.0", "rayproject/ray:2.60.0"
    before = worlds.converge(cluster(a=old, head=old), worlds.World())
    end = worlds.converge(cluster(a=new, head=new), before, rounds=40)
    assert end.observed == before.observed
    status, reason, message = up_to_date(end)
    assert (status, reason) == ("False", "RayVersionChanges")
    assert "use the strategy Recreate" in message


def test_without_a_strategy_what_is_old_is_told() -> None:
    end = worlds.converge(cluster(a="new", head="new", type_="None"), BEFORE)
    assert end.observed == BEFORE.observed
    assert up_to_date(end)[:2] == ("False", "PodsOutdated")
    assert up_to_date(end)[2] == (
        "of an older template: the head, 4 workers of group a: delete them, or set"
        " upgradeStrategy.type to Recreate or RollingUpdate"
    )
