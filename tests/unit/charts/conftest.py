"""Helm and kubectl, from the local cluster's programs, and the charts that they render."""

from pathlib import Path

import pytest

from tests.support import charts, programs


@pytest.fixture(scope="session")
def tools() -> Path:
    """Return the folder of helm and kubectl, built when they aren't yet, which takes minutes."""
    return programs.built("helm", "kubernetes")


@pytest.fixture(scope="session")
def operator(tools: Path) -> charts.Helm:
    """The operator's chart."""
    return charts.Helm(tools, charts.ROOT / "charts/ray-operator")
