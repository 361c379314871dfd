"""Metrics about resources."""

from typing import Any

import prometheus_client
import pytest

from ray_operator import inventory, names, records, resources

IDENTITY = {"name": "demo", "namespace": "ns1", "uid": "uid-demo"}


def store(*bodies: dict[str, Any]) -> resources.Resources:
    made = resources.Resources(lambda _: None)
    for body in bodies:
        put(made, body)
    return made


def put(into: resources.Resources, body: dict[str, Any]) -> None:
    metadata = body["metadata"]
    into.put(records.Key(body["kind"], metadata["namespace"], metadata["name"]), body)


def cluster(
    name: str = "demo",
    *,
    version: int = 1,
    provisioned: str | None = None,
    at: str = "2026-01-01T12:01:30Z",
    **metadata: Any,
) -> dict[str, Any]:
    condition = {"type": "RayClusterProvisioned", "status": provisioned, "lastTransitionTime": at}
    return {
        "kind": "RayCluster",
        "metadata": {
            "name": name,
            "namespace": "ns1",
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T12:00:00Z",
            **metadata,
        },
        "status": {"conditions": [condition]} if provisioned else {},
    }


class Scrape:
    """What Prometheus would read of a store, again and again."""

    def __init__(self, of: resources.Resources) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        for collector in (inventory.RayClusters, inventory.RayJobs, inventory.RayServices):
            self._registry.register(collector(of.entries))

    def __call__(self) -> list[tuple[str, dict[str, str], float]]:
        return [
            (sample.name, sample.labels, sample.value)
            for family in self._registry.collect()
            for sample in family.samples
        ]


def series(
    *, owner: str = "None", condition: str = "false", seconds: float | None = None
) -> list[tuple[str, dict[str, str], float]]:
    name = "kuberay_cluster_provisioned_duration_seconds"
    return [
        ("kuberay_cluster_info", {**IDENTITY, "owner_kind": owner}, 1.0),
        ("kuberay_cluster_condition_provisioned", {**IDENTITY, "condition": condition}, 1.0),
        *([(name, IDENTITY, seconds)] if seconds is not None else []),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (cluster(), series()),
        (cluster(provisioned="False"), series()),
        (cluster(provisioned="True"), series(condition="true", seconds=90)),
        (cluster(labels={names.ORIGIN_KIND_LABEL: "RayJob"}), series(owner="RayJob")),
        (cluster(labels=None) | {"status": None}, series()),
    ],
    ids=["new", "not yet", "provisioned", "of a RayJob", "nulls"],
)
def test_a_cluster_is_told_of_from_what_it_says(
    body: dict[str, Any], expected: list[tuple[str, dict[str, str], float]]
) -> None:
    assert Scrape(store(body))() == expected


def test_the_duration_outlives_a_suspension_and_is_counted_from_creation_again() -> None:
    kept = store(cluster(provisioned="True"))
    scrape = Scrape(kept)
    assert scrape() == series(condition="true", seconds=90)
    put(kept, cluster(version=2, provisioned="False", at="2026-01-01T13:00:00Z"))
    assert scrape() == series(seconds=90)
    put(kept, cluster(version=3, provisioned="True", at="2026-01-01T14:00:00Z"))
    assert scrape() == series(condition="true", seconds=7200)


def test_nothing_is_told_of_a_cluster_that_is_gone() -> None:
    kept = store(cluster(provisioned="True"))
    scrape = Scrape(kept)
    scrape()
    kept.drop(records.Key("RayCluster", "ns1", "demo"), "uid-demo")
    assert scrape() == []
    put(kept, cluster(version=9, provisioned="False", uid="uid-later"))
    assert [labels["uid"] for _, labels, _ in scrape()] == ["uid-later"] * len(series())


def test_other_kinds_and_what_cannot_be_read_are_left_out() -> None:
    job = cluster("job") | {"kind": "RayCronJob"}
    broken = cluster("broken") | {"status": {"conditions": "many"}}
    assert Scrape(store(job, broken, cluster()))() == series()


def job(version: int = 1, **status: Any) -> dict[str, Any]:
    return cluster(version=version) | {"kind": "RayJob", "status": status}


