"""How soon workers come, beside Ray's own autoscaler in the same run."""

import statistics

import pytest

from tests.support import audit as audits
from tests.support import cluster as clusters
from tests.support import latencies, operators

pytestmark = [pytest.mark.full, pytest.mark.timeout(2400)]


def test_demand_is_served_no_later_than_by_rays_own_autoscaler(
    cluster: clusters.Cluster,
    operator: operators.Operator,
    audit: audits.Log,
    namespace: str,
) -> None:
    """On the newest Ray, at the median and at the ninth of ten."""
    found = latencies.measure(cluster, operator, audit, namespace)
    print(found)
    for ours, rays in zip(found[latencies.OURS], found[latencies.RAYS], strict=True):
        assert statistics.median(ours) <= statistics.median(rays)
        assert statistics.quantiles(ours, n=10)[-1] <= statistics.quantiles(rays, n=10)[-1]
    assert statistics.median(found[latencies.OURS].created) <= 1.5
