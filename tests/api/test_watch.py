"""The operator's watch of our kinds outlives what happens to them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.api import operators
from tests.support import apiserver
from tests.support import cluster as clusters
from tests.support.rulebook import example

SOON = timedelta(seconds=40)
"""Far below the resync, which would find anything."""


@pytest.fixture(scope="module")
def bare(programs: Path) -> Iterator[clusters.Cluster]:
    with apiserver.running(programs) as server:
        yield server


def wait_pods(api: clusters.Cluster, name: str, log: Path) -> None:
    try:
        api.wait(
            lambda: api.list("pods", "default", labels=f"ray.io/cluster={name}"),
            within=SOON,
            what=f"Pods of {name}",
            namespace="default",
        )
    finally:
        print(log.read_text()[-5000:])


def test_crds_may_come_late_and_be_replaced(bare: clusters.Cluster, tmp_path: Path) -> None:
    log = tmp_path / "operator.log"
    with operators.running(bare, log) as port:
        bare.wait(
            lambda: "not installed" in log.read_text(),
            within=SOON,
            what="the operator waiting for CRDs",
            namespace="default",
        )
        apiserver.install_crds(bare)
        bare.apply(example.manifest("RayCluster", {}, name="first"), "default")
        wait_pods(bare, "first", log)
        bare.kubectl("delete", "crd", "--all", "--timeout=60s")
        apiserver.install_crds(bare)
        bare.apply(example.manifest("RayCluster", {}, name="second"), "default")
        wait_pods(bare, "second", log)
        assert operators.counted(port, "controller_runtime_reconcile_total") > 0
    assert "Traceback" not in log.read_text()


def test_refused_creates_are_tried_again_ever_more_rarely(
    bare: clusters.Cluster, tmp_path: Path
) -> None:
    """A quota refuses every Pod: the tries, and what is said of them, must stay few."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0"}},
    }
    log = tmp_path / "operator.log"
    bare.apply(quota, "default")
    # Without a controller the quota has no status, which the admission plugin waits for.
    status = {"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}}
    bare.kubectl(
        *("patch", "resourcequota", "none", "--subresource=status", "--type=merge"),
        *("-p", json.dumps(status)),
    )
    with operators.running(bare, log) as port:
        bare.apply(example.manifest("RayCluster", {}, name="poor"), "default")

        def refused() -> example.Json | None:
            found = bare.get("rayclusters", "default", "poor") or {}
            for each in found.get("status", {}).get("conditions", ()):
                if each["type"] == "ReplicaFailure" and "exceeded quota" in each["message"]:
                    return dict(each)
            return None

        said = bare.wait(refused, within=SOON, what="the refusal told", namespace="default")
        assert "poor-head-…" in said["message"]

        def wait_tries(count: int) -> float:
            """Wait for so many refusals; return how many changes were written by then."""
            requests = "rest_client_requests_total"
            bare.wait(
                lambda: operators.counted(port, requests, 'code="403"') >= count,
                within=SOON,
                what=f"{count} tries",
                namespace="default",
            )
            return operators.counted(port, requests, 'method="PATCH"')

        assert wait_tries(4) == wait_tries(7)
        bare.kubectl("delete", "resourcequota", "none")
        wait_pods(bare, "poor", log)


def test_a_start_lists_our_kinds_once_for_the_truth_and_once_for_the_watch(
    bare: clusters.Cluster, tmp_path: Path
) -> None:
    def lists() -> int:
        lines = bare.kubectl("get", "--raw", "/metrics").splitlines()
        wanted = ("apiserver_request_total{", 'resource="rayclusters"', 'verb="LIST"')
        ours = (line for line in lines if all(part in line for part in wanted))
        return sum(int(line.split()[-1]) for line in ours)

    apiserver.install_crds(bare)
    bare.kubectl("get", "rayclusters,rayjobs,rayservices,raycronjobs")  # else the first may fail
    before = lists()
    # It leads at once; had it waited for long, it would have to look again.
    with operators.running(bare, tmp_path / "operator.log", "--ignore-other-operators") as port:
        operators.wait_up(port)
    assert lists() - before == 2