def job_series(phase: str, *duration: tuple[str, float]) -> list[tuple[str, dict[str, str], float]]:
    name = "kuberay_job_execution_duration_seconds"
    return [
        ("kuberay_job_info", IDENTITY, 1.0),
        ("kuberay_job_deployment_status", {**IDENTITY, "deployment_status": phase}, 1.0),
        *(
            (name, {**IDENTITY, "job_deployment_status": phase, "retry_count": count}, seconds)
            for count, seconds in duration
        ),
    ]


TIMES: dict[str, Any] = {"startTime": "2026-01-01T12:00:00Z", "endTime": "2026-01-01T12:01:30Z"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, job_series("")),
        ({"jobDeploymentStatus": None, "failed": None}, job_series("")),
        (TIMES | {"jobDeploymentStatus": "Running"}, job_series("Running")),
        (
            TIMES | {"jobDeploymentStatus": "Complete", "succeeded": 1, "failed": 2},
            job_series("Complete", ("2", 90)),
        ),
        (TIMES | {"jobDeploymentStatus": "Failed", "failed": 3}, job_series("Failed", ("2", 90))),
        (
            {
                "jobDeploymentStatus": "Retrying",
                "startTime": "2026-01-01T12:00:00Z",
                "teardownStartTime": "2026-01-01T12:00:07Z",
                "failed": 1,
            },
            job_series("Retrying", ("0", 7)),
        ),
        ({"jobDeploymentStatus": "Retrying", "failed": 1}, job_series("Retrying")),
        (
            {
                "jobDeploymentStatus": "Suspending",
                "startTime": "2026-01-01T12:00:00Z",
                "teardownStartTime": "2026-01-01T12:00:07Z",
            },
            job_series("Suspending"),
        ),
        ({"jobDeploymentStatus": "ValidationFailed"}, job_series("ValidationFailed")),
    ],
)
def test_a_job_is_told_of_from_what_it_says(
    status: dict[str, Any], expected: list[tuple[str, dict[str, str], float]]
) -> None:
    assert Scrape(store(job(**status)))() == expected


def test_a_duration_goes_with_the_attempt_and_all_with_the_job() -> None:
    kept = store(job(jobDeploymentStatus="Failed", failed=1, **TIMES))
    scrape = Scrape(kept)
    assert scrape() == job_series("Failed", ("0", 90))
    put(kept, job(2, jobDeploymentStatus="Running", startTime="2026-01-01T13:00:00Z"))
    assert scrape() == job_series("Running")
    kept.drop(records.Key("RayJob", "ns1", "demo"), "uid-demo")
    assert scrape() == []


def test_a_service_is_told_of_from_what_it_says() -> None:
    metadata = {"name": "demo", "namespace": "ns1", "uid": "uid-demo", "resourceVersion": "1"}
    body: dict[str, Any] = {"kind": "RayService", "metadata": metadata}
    kept = store(body)
    scrape = Scrape(kept)
    names_ = ("ready", "upgrade_in_progress", "suspended")
    assert scrape() == [
        ("kuberay_service_info", IDENTITY, 1),
        *(
            (f"kuberay_service_condition_{each}", {**IDENTITY, "condition": "false"}, 1)
            for each in names_
        ),
        ("kuberay_service_serve_endpoints", IDENTITY, 0),
    ]
    conditions = [
        {"type": "Ready", "status": "True"},
        {"type": "UpgradeInProgress", "status": "Unknown"},
    ]
    status = {"conditions": conditions, "numServeEndpoints": 3}
    put(kept, {**body, "metadata": {**metadata, "resourceVersion": "2"}, "status": status})
    found = {(name, labels.get("condition")): value for name, labels, value in scrape()}
    assert found == {
        ("kuberay_service_info", None): 1,
        ("kuberay_service_condition_ready", "true"): 1,
        ("kuberay_service_condition_upgrade_in_progress", "false"): 1,
        ("kuberay_service_condition_suspended", "false"): 1,
        ("kuberay_service_serve_endpoints", None): 3,
    }
    kept.drop(records.Key("RayService", "ns1", "demo"), "uid-demo")
    assert scrape() == []
