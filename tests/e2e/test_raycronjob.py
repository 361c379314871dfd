"""RayCronJobs whose runs are real RayJobs, on a Ray cluster that all of them share."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import SharedRayCluster
from tests.support import cluster as clusters
from tests.support import kills, operators, ray, rayjobs, samples

pytestmark = pytest.mark.full
GATE = {"featureGates": [{"name": "RayCronJob", "enabled": True}]}
TICK = timedelta(minutes=1)
JOBS = """
import json
from ray.job_submission import JobSubmissionClient
jobs = JobSubmissionClient("http://127.0.0.1:8265").list_jobs()
print(json.dumps({job.submission_id: job.status for job in jobs}))
"""


@pytest.fixture(scope="module", autouse=True)
def gate(operator: operators.Operator) -> Iterator[None]:
    with kills.reinstalled(operator, GATE):
        yield


def cron(name: str, on: str, entrypoint: str, **spec: Any) -> clusters.Json:
    """Return a RayCronJob that is due each minute."""
    template = rayjobs.ray_job("", entrypoint, mode="HTTPMode", on=on)["spec"]
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCronJob",
        "metadata": {"name": name},
        "spec": {"schedule": "*/1 * * * *", "jobTemplate": template, **spec},
    }


def runs(cluster: clusters.Cluster, namespace: str, name: str) -> list[clusters.Json]:
    """Return its RayJobs, in the order of their ticks."""
    found = cluster.list("rayjobs", namespace, labels=f"ray.io/cronjob-name={name}")
    return sorted(found, key=lambda job: str(job["metadata"]["name"]))


def wait_runs(
    cluster: clusters.Cluster, namespace: str, name: str, count: int
) -> list[clusters.Json]:
    def made() -> list[clusters.Json] | None:
        found = runs(cluster, namespace, name)
        return found if len(found) >= count else None

    what = f"{count} runs of {name}"
    return cluster.wait(made, within=(count + 1) * TICK, what=what, namespace=namespace)


def wait_status(cluster: clusters.Cluster, namespace: str, job: clusters.Json) -> clusters.Json:
    name = job["metadata"]["name"]
    return rayjobs.wait_phase(cluster, namespace, name, "Complete", job="SUCCEEDED")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("sample", samples.runnable("ray-cronjob"), ids=lambda path: path.name)
def test_a_sample_runs_at_its_time(
    operator: operators.Operator, namespace: str, sample: Path
) -> None:
    """Every minute here, whatever its own time is."""
    cluster, manifest = operator.cluster, yaml.safe_load(sample.read_text())
    manifest["spec"] |= {"schedule": "*/1 * * * *", "concurrencyPolicy": "Forbid"}
    cluster.apply(manifest, namespace)
    name = manifest["metadata"]["name"]
    (first, *_) = wait_runs(cluster, namespace, name, 1)
    wait_status(cluster, namespace, first)


def test_one_run_a_tick_though_the_operator_goes_away(
    operator: operators.Operator, shared_ray_cluster: SharedRayCluster
) -> None:
    """Checklist 25: suspended none, resumed one a tick, each at its tick; history is kept short."""
    cluster, (namespace, shared) = operator.cluster, shared_ray_cluster
    manifest = cron("each", shared, "echo tick", successfulJobsHistoryLimit=1, suspend=True)
    cluster.apply(manifest, namespace)
    cluster.kubectl("-n", namespace, "wait", "raycronjob/each", "--for=create", "--timeout=10s")
    cluster.patch("raycronjobs", namespace, "each", {"spec": {"suspend": False}})
    (first,) = wait_runs(cluster, namespace, "each", 1)
    operator.scale(0)
    operator.scale(1)
    wait_status(cluster, namespace, first)

    def second() -> clusters.Json | None:
        found = runs(cluster, namespace, "each")[-1]
        return found if found["metadata"]["name"] > first["metadata"]["name"] else None

    job = cluster.wait(second, within=2 * TICK, what="the next run", namespace=namespace)
    wait_status(cluster, namespace, job)
    cluster.patch("raycronjobs", namespace, "each", {"spec": {"suspend": True}})
    names = [int(each["metadata"]["name"].removeprefix("each-")) for each in (first, job)]
    assert names[1] == names[0] + 1
    status = (cluster.get("raycronjobs", namespace, "each") or {})["status"]
    assert int(moment(status["lastScheduleTime"]).timestamp()) == 60 * names[1]
    cluster.wait(
        lambda: (
            [each["metadata"]["name"] for each in runs(cluster, namespace, "each")]
            == [job["metadata"]["name"]]
        ),
        within=TICK,
        what="one run kept",
        namespace=namespace,
    )
    cluster.kubectl("-n", namespace, "delete", "raycronjob", "each", "--timeout=30s")


def test_forbid_waits_for_the_real_end(
    cluster: clusters.Cluster, shared_ray_cluster: SharedRayCluster
) -> None:
    """The tick in the middle of a run is made up for at its end, not beside it."""
    namespace, shared = shared_ray_cluster
    manifest = cron("forbid", shared, "sleep 75", concurrencyPolicy="Forbid")
    cluster.apply(manifest, namespace)
    (first,) = wait_runs(cluster, namespace, "forbid", 1)
    ended = wait_status(cluster, namespace, first)
    _, second, *more = wait_runs(cluster, namespace, "forbid", 2)
    cluster.patch("raycronjobs", namespace, "forbid", {"spec": {"suspend": True}})
    assert not more
    gap = moment(second["metadata"]["creationTimestamp"]) - moment(ended["endTime"])
    print(f"the next run was made {gap.total_seconds()} s after the end of the one before")
    assert timedelta(0) <= gap < timedelta(seconds=10)
    cluster.kubectl("-n", namespace, "delete", "raycronjob", "forbid", "--timeout=30s")


def test_replace_stops_what_runs(
    cluster: clusters.Cluster, shared_ray_cluster: SharedRayCluster
) -> None:
    """The run before goes with its driver: its finalizer stops it on the cluster that stays."""
    namespace, shared = shared_ray_cluster
    manifest = cron("replace", shared, "sleep 600", concurrencyPolicy="Replace")
    cluster.apply(manifest, namespace)
    (first,) = wait_runs(cluster, namespace, "replace", 1)
    name = first["metadata"]["name"]
    job_id = rayjobs.wait_phase(cluster, namespace, name, "Running", job="RUNNING")["jobId"]

    def replaced() -> clusters.Json | None:
        found = runs(cluster, namespace, "replace")
        names = [each["metadata"]["name"] for each in found]
        return found[0] if len(found) == 1 and names != [name] else None

    second = cluster.wait(replaced, within=2 * TICK, what="the next run", namespace=namespace)
    cluster.patch("raycronjobs", namespace, "replace", {"spec": {"suspend": True}})
    new = second["metadata"]["name"]
    other = rayjobs.wait_phase(cluster, namespace, new, "Running", job="RUNNING")["jobId"]

    def is_on_ray(job: str, status: str) -> bool:
        return bool(json.loads(ray.python(cluster, namespace, shared, JOBS))[job] == status)

    def wait_stopped(job: str) -> None:
        what = f"{job} stopped on Ray"
        cluster.wait(lambda: is_on_ray(job, "STOPPED"), within=TICK, what=what, namespace=namespace)

    wait_stopped(job_id)
    assert is_on_ray(other, "RUNNING")
    cluster.kubectl("-n", namespace, "delete", "raycronjob", "replace", "--timeout=30s")
    cluster.wait(
        lambda: not runs(cluster, namespace, "replace"),
        within=TICK,
        what="no runs of a RayCronJob that is gone",
        namespace=namespace,
    )
    wait_stopped(other)
