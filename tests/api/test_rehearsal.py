"""What `ray-operator adopt --dry-run` says of a cluster that no operator has seen yet."""

from pathlib import Path

from tests.api import operators
from tests.support import apiserver
from tests.support.rulebook import example


def test_what_would_be_made_is_told_and_not_made(programs: Path) -> None:
    with apiserver.running(programs) as api:
        apiserver.install_crds(api)
        group = {**example.CLUSTER["workerGroupSpecs"][0], "replicas": 1}
        api.apply(
            example.manifest("RayCluster", {"spec/workerGroupSpecs": [group]}, name="demo"),
            "default",
        )
        schedule = {"schedule": "0 4 * * *", "timeZone": "Etc/UTC"}
        changes = {f"spec/{field}": value for field, value in schedule.items()}
        api.apply(example.manifest("RayCronJob", changes, name="nightly"), "default")
        last = {"status": {"lastScheduleTime": "2026-01-01T00:00:00Z"}}
        api.patch("raycronjobs", "default", "nightly", last, subresource="status")
        told = operators.rehearsed(api, "--feature-gates=RayCronJob=true")
        made = [line for line in told if line.startswith("create ")]
        assert [line.split()[1] for line in made] == ["services", "pods", "pods", "rayjobs"]
        assert api.list("pods", "default") == []
        assert api.list("rayjobs", "default") == []
        found = api.get("rayclusters", "default", "demo")
        assert found is not None
        assert "status" not in found
