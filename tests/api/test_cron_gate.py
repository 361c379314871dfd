"""What isn't there yet, the feature gate or the CRD of RayCronJobs, is told and hinders nothing."""

from datetime import timedelta
from pathlib import Path

from tests.api import operators
from tests.support import apiserver
from tests.support import cluster as clusters
from tests.support.rulebook import example

CRDS = Path(__file__).parents[2] / "crds"
SOON = timedelta(seconds=60)
CRON = example.manifest("RayCronJob", {"spec/schedule": "@every 1m"}, name="gated")
OFF = (
    "the feature gate RayCronJob is off, so no RayJob is made: run the operator with"
    " --feature-gates=RayCronJob=true, or set it in featureGates of its Helm chart"
)


def wait_reason(api: clusters.Cluster, reason: str) -> clusters.Json:
    def is_told() -> clusters.Json | None:
        status = (api.get("raycronjobs", "default", "gated") or {}).get("status", {})
        for each in status.get("conditions", ()):
            if (each["type"], each["reason"]) == ("RayCronJobScheduled", reason):
                return dict(each)
        return None

    return api.wait(is_told, within=SOON, what=reason, namespace="default")


def wait_applied(api: clusters.Cluster, manifest: clusters.Json) -> None:
    """Make an object whose CRD may be a moment old."""

    def is_applied() -> bool:
        api.apply(manifest, "default")
        return True

    api.wait(is_applied, within=SOON, what="the CRD established", namespace="default")


def test_without_gate_or_crd_the_rest_goes_on_and_users_are_told(
    programs: Path, tmp_path: Path
) -> None:
    with apiserver.running(programs) as api:
        for path in sorted(CRDS.glob("*.yaml")):
            if "raycronjobs" not in path.name:
                api.kubectl("apply", "-f", str(path))
        log = tmp_path / "off.log"
        with operators.running(api, log):
            wait_applied(api, example.manifest("RayCluster", {}))
            api.wait(
                lambda: api.list("pods", "default", labels="ray.io/cluster=demo"),
                within=SOON,
                what="Pods without the CRD of RayCronJobs",
                namespace="default",
            )
            api.wait(
                lambda: "the CRD of RayCronJob is not installed" in log.read_text(),
                within=SOON,
                what="a word about it",
                namespace="default",
            )
            api.kubectl("apply", "-f", str(CRDS / "ray.io_raycronjobs.yaml"))
            wait_applied(api, CRON)
            said = wait_reason(api, "FeatureGateOff")
            assert (said["status"], said["message"]) == ("False", OFF)
            api.apply(example.manifest("RayCronJob", {}, name="another"), "default")
            api.wait(
                lambda: (
                    len(
                        [
                            e
                            for e in api.list("events", "default")
                            if e["reason"] == "FeatureGateOff"
                        ]
                    )
                    == 2
                ),
                within=SOON,
                what="an event for each",
                namespace="default",
            )
            assert log.read_text().count(OFF) == 1
        last = {"status": {"lastScheduleTime": "2026-01-01T00:00:00Z"}}
        api.patch("raycronjobs", "default", "gated", last, subresource="status")
        with operators.running(api, tmp_path / "on.log", "--feature-gates=RayCronJob=true"):
            wait_reason(api, "OnTime")
            assert api.list("rayjobs", "default") == []
