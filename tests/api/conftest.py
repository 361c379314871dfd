"""Fixtures of the tests against a bare API server: one for all, with our CRDs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import apiserver
from tests.support import cluster as clusters
from tests.support import programs as built_programs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def programs() -> Path:
    """Return the folder of the Kubernetes programs, built when they aren't yet."""
    return built_programs.built("kubernetes")


@pytest.fixture(scope="session")
def api(programs: Path) -> Iterator[clusters.Cluster]:
    """Run an API server to which the CRDs were applied as users do it: twice, client-side."""
    with apiserver.running(programs) as server:
        for said in ("created", "unchanged"):
            told = server.kubectl("apply", "-f", str(ROOT / "crds"))
            assert told.count(said) == len(list((ROOT / "crds").glob("*.yaml")))
        server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        yield server
