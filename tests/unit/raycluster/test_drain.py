"""Pods that go kindly: marked first, deleted when nothing of theirs runs any more."""

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import actions, names, ray_records, records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import drain, turnover
from ray_operator.raycluster import observed as seen
from tests.unit import builders

CLUSTER = builders.raycluster()
HEAD = builders.pod()
WORKER = builders.worker("w-0", index=0)
UNTIL = builders.NOW + timedelta(seconds=30)
WHY = "group small scales down"
MOMENT = timedelta(seconds=1)


def marked(pod: records.Pod, until: str = "2026-01-01T12:00:30Z") -> records.Pod:
    return msgspec.structs.replace(pod, annotations={names.DRAINING_ANNOTATION: until})


def node(pod: records.Pod, status: ray_records.NodeStatus) -> ray_records.RayNode:
    return ray_records.RayNode(node_id=pod.uid.encode(), instance_id=pod.name, status=status)


def answer(*nodes: ray_records.RayNode) -> ray_records.RayAnswer:
    return ray_records.RayAnswer(state=ray_records.ResourceState(builders.NOW, nodes))


def dismissed(
    *replicas: list[records.Pod],
    ray: ray_records.RayAnswer | None = None,
    heads: tuple[records.Pod, ...] = (HEAD,),
    cluster: api.RayCluster = CLUSTER,
    now: datetime = builders.NOW,
    **options: Any,
) -> actions.Plan:
    pods = (*heads, *(pod for replica in replicas for pod in replica))
    return drain.dismiss(
        cluster,
        seen.Observed(pods=pods, ray=ray or ray_records.RayAnswer()),
        replicas,
        why=WHY,
        options=dataclasses.replace(builders.SETTINGS, **options),
        now=now,
    )


def mark(pod: records.Pod, until: str) -> actions.Patch:
    return actions.Patch(
        resource=records.PODS,
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        change={"metadata": {"annotations": {names.DRAINING_ANNOTATION: until}}},
        reasons=drain.MARK,
    )


def deletion(*pods: records.Pod) -> actions.Plan:
    return actions.Plan(
        actions=tuple(turnover.delete(pod, turnover.DELETE_WORKER, WHY) for pod in pods)
    )


def test_a_pod_that_works_is_marked_and_told_of() -> None:
    assert dismissed([WORKER]) == actions.Plan(
        actions=(mark(WORKER, "2026-01-01T12:00:30Z"),),
        requeue_after=timedelta(),
        events=(
            actions.Event(
                type="Normal",
                reason="DrainingWorkerPod",
                action="Drain",
                message=f"Pod w-0 may finish what runs, then goes: {WHY}",
            ),
        ),
        asks_ray=True,
    )


@pytest.mark.parametrize(
    ("grace", "given", "until"),
    [
        (5, None, "2026-01-01T12:00:30Z"),
        (90, None, "2026-01-01T12:01:30Z"),
        (90, timedelta(seconds=5), "2026-01-01T12:00:05Z"),
    ],
)
def test_how_long_it_may_take_is_set_or_the_pods_own_grace(
    grace: int, given: timedelta | None, until: str
) -> None:
    pod = msgspec.structs.replace(WORKER, grace=timedelta(seconds=grace))
    assert dismissed([pod], drain_timeout=given).actions == (mark(pod, until),)


def test_no_time_at_all_is_no_drain() -> None:
    assert dismissed([WORKER], drain_timeout=timedelta()) == deletion(WORKER)


@pytest.mark.parametrize(
    "fields",
    [
        {"phase": "Pending", "ready": None},
        {"phase": "Failed", "ready": False},
        {"containers": (records.Container("ray-worker", state="waiting"),)},
    ],
    ids=["pending", "failed", "restarting"],
)
def test_a_pod_without_ray_goes_at_once(fields: dict[str, Any]) -> None:
    pod = builders.worker("w-0", **fields)
    assert dismissed([pod]) == deletion(pod)


