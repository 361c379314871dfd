"""The dashboard asks for metrics and labels that there are."""

import re
from collections.abc import Mapping

import prometheus_client
import pytest

from ray_operator import inventory, metrics
from scripts import dashboard

QUERIES = [
    query.expression
    for panels in dashboard.ROWS.values()
    for panel in panels
    for query in panel.queries
]
TARGET = {"job", "instance"}
"""Labels that Prometheus adds."""
SUFFIXES = ("", "_total", "_bucket", "_sum", "_count")
WORDS = re.compile(r"[a-z][a-z0-9_]{9,}")


def series() -> Mapping[str, set[str]]:
    """Return the labels of every series that the operator has, by its name."""
    found: dict[str, set[str]] = {
        "process_resident_memory_bytes": set(),
        "process_cpu_seconds_total": set(),
    }
    collectors = (inventory.RayClusters, inventory.RayJobs, inventory.RayServices)
    for collector in collectors:
        for family in collector(list).collect():
            found[family.name] = set(family._labelnames)  # type: ignore[attr-defined]
    for each in vars(metrics).values():
        if isinstance(each, prometheus_client.metrics.MetricWrapperBase):
            for suffix in SUFFIXES:
                found[each._name + suffix] = {*each._labelnames, "le"}
    return found


KNOWN = series()


@pytest.mark.parametrize("expression", QUERIES)
def test_what_is_asked_for_is_there(expression: str) -> None:
    outside = re.sub(r'"[^"]*"|label_replace|histogram_quantile', "", expression)
    names = {each for each in WORDS.findall(outside) if each in KNOWN}
    assert names, expression
    unknown = re.findall(r"([a-z_]{10,})(?=\{)", outside)
    assert set(unknown) <= KNOWN.keys()
    labels = TARGET.union(*(KNOWN[name] for name in names))
    used = set(re.findall(r"([a-z_]+)=~?\"", expression))
    for inner in re.findall(r"by \(([^)]*)\)", expression):
        used |= {each.strip() for each in inner.split(",")}
    assert used <= labels
