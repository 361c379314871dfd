"""Which workers go when a group shrinks, and when Ray is asked about it."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import actions, names, ray_records, records
from ray_operator.raycluster import drain, plan
from ray_operator.raycluster import observed as seen
from tests.unit import builders

WORKERS = [builders.worker(f"w-{n}", index=n) for n in range(4)]


def idle(pod: records.Pod, seconds: int) -> ray_records.RayNode:
    """Build the Pod's node: it has worked until so many seconds ago, or (0) works."""
    status = ray_records.NodeStatus.IDLE if seconds else ray_records.NodeStatus.RUNNING
    return ray_records.RayNode(
        node_id=pod.uid.encode(),
        instance_id=pod.name,
        status=status,
        idle=timedelta(seconds=seconds),
    )


def decide(
    workers: list[records.Pod],
    *idles: int,
    error: str = "",
    heads: tuple[records.Pod, ...] = (builders.pod(),),
    **group: Any,
) -> actions.Plan:
    """Plan for workers that have been idle so long; without any, Ray hasn't answered."""
    nodes = tuple(idle(pod, since) for pod, since in zip(workers, idles, strict=False))
    state = ray_records.ResourceState(builders.NOW, nodes) if idles else None
    observed = seen.Observed(
        pods=(*heads, *workers),
        services=(builders.head_service(),),
        ray=ray_records.RayAnswer(state=state, error=error),
    )
    cluster = builders.raycluster(groups=[builders.group(**group)])
    return plan.plan(cluster, observed, builders.SETTINGS, builders.NOW)


def names_of(decided: actions.Plan, kind: type[actions.Patch] | type[actions.Delete]) -> list[str]:
    return [each.name for each in decided.actions if isinstance(each, kind)]


def drained(decided: actions.Plan) -> list[str]:
    assert names_of(decided, actions.Delete) == []
    return names_of(decided, actions.Patch)


def test_who_works_is_for_ray_to_say() -> None:
    assert decide(WORKERS, replicas=1) == actions.Plan(
        requeue_after=drain.LOOK_AGAIN, asks_ray=True
    )


def test_the_longest_idle_go_first_then_the_highest_index() -> None:
    idles = (0, 5, 60, 0)
    orders = [drained(decide(WORKERS, *idles, replicas=count)) for count in (3, 2, 1, 0)]
    assert orders == [["w-2"], ["w-2", "w-1"], ["w-2", "w-1", "w-3"], ["w-2", "w-1", "w-3", "w-0"]]


def test_a_head_that_does_not_answer_does_not_stop_a_scale_down() -> None:
    decided = decide(WORKERS, error="no answer", replicas=3)
    assert drained(decided) == ["w-3"]


def test_a_head_that_does_not_run_is_not_asked() -> None:
    decided = decide(WORKERS, heads=(builders.pod(phase="Pending", ready=None),), replicas=3)
    assert names_of(decided, actions.Delete) == ["w-3"]
    assert not decided.asks_ray


def test_what_does_not_work_yet_goes_without_asking() -> None:
    pending = [msgspec.structs.replace(pod, phase="Pending", ready=None) for pod in WORKERS[:2]]
    decided = decide([*pending, *WORKERS[2:]], replicas=2)
    assert names_of(decided, actions.Delete) == ["w-1", "w-0"]
    assert not decided.asks_ray


def marked(pod: records.Pod) -> records.Pod:
    later = {names.DRAINING_ANNOTATION: "2026-01-01T12:00:20Z"}
    return msgspec.structs.replace(pod, annotations=later)


def test_one_that_goes_counts_no_more_and_is_enough() -> None:
    workers = [marked(WORKERS[0]), *WORKERS[1:]]
    decided = decide(workers, 0, 90, 90, 90, replicas=3)
    assert decided == actions.Plan(requeue_after=drain.LOOK_AGAIN, asks_ray=True)


def test_a_later_scale_up_makes_new_pods_under_other_indices() -> None:
    workers = [WORKERS[0], marked(WORKERS[1])]
    decided = decide(workers, 0, 0, replicas=2)
    (create,) = decided.actions
    assert isinstance(create, actions.Create)
    assert create.manifest["metadata"]["labels"][names.REPLICA_INDEX_LABEL] == "2"


def test_a_suspended_group_gives_its_resources_back_at_once() -> None:
    decided = decide([marked(WORKERS[0]), *WORKERS[1:]], suspend=True, replicas=4)
    assert names_of(decided, actions.Delete) == ["w-0", "w-1", "w-2", "w-3"]
    assert not decided.asks_ray


@pytest.mark.parametrize("marks", [(), (0,)])
def test_workers_to_delete_and_broken_pods_are_not_drained(marks: tuple[int, ...]) -> None:
    workers = [marked(pod) if n in marks else pod for n, pod in enumerate(WORKERS)]
    workers[1] = msgspec.structs.replace(workers[1], phase="Failed", ready=False)
    decided = decide(workers, replicas=2, scaleStrategy={"workersToDelete": ["w-0"]})
    assert names_of(decided, actions.Delete) == ["w-0", "w-1"]
    assert names_of(decided, actions.Patch) == []


def replica(index: int) -> list[records.Pod]:
    def host(number: int) -> records.Pod:
        pod = builders.worker(f"r{index}-h{number}", index=index)
        labels = {**pod.labels, names.REPLICA_NAME_LABEL: f"small-{index}"}
        return msgspec.structs.replace(pod, labels=labels)

    return [host(0), host(1)]


def test_of_replicas_of_several_hosts_those_idle_on_all_hosts_go_whole() -> None:
    hosts = [*replica(0), *replica(1), *replica(2)]
    decided = decide(hosts, 20, 30, 0, 500, 0, 0, replicas=2, numOfHosts=2)
    assert drained(decided) == ["r0-h0", "r0-h1"]