@pytest.mark.parametrize(
    "status", [each for each in ray_records.NodeStatus if each is not ray_records.NodeStatus.DEAD]
)
def test_a_pod_whose_node_lives_waits(status: ray_records.NodeStatus) -> None:
    pod = marked(WORKER)
    assert dismissed([pod], ray=answer(node(pod, status))) == actions.Plan(
        requeue_after=drain.LOOK_AGAIN, asks_ray=True
    )


def test_a_pod_goes_once_its_node_is_dead_or_unknown_to_ray() -> None:
    pod = marked(WORKER)
    assert dismissed([pod], ray=answer(node(pod, ray_records.NodeStatus.DEAD))) == deletion(pod)
    assert dismissed([pod], ray=answer(node(HEAD, ray_records.NodeStatus.IDLE))) == deletion(pod)


def test_a_later_life_of_the_same_pod_counts() -> None:
    pod = marked(WORKER)
    lives = [node(pod, ray_records.NodeStatus.DEAD), node(pod, ray_records.NodeStatus.IDLE)]
    assert dismissed([pod], ray=answer(*lives)).actions == ()


def test_a_node_that_has_no_name_is_known_by_its_address() -> None:
    pod = marked(WORKER)
    nameless = msgspec.structs.replace(node(pod, ray_records.NodeStatus.IDLE), instance_id="")
    here = msgspec.structs.replace(nameless, ip=pod.ip)
    elsewhere = msgspec.structs.replace(nameless, ip="10.9.9.9")
    assert dismissed([pod], ray=answer(here)).actions == ()
    assert dismissed([pod], ray=answer(elsewhere)) == deletion(pod)


def test_the_deadline_ends_all_waiting() -> None:
    pod = marked(WORKER)
    working = answer(node(pod, ray_records.NodeStatus.DRAINING))
    silent = ray_records.RayAnswer(error="no answer")
    for ray in (working, silent):
        assert dismissed([pod], ray=ray, now=UNTIL - MOMENT).actions == ()
        assert dismissed([pod], ray=ray, now=UNTIL) == deletion(pod)


def test_a_mark_that_nobody_can_read_is_over() -> None:
    pod = marked(WORKER, until="soon")
    assert dismissed([pod]) == deletion(pod)


def test_the_wait_ends_with_the_deadline() -> None:
    pod = marked(WORKER)
    assert dismissed([pod], now=UNTIL - MOMENT).requeue_after == 2 * MOMENT


@pytest.mark.parametrize(
    "heads",
    [(), (builders.pod(deletion_at=builders.NOW),), (builders.pod(phase="Failed"),)],
    ids=["none", "terminating", "failed"],
)
def test_without_a_head_there_is_nothing_to_wait_for(heads: tuple[records.Pod, ...]) -> None:
    assert dismissed([WORKER], heads=heads) == deletion(WORKER)


def test_with_fault_tolerance_work_goes_on_without_a_head() -> None:
    tolerant = builders.raycluster(gcsFaultToleranceOptions={"redisAddress": "redis:6379"})
    pod = marked(WORKER)
    assert dismissed([pod], heads=(), cluster=tolerant).actions == ()


HOSTS = [builders.worker(f"h-{n}", index=0) for n in range(3)]


def test_the_hosts_of_a_replica_are_marked_and_go_together() -> None:
    first = dismissed(HOSTS)
    assert first.actions == tuple(mark(pod, "2026-01-01T12:00:30Z") for pod in HOSTS)
    going = [marked(pod) for pod in HOSTS]
    dead = [node(pod, ray_records.NodeStatus.DEAD) for pod in going]
    busy = node(going[0], ray_records.NodeStatus.DRAINING)
    assert dismissed(going, ray=answer(busy, *dead[1:])).actions == ()
    assert dismissed(going, ray=answer(*dead)) == deletion(*going)


def test_a_replica_that_was_marked_half_keeps_its_first_deadline() -> None:
    half = [marked(HOSTS[0], until="2026-01-01T12:00:10Z"), *HOSTS[1:]]
    assert dismissed(half).actions == tuple(mark(pod, "2026-01-01T12:00:10Z") for pod in HOSTS[1:])
