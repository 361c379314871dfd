"""What the benchmarks read of an operator: its requests, and how long keys waited."""

import json
import math
from pathlib import Path
from typing import cast

import pytest

from benchmarks import control_plane, spending
from tests.support import cluster as clusters

NOBODY = cast("clusters.Cluster", None)


@pytest.mark.parametrize(
    ("share", "seconds"), [(0.05, 0.025), (0.2, 0.1), (0.5, 0.44), (0.9, 0.89), (1.0, 1.0)]
)
def test_quantiles_are_interpolated(share: float, seconds: float) -> None:
    buckets = {0.1: 20, 1.0: 100, 10.0: 100, math.inf: 100}
    assert spending.quantile(buckets, share) == pytest.approx(seconds)


def test_beyond_the_last_edge_is_the_last_edge() -> None:
    assert spending.quantile({0.1: 0, 10.0: 1, math.inf: 100}, 0.5) == 10.0


@pytest.mark.parametrize("buckets", [{}, {0.1: 0, math.inf: 0}])
def test_nothing_has_no_quantile(buckets: dict[float, int]) -> None:
    assert spending.quantile(buckets, 0.99) is None


def entry(
    verb: str, resource: str, *, subresource: str = "", stage: str = "ResponseComplete"
) -> str:
    about = {"resource": resource, "subresource": subresource}
    return json.dumps({"stage": stage, "verb": verb, "objectRef": about}) + "\n"


def test_requests_are_counted_by_verb_and_resource(tmp_path: Path) -> None:
    audit = tmp_path / "audit.log"
    plane = control_plane.ControlPlane(NOBODY, NOBODY, audit)
    assert plane.written() == 0
    audit.write_text(entry("create", "pods"))
    since = plane.written()
    with audit.open("a") as log:
        log.write(entry("create", "pods") * 2)
        log.write(entry("patch", "rayclusters", subresource="status"))
        log.write(entry("patch", "leases"))
        log.write(entry("get", "leases"))
        log.write(entry("watch", "pods", stage="ResponseStarted"))
        log.write(entry("watch", "pods"))
    assert spending.asked(plane, since) == {
        "requests": {"create pods": 2, "patch rayclusters status": 1, "watch pods": 1},
        "lease_requests": 2,
        "writes": 3,
    }
    assert spending.asked(plane, 0)["writes"] == 4
