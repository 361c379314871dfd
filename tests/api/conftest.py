"""Fixtures of the tests against a bare API server: one for all, with our CRDs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import apiserver
from tests.support import cluster as clusters
from tests.support import programs as built_programs


@pytest.fixture(scope="session")
def programs() -> Path:
    """Return the folder of the Kubernetes programs, built when they aren't yet."""
    return built_programs.built("kubernetes")


@pytest.fixture(scope="session")
def api(programs: Path) -> Iterator[clusters.Cluster]:
    """Run an API server to which the CRDs were applied as users do it: twice, client-side."""
    with apiserver.running(programs) as server:
        for said in ("created", "unchanged"):
            told = apiserver.install_crds(server)
            assert told.count(said) == len(list(apiserver.CRDS.glob("*.yaml")))
        yield server
