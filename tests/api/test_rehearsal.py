"""What `ray-operator adopt --dry-run` says of a cluster that no operator has seen yet."""

from pathlib import Path

from tests.api import operators
from tests.support import adoption, apiserver
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


def test_a_cluster_that_a_service_would_get_is_told(programs: Path) -> None:
    golden = Path(__file__).parents[1] / "golden/service.out.yaml"
    with apiserver.running(programs) as api:
        apiserver.install_crds(api)
        for namespace in ("as-it-is", "edited"):
            service, children = adoption.read(golden)
            if namespace == "edited":
                head = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
                head["containers"][0]["image"] = "rayproject/ray:2.47.0"
            api.kubectl("create", "namespace", namespace)
            adoption.leave(api, namespace, service, children)
        told = operators.rehearsed(api)
        (line,) = (line for line in told if "would get RayCluster" in line)
        assert line.startswith("rayservices edited/svc would get RayCluster svc-")
        assert told[-1].startswith("4 resources: 0 Pods would be made and 0 deleted")
        assert len(api.list("rayclusters", "edited")) == 1
