"""What is said of a RayCluster."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from ray_operator import actions, conditions, errors, names, records
from ray_operator.api import raycluster as api
from ray_operator.api.validation import raycluster as rules
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import status, turnover
from tests.unit import builders

NOTHING = actions.Outcome()
MOMENT = "2026-01-01T12:00:00Z"
LATER = builders.NOW + timedelta(minutes=1)


def say(
    cluster: api.RayCluster,
    *pods: records.Pod,
    outcome: actions.Outcome = NOTHING,
    service: records.Service | None = None,
) -> dict[str, Any]:
    services = (service or builders.head_service(),)
    observed = seen.Observed(pods=pods, services=services)
    said = status.next_status(cluster, observed, outcome, builders.NOW)
    assert said is not None
    return dict(said)


def condition(said: dict[str, Any], type_: str) -> tuple[str, str, str]:
    found = next(item for item in said["conditions"] if item["type"] == type_)
    return found["status"], found["reason"], found["message"]


def test_the_whole_status_of_a_ready_cluster() -> None:
    assert say(builders.raycluster(), builders.pod(), builders.worker(index=0)) == {
        "availableWorkerReplicas": 1,
        "conditions": [
            {
                "type": type_,
                "status": "False" if "Suspend" in type_ else "True",
                "reason": reason,
                "message": message,
                "observedGeneration": 1,
                "lastTransitionTime": MOMENT,
            }
            for type_, reason, message in (
                ("HeadPodReady", "HeadPodRunningAndReady", ""),
                (
                    "RayClusterProvisioned",
                    "AllPodRunningAndReadyFirstTime",
                    "All Ray Pods are ready for the first time",
                ),
                ("RayClusterReady", "AllPodsRunningAndReady", ""),
                ("RayClusterSpecValid", "Valid", ""),
                ("RayClusterUpToDate", "AllPodsUpToDate", ""),
                ("RayClusterSuspending", "RayClusterSuspending", ""),
                ("RayClusterSuspended", "RayClusterSuspended", ""),
            )
        ],
        "desiredCPU": "2",
        "desiredGPU": "0",
        "desiredMemory": "4Gi",
        "desiredTPU": "0",
        "desiredWorkerReplicas": 1,
        "endpoints": {"dashboard": "8265", "gcs-server": "6379"},
        "head": {
            "podIP": "10.0.0.1",
            "podName": "demo-head-aaaaa",
            "serviceIP": "10.0.0.1",
            "serviceName": "demo-head-svc",
        },
        "lastUpdateTime": MOMENT,
        "maxWorkerReplicas": 5,
        "minWorkerReplicas": 0,
        "observedGeneration": 1,
        "readyWorkerReplicas": 1,
        "state": "ready",
        "stateTransitionTimes": {"ready": MOMENT},
        "updatedWorkerReplicas": 1,
    }


def test_saying_the_same_again_changes_nothing() -> None:
    first = say(builders.raycluster(), builders.pod(), builders.worker(index=0))
    again = builders.raycluster(status=first)
    observed = seen.Observed(
        pods=(builders.pod(), builders.worker(index=0)), services=(builders.head_service(),)
    )
    assert status.next_status(again, observed, NOTHING, LATER) == first


STARTING = (builders.pod(ready=False), builders.worker(index=0, ready=False))


@pytest.mark.parametrize(
    ("pods", "last"),
    [
        pytest.param((builders.pod(), STARTING[1]), builders.NOW, id="a head that got ready"),
        pytest.param((builders.pod(),), builders.NOW, id="one worker less"),
        pytest.param((builders.pod(), builders.worker(index=0)), None, id="a ready cluster"),
    ],
)
def test_mere_progress_is_no_news(pods: tuple[records.Pod, ...], last: datetime | None) -> None:
    cluster = builders.raycluster(status=say(builders.raycluster(), *STARTING))
    assert status.follows(cluster, say(cluster, *pods)) == last


@pytest.mark.parametrize(("annotation", "last"), [("true", None), ("false", conditions.NEVER)])
def test_that_a_new_cluster_starts_is_no_news(annotation: str, last: datetime | None) -> None:
    cluster = builders.raycluster(
        metadata={"annotations": {names.KEEP_HEAD_ANNOTATION: annotation}}
    )
    assert status.follows(cluster, say(cluster, *STARTING)) == last


@pytest.mark.parametrize(("annotation", "last"), [("true", None), ("false", builders.NOW)])
def test_that_an_only_head_is_up_is_news(annotation: str, last: datetime | None) -> None:
    metadata = {"annotations": {names.KEEP_HEAD_ANNOTATION: annotation}}
    before = builders.raycluster(metadata=metadata)
    said = say(before, builders.pod(ready=False, ip=""), STARTING[1])
    cluster = builders.raycluster(metadata=metadata, status=said)
    assert status.follows(cluster, say(cluster, *STARTING)) == last


@pytest.mark.parametrize(
    ("before", "news"),
    [
        pytest.param({}, {"state": "ready"}, id="ready from the first"),
        pytest.param({}, {"reason": "Unschedulable"}, id="why not even one Pod started"),
        pytest.param({"lastUpdateTime": MOMENT}, {"reason": "OutOfMemory"}, id="why not ready"),
        pytest.param({"lastUpdateTime": MOMENT}, {"observedGeneration": 2}, id="another spec"),
        pytest.param({"lastUpdateTime": MOMENT}, {"idleSince": MOMENT}, id="idle from now on"),
    ],
)
def test_news_follow_nothing(before: dict[str, Any], news: dict[str, Any]) -> None:
    cluster = builders.raycluster(status=before)
    assert status.follows(cluster, {**before, **news}) is None


def test_state_stays_ready_when_a_worker_is_lost_and_the_condition_does_not() -> None:
    first = say(builders.raycluster(), builders.pod(), builders.worker(index=0))
    said = say(builders.raycluster(status=first), builders.pod())
    assert (said["state"], condition(said, "RayClusterProvisioned")[0]) == ("ready", "True")
    assert condition(said, "RayClusterReady") == (
        "False",
        "PodsNotReady",
        "1 of 1 head and 0 of 1 workers ready",
    )


def test_a_ready_head_alone_is_not_provisioned() -> None:
    said = say(builders.raycluster(), builders.pod())
    assert condition(said, "RayClusterProvisioned")[:2] == ("False", "RayClusterPodsProvisioning")
    assert "state" not in said


def test_a_refused_pod_is_reported_and_blocks_readiness() -> None:
    create = actions.Create(resource=records.PODS, manifest={}, reasons=turnover.CREATE_WORKER)
    refused = actions.Result(
        action=create, name="demo-w", error=errors.Forbidden("exceeded quota: small")
    )
    outcome = actions.Outcome(results=(refused,))
    said = say(builders.raycluster(groups=[]), builders.pod(), outcome=outcome)
    assert condition(said, "ReplicaFailure") == (
        "True",
        "FailedCreateWorkerPod",
        "demo-w: exceeded quota: small",
    )
    assert condition(said, "RayClusterReady")[0] == "False"


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ((), ("False", "HeadPodNotFound", "Head Pod not found")),
        (
            (builders.pod(ready=None, phase="Pending"),),
            ("False", "Unknown", ""),
        ),
        (
            (
                builders.pod(
                    ready=False,
                    ready_reason="ContainersNotReady",
                    ready_message="unready: [ray-head]",
                    containers=(
                        records.Container(
                            "ray-head", state="waiting", reason="ImagePullBackOff", message="no"
                        ),
                    ),
                ),
            ),
            ("False", "ImagePullBackOff", "unready: [ray-head]; ray-head: no"),
        ),
        (
            (builders.pod(ready=False, ready_reason="not a reason!"),),
            ("False", "Unknown", ""),
        ),
    ],
)
def test_head_readiness_says_what_the_pod_says(
    pods: tuple[records.Pod, ...], expected: tuple[str, str, str]
) -> None:
    assert condition(say(builders.raycluster(), *pods), "HeadPodReady") == expected


def test_a_service_with_an_address_and_node_ports_is_told() -> None:
    service = builders.head_service(
        type="NodePort",
        cluster_ip="10.96.0.7",
        ports=(records.ServicePort("dashboard", 8265, "dash", 30001),),
    )
    said = say(builders.raycluster(), service=service)
    assert said["endpoints"] == {"dashboard": "30001"}
    assert said["head"] == {"serviceName": "demo-head-svc", "serviceIP": "10.96.0.7"}


def test_an_invalid_spec_is_said_and_the_rest_stays_as_it_was() -> None:
    first = say(builders.raycluster(), builders.pod(), builders.worker(index=0))
    broken = builders.raycluster(
        groups=[builders.group("a"), builders.group("a")],
        status=first,
        metadata={"generation": 2},
    )
    invalid = actions.Outcome(invalid=tuple(rules.errors(broken)))
    said = say(broken, builders.pod(), outcome=invalid)
    assert condition(said, "RayClusterSpecValid")[:2] == ("False", "InvalidSpec")
    assert "workerGroupSpecs" in condition(said, "RayClusterSpecValid")[2]
    kept = {"state", "head", "readyWorkerReplicas", "endpoints", "desiredCPU"}
    assert {name: said[name] for name in kept} == {name: first[name] for name in kept}
    assert said["observedGeneration"] == 2


def test_the_short_reason_is_there_until_the_cluster_is_ready() -> None:
    cluster = builders.raycluster(groups=[])
    starting = builders.pod(ready=False)
    crashed = builders.pod(
        ready=False,
        containers=(
            records.Container("ray-head", state="waiting", ended=records.Ended(exit_code=1)),
        ),
    )
    first = say(cluster, starting)
    assert first["reason"] == "PodsNotReady"
    again = builders.raycluster(groups=[], status=first)
    assert say(again, crashed)["reason"] == "ContainerCrashed"
    assert "reason" not in say(again, builders.pod())
    twice = builders.raycluster(groups=[builders.group("a"), builders.group("a")])
    invalid = actions.Outcome(invalid=tuple(rules.errors(twice)))
    assert say(again, starting, outcome=invalid)["reason"] == "InvalidSpec"
    suspended = builders.raycluster(groups=[], suspend=True)
    assert "reason" not in say(suspended)


def test_a_cluster_of_another_manager_is_left_alone() -> None:
    foreign = builders.raycluster(managedBy="kueue.x-k8s.io/multikueue")
    assert status.next_status(foreign, seen.Observed(), NOTHING, builders.NOW) is None
