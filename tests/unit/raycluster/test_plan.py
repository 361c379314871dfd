"""What one pass over a RayCluster does."""

from datetime import timedelta
from typing import Any

import pytest

from ray_operator import actions, names, ray_records, records
from ray_operator.api import raycluster as api
from ray_operator.api.validation import raycluster as rules
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import plan
from tests.unit import builders

SOON = builders.NOW - timedelta(seconds=3)


COUNTED = builders.head_service(annotations={names.FAILURES_ANNOTATION: "1 uid-old"})


def decide(
    cluster: api.RayCluster,
    *pods: records.Pod,
    service: bool = True,
    head_service: records.Service | None = None,
    ray: ray_records.RayAnswer | None = None,
) -> actions.Plan:
    services = (head_service or builders.head_service(),) if service else ()
    observed = seen.Observed(pods=pods, services=services, ray=ray or ray_records.RayAnswer())
    return plan.plan(cluster, observed, builders.SETTINGS, builders.NOW)


def told(decided: actions.Plan) -> list[tuple[str, str]]:
    """Name the actions: the event reason, and the object (or name prefix)."""
    return [
        (
            action.reasons.done,
            action.name
            if isinstance(action, actions.Delete | actions.Patch)
            else action.manifest["metadata"].get("name")
            or action.manifest["metadata"]["generateName"],
        )
        for action in decided.actions
    ]


def test_a_new_cluster_gets_service_head_and_workers_in_that_order() -> None:
    cluster = builders.raycluster(groups=[builders.group(replicas=2)])
    assert told(decide(cluster, service=False)) == [
        ("CreatedService", "demo-head-svc"),
        ("CreatedHeadPod", "demo-head-"),
        ("CreatedWorkerPod", "demo-small-worker-"),
        ("CreatedWorkerPod", "demo-small-worker-"),
    ]


def test_a_complete_cluster_needs_nothing() -> None:
    cluster = builders.raycluster()
    assert decide(cluster, builders.pod(), builders.worker(index=0)) == actions.Plan()


