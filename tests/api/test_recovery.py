"""A bad spec, told by the operator: seen, mended, deleted."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.api import operators
from tests.support import cluster as clusters
from tests.support.rulebook import example

BAD = {"spec/headGroupSpec/rayStartParams": {"resources": "{a: 1}"}}
SAID = (
    "spec.headGroupSpec.rayStartParams.resources: {a: 1} is no JSON object of numbers: write it"
    " like '{\"name\": 1}'"
)
SOON = timedelta(seconds=30)


@pytest.fixture(scope="module", autouse=True)
def operator(api: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with operators.running(api, tmp_path_factory.mktemp("operator") / "log"):
        yield


def condition(api: clusters.Cluster, name: str) -> example.Json | None:
    """Return the condition about the spec, if it is of the newest generation."""
    found = api.get("rayclusters", "default", name)
    assert found is not None
    for each in found.get("status", {}).get("conditions", ()):
        if each["type"] == "RayClusterSpecValid":
            is_new = each["observedGeneration"] == found["metadata"]["generation"]
            return dict(each) if is_new else None
    return None


def wait_told(api: clusters.Cluster, name: str, status: str) -> example.Json:
    def told() -> example.Json | None:
        found = condition(api, name)
        return found if found and found["status"] == status else None

    return api.wait(told, within=SOON, what=f"RayClusterSpecValid {status}", namespace="default")


def told_by_event(api: clusters.Cluster, name: str) -> list[str]:
    return [
        each["message"]
        for each in api.list("events", "default")
        if each["involvedObject"]["name"] == name and each["reason"] == "InvalidRayClusterSpec"
    ]


def test_a_bad_spec_is_told_and_work_goes_on_once_it_is_mended(api: clusters.Cluster) -> None:
    api.apply(example.manifest("RayCluster", BAD, name="bad"), "default")
    said = wait_told(api, "bad", "False")
    assert (said["reason"], said["message"]) == ("InvalidSpec", SAID)
    api.wait(
        lambda: told_by_event(api, "bad") == [SAID],
        within=SOON,
        what="an event",
        namespace="default",
    )
    assert api.list("pods", "default", labels="ray.io/cluster=bad") == []
    api.kubectl("label", "raycluster", "bad", "touched=yes")  # no second event for it
    mended = {"spec": {"headGroupSpec": {"rayStartParams": {"resources": '{"a": 1}'}}}}
    api.patch("rayclusters", "default", "bad", mended)
    assert wait_told(api, "bad", "True")["reason"] == "Valid"
    api.wait(
        lambda: api.list("pods", "default", labels="ray.io/cluster=bad"),
        within=SOON,
        what="Pods",
        namespace="default",
    )
    assert told_by_event(api, "bad") == [SAID]


def test_a_running_cluster_whose_spec_is_broken_goes_on_as_it_is(api: clusters.Cluster) -> None:
    api.apply(example.manifest("RayCluster", {}, name="running"), "default")
    wait_told(api, "running", "True")

    def pods() -> list[str]:
        found = api.list("pods", "default", labels="ray.io/cluster=running")
        return sorted(each["metadata"]["uid"] for each in found)

    api.wait(pods, within=SOON, what="Pods", namespace="default")
    before = pods()
    broken = {"spec": {"headGroupSpec": {"rayStartParams": {"resources": "{a: 1}"}}}}
    api.patch("rayclusters", "default", "running", broken)
    wait_told(api, "running", "False")
    assert pods() == before


def test_deletion_does_not_wait_for_validity(api: clusters.Cluster) -> None:
    api.apply(example.manifest("RayCluster", BAD, name="doomed"), "default")
    wait_told(api, "doomed", "False")
    api.delete("rayclusters", "default", "doomed")
    api.wait(
        lambda: api.get("rayclusters", "default", "doomed") is None,
        within=SOON,
        what="its end",
        namespace="default",
    )
