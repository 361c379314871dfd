"""A deleted cluster with state in Redis, where no Job can run: it goes nevertheless."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.api import operators
from tests.support import cluster as clusters
from tests.support.rulebook import example

FINALIZER = "ray.io/gcs-ft-redis-cleanup-finalizer"
FT = {"spec/gcsFaultToleranceOptions": {"redisAddress": "redis:6379"}}
SOON = timedelta(seconds=30)


@pytest.fixture(scope="module", autouse=True)
def operator(api: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with operators.running(api, tmp_path_factory.mktemp("operator") / "log"):
        yield


def started(api: clusters.Cluster, namespace: str, name: str, **metadata: object) -> None:
    """Make such a cluster, and wait for its finalizer and its head."""
    manifest = example.manifest("RayCluster", FT, name=name)
    manifest["metadata"] |= metadata
    api.apply(manifest, namespace)

    def is_held() -> bool:
        found = api.get("rayclusters", namespace, name) or {}
        held = FINALIZER in found.get("metadata", {}).get("finalizers", ())
        pods = api.list("pods", namespace, labels=f"ray.io/cluster={name}")
        assert held or not pods, "the finalizer comes before the first Pod"
        return bool(held and pods)

    api.wait(is_held, within=SOON, what=f"{name} held", namespace=namespace)


def wait_gone(api: clusters.Cluster, namespace: str, name: str) -> float:
    began = time.monotonic()
    api.delete("rayclusters", namespace, name)
    api.wait(
        lambda: api.get("rayclusters", namespace, name) is None,
        within=SOON,
        what=f"{name} gone",
        namespace=namespace,
    )
    return time.monotonic() - began


def test_a_namespace_that_goes_takes_its_clusters_along(api: clusters.Cluster) -> None:
    api.kubectl("create", "namespace", "going")
    started(api, "going", "demo")
    api.kubectl("delete", "namespace", "going", "--wait=false")
    wait_gone(api, "going", "demo")


def test_a_job_that_never_runs_is_waited_for_as_long_as_the_user_says(
    api: clusters.Cluster,
) -> None:
    started(api, "default", "slow", annotations={"ray.io/gcs-ft-deletion-timeout": "6"})
    assert 4 < wait_gone(api, "default", "slow") < 20
    reasons = {each["reason"] for each in api.list("events", "default")}
    assert {"CreatedRedisCleanupJob", "ForceDeletedStuckCluster"} <= reasons
