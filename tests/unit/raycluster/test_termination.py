"""What comes before the end of a RayService's head."""

import subprocess
from typing import Any

import pytest

from ray_operator import names
from ray_operator.api import raycluster as api
from ray_operator.raycluster import desired, termination
from tests.unit import builders

REDIS = {"redisAddress": "redis:6379"}
SERVICE = {"labels": {names.ORIGIN_KIND_LABEL: "RayService"}}
OWN = {"preStop": {"exec": {"command": ["true"]}}}


def head_template(*, lifecycle: Any = None, grace: int | None = None) -> dict[str, Any]:
    template = builders.template("ray-head")
    if lifecycle is not None:
        template["spec"]["containers"][0]["lifecycle"] = lifecycle
    if grace is not None:
        template["spec"]["terminationGracePeriodSeconds"] = grace
    return template


def cluster_of(metadata: dict[str, Any], template: dict[str, Any], **spec: Any) -> api.RayCluster:
    head = {"rayStartParams": {}, "template": template}
    return builders.raycluster(metadata=metadata, headGroupSpec=head, **spec)


def of_head(cluster: api.RayCluster) -> Any:
    pod = desired.head_pod(cluster, settings=builders.SETTINGS)
    return pod["spec"]["containers"][0].get("lifecycle")


def of_worker(cluster: api.RayCluster) -> Any:
    (pod,) = desired.worker_pods(
        cluster,
        cluster.spec.worker_group_specs[0],
        places=[desired.Place()],
        settings=builders.SETTINGS,
    )
    return pod["spec"]["containers"][0].get("lifecycle")


def test_the_head_of_a_service_that_outlives_it_lets_requests_go_first() -> None:
    cluster = cluster_of(SERVICE, head_template(), gcsFaultToleranceOptions=REDIS)
    bash, flag, script = of_head(cluster)["preStop"]["exec"]["command"]
    subprocess.run([bash, "-n", flag, script], check=True)
    waits = [int(line.split()[1]) for line in script.splitlines() if line.startswith("sleep ")]
    assert sum(waits) == termination.SECONDS
    assert of_worker(cluster) is None


@pytest.mark.parametrize(
    ("metadata", "spec"),
    [
        (SERVICE, {}),
        ({}, {"gcsFaultToleranceOptions": REDIS}),
        ({"labels": {names.ORIGIN_KIND_LABEL: "RayJob"}}, {"gcsFaultToleranceOptions": REDIS}),
    ],
)
def test_where_a_head_takes_all_with_it_it_ends_at_once(
    metadata: dict[str, Any], spec: dict[str, Any]
) -> None:
    assert of_head(cluster_of(metadata, head_template(), **spec)) is None


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (head_template(lifecycle=OWN), OWN),
        (head_template(grace=termination.SECONDS), None),
        (head_template(grace=0), None),
    ],
)
def test_users_know_better(template: dict[str, Any], expected: Any) -> None:
    assert of_head(cluster_of(SERVICE, template, gcsFaultToleranceOptions=REDIS)) == expected


def test_a_head_that_sees_the_whole_node_ends_none_of_its_processes() -> None:
    template = head_template()
    template["spec"]["hostPID"] = True
    assert of_head(cluster_of(SERVICE, template, gcsFaultToleranceOptions=REDIS)) is None


def test_a_hook_of_the_users_for_the_start_stays_beside_it() -> None:
    start = {"postStart": {"exec": {"command": ["true"]}}}
    template = head_template(lifecycle=start, grace=termination.SECONDS + 1)
    found = of_head(cluster_of(SERVICE, template, gcsFaultToleranceOptions=REDIS))
    assert found.keys() == {"postStart", "preStop"}
    assert found["postStart"] == start["postStart"]
