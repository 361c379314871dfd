"""The lease against a real API server: what a renewal costs, and who goes on after it was lost."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.api import operators
from tests.support import apiserver
from tests.support import cluster as clusters

SYSTEM, LEASE = "ray-system", "ray-operator-leader"
FLAGS = ("--enable-leader-election=true", f"--leader-election-namespace={SYSTEM}")
SOON = timedelta(seconds=30)
STRANGER = "somebody-else"


@pytest.fixture(scope="module")
def api(programs: Path) -> Iterator[clusters.Cluster]:
    """An API server of these tests' own, for there is one lease."""
    with apiserver.running(programs) as server:
        apiserver.install_crds(server)
        server.kubectl("create", "namespace", SYSTEM)
        yield server


def wait_holder(api: clusters.Cluster, holds: bool, *, log: Path) -> None:
    """Wait until the operator holds the lease, or somebody else does."""

    def is_so() -> bool:
        found = (api.get("leases", SYSTEM, LEASE) or {}).get("spec", {}).get("holderIdentity")
        return bool(found) and (found != STRANGER) == holds

    try:
        api.wait(is_so, within=SOON, what="a holder of the lease", namespace=SYSTEM)
    finally:
        print(log.read_text()[-3000:])


def requests(port: int, method: str) -> float:
    return operators.counted(port, "rest_client_requests_total", f'method="{method}"')


def test_a_renewal_is_one_request(api: clusters.Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with operators.running(api, log, *FLAGS) as port:
        operators.wait_up(port)
        wait_holder(api, True, log=log)
        time.sleep(5)  # past what a start asks for
        puts, gets = requests(port, "PUT"), requests(port, "GET")
        time.sleep(11)
        assert 4 <= requests(port, "PUT") - puts <= 6
        assert requests(port, "GET") == gets


@pytest.mark.parametrize("what", ["taken", "deleted", "touched"])
def test_a_lease_that_another_has_written_is_looked_at(
    api: clusters.Cluster, tmp_path: Path, what: str
) -> None:
    """Who takes it has it until it expires; what merely changed is renewed further."""
    log = tmp_path / "log"
    with operators.running(api, log, *FLAGS) as port:
        operators.wait_up(port)
        wait_holder(api, True, log=log)
        before = api.get("leases", SYSTEM, LEASE)
        assert before is not None
        if what == "deleted":
            api.kubectl("-n", SYSTEM, "delete", "lease", LEASE)
        elif what == "taken":
            api.patch("leases", SYSTEM, LEASE, {"spec": {"holderIdentity": STRANGER}})
            api.wait(
                lambda: "lease lost" in log.read_text(),
                within=SOON,
                what="that it is lost",
                namespace=SYSTEM,
            )
        else:
            api.patch("leases", SYSTEM, LEASE, {"metadata": {"labels": {"a": "b"}}})
        wait_holder(api, True, log=log)
        time.sleep(5)
        after = api.get("leases", SYSTEM, LEASE)
        assert after is not None
        assert after["spec"]["renewTime"] > before["spec"]["renewTime"]
        assert ("lease lost" in log.read_text()) == (what == "taken")
        moved = after["spec"]["leaseTransitions"] - before["spec"]["leaseTransitions"]
        assert (after["metadata"]["uid"] == before["metadata"]["uid"]) == (what != "deleted")
        if what != "deleted":
            assert moved == (what == "taken")
            assert ("a" in after["metadata"].get("labels", {})) == (what == "touched")