@pytest.mark.parametrize(
    "changed",
    [
        builders.raycluster(managedBy="kueue.x-k8s.io/multikueue"),
        builders.raycluster(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
    ],
    ids=["foreign", "deleted"],
)
def test_a_cluster_that_is_not_to_be_touched_is_not(changed: api.RayCluster) -> None:
    assert decide(changed, service=False) == actions.Plan()


def test_an_invalid_cluster_is_left_alone_and_told_of() -> None:
    cluster = builders.raycluster(groups=[builders.group("twice"), builders.group("twice")])
    invalid = tuple(rules.errors(cluster))
    message = "; ".join(map(str, invalid))
    event = actions.Event(
        type="Warning", reason="InvalidRayClusterSpec", action="Validate", message=message
    )
    assert len(invalid) == 2
    assert decide(cluster, service=False) == actions.Plan(invalid=invalid, events=(event,))


def test_a_bad_name_is_told_of_by_its_own_reason() -> None:
    (event,) = decide(builders.raycluster(metadata={"name": "A"}), service=False).events
    assert event.reason == "InvalidRayClusterMetadata"


def test_a_generation_is_told_of_once() -> None:
    groups = [builders.group("twice"), builders.group("twice")]
    invalid = rules.errors(builders.raycluster(groups=groups))
    said = {
        "type": "RayClusterSpecValid",
        "status": "False",
        "observedGeneration": 2,
        "message": "; ".join(map(str, invalid)),
    }

    def decided(**metadata: Any) -> actions.Plan:
        status = {"conditions": [said]}
        return decide(
            builders.raycluster(
                groups=groups, metadata=metadata, status=status, gcsFaultToleranceOptions={}
            ),
            service=False,
        )

    assert decided(generation=2).events == ()
    assert len(decided(generation=3).events) == 1
    # Annotations have no generation.
    assert len(decided(generation=2, annotations={"ray.io/ft-enabled": "true"}).events) == 2


def test_what_only_deserves_a_warning_goes_on() -> None:
    restarting = builders.group()
    restarting["template"]["spec"]["restartPolicy"] = "Always"
    options: dict[str, Any] = {
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {"version": "v1"},
    }
    decided = decide(builders.raycluster(groups=[restarting], **options), service=False)
    assert [event.reason for event in decided.events] == ["InvalidRayClusterSpec"]
    assert decided.actions
    assert decided.invalid == ()


def test_a_deleted_head_is_replaced_only_when_it_is_gone() -> None:
    cluster = builders.raycluster(groups=[])
    going = builders.pod(deletion_at=builders.NOW)
    waiting = decide(cluster, going)
    assert waiting == actions.Plan(requeue_after=timedelta(seconds=61))
    assert told(decide(cluster)) == [("CreatedHeadPod", "demo-head-")]


def test_a_head_stuck_in_termination_on_a_dead_node_no_longer_counts() -> None:
    cluster = builders.raycluster(groups=[])
    stuck = builders.pod(deletion_at=builders.NOW - timedelta(seconds=61))
    assert told(decide(cluster, stuck)) == [("CreatedHeadPod", "demo-head-")]


def test_a_failed_head_is_counted_and_then_replaced_in_one_pass() -> None:
    cluster, failed = builders.raycluster(groups=[]), builders.pod("old", phase="Failed")
    counting = decide(cluster, failed)
    assert told(counting) == [("CountedFailure", "demo-head-svc")]
    assert counting.requeue_after == timedelta()
    assert told(decide(cluster, failed, head_service=COUNTED)) == [
        ("DeletedHeadPod", "old"),
        ("CreatedHeadPod", "demo-head-"),
    ]


def test_a_head_whose_ray_stopped_for_good_is_deleted_but_may_still_run_a_sidecar() -> None:
    ray = records.Container("ray-head", state="terminated", reason="Error", exit_code=1)
    head = builders.pod("old", restart_policy="Never", ready=False, containers=(ray,))
    decided = decide(builders.raycluster(groups=[]), head, head_service=COUNTED)
    assert told(decided) == [("DeletedHeadPod", "old")]
    (delete,) = decided.actions
    assert isinstance(delete, actions.Delete)
    assert delete.why == (
        "phase Running, restartPolicy Never, container ray-head: Error, exit code 1"
    )


def test_of_two_heads_the_ready_one_stays() -> None:
    younger = builders.pod("ready-one", created_at=SOON)
    older = builders.pod("waiting-one", ready=False, phase="Pending")
    decided = decide(builders.raycluster(groups=[]), older, younger)
    assert told(decided) == [("DeletedHeadPod", "waiting-one")]


def test_what_fails_at_once_is_replaced_at_a_measured_pace() -> None:
    cluster = builders.raycluster()
    failed = builders.worker("old", index=0, phase="Failed", created_at=SOON)
    assert decide(cluster, builders.pod(), failed) == actions.Plan(
        requeue_after=timedelta(seconds=7)
    )


def test_a_terminating_worker_is_replaced_at_once_under_its_index() -> None:
    cluster = builders.raycluster(groups=[builders.group(replicas=2)])
    decided = decide(
        cluster,
        builders.pod(),
        builders.worker("w-0", index=0, deletion_at=builders.NOW),
        builders.worker("w-1", index=1),
    )
    assert told(decided) == [("CreatedWorkerPod", "demo-small-worker-")]
    (create,) = decided.actions
    assert isinstance(create, actions.Create)
    assert create.manifest["metadata"]["labels"]["ray.io/worker-group-replica-index"] == "0"


def test_scale_in_takes_what_costs_least() -> None:
    workers = [
        builders.worker("ready-0", index=0),
        builders.worker("ready-1", index=1),
        builders.worker("unready", index=2, ready=False),
        builders.worker("pending", index=3, phase="Pending", ready=None),
        builders.worker("unscheduled", index=4, phase="Pending", ready=None, node=""),
    ]
    names_in_order = []
    for replicas in (4, 3, 2, 1):
        cluster = builders.raycluster(groups=[builders.group(replicas=replicas)])
        decided = decide(
            cluster, builders.pod(), *workers, ray=ray_records.RayAnswer(error="silent")
        )
        names_in_order.append([name for _, name in told(decided)])
    assert names_in_order == [
        ["unscheduled"],
        ["unscheduled", "pending"],
        ["unscheduled", "pending", "unready"],
        ["unscheduled", "pending", "unready", "ready-1"],
    ]


def test_with_autoscaling_only_workers_to_delete_removes_pods() -> None:
    listed = {"workersToDelete": ["w-0", "somebody-else"]}
    groups = [builders.group(replicas=0, scaleStrategy=listed)]
    cluster = builders.raycluster(groups=groups, enableInTreeAutoscaling=True)
    workers = [builders.worker("w-0", index=0), builders.worker("w-1", index=1)]
    decided = decide(cluster, builders.pod(), *workers)
    assert [each for each in told(decided) if "Pod" in each[0]] == [("DeletedWorkerPod", "w-0")]


@pytest.mark.parametrize(
    ("fields", "pods"),
    [({"replicas": 9}, 5), ({"replicas": 0, "minReplicas": 2}, 2), ({"numOfHosts": 2}, 2)],
)
def test_the_number_of_pods_is_clamped_and_multiplied(fields: dict[str, Any], pods: int) -> None:
    decided = decide(builders.raycluster(groups=[builders.group(**fields)]), builders.pod())
    made = [each for each in told(decided) if each[0] != "CreatedService"]
    assert made == [("CreatedWorkerPod", "demo-small-worker-")] * pods
