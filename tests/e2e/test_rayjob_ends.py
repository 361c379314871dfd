"""How RayJobs end: each way to fail, to be stopped, to be refused, on real Ray."""

from datetime import timedelta

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray, rayjobs

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("operator")]
MODES = ["K8sJobMode", "HTTPMode", "SidecarMode"]
MINUTE = timedelta(minutes=1)


def gone(cluster: clusters.Cluster, resource: str, namespace: str, name: str) -> None:
    """Wait until the object is gone."""
    cluster.wait(
        lambda: cluster.get(resource, namespace, name) is None,
        within=2 * MINUTE,
        what=f"{resource} {name} gone",
        namespace=namespace,
    )


def wait_submitted(cluster: clusters.Cluster, namespace: str, name: str) -> None:
    """Wait until the submitter's Job says success, which its controller may say late."""

    def is_said() -> bool:
        status = (cluster.get("jobs", namespace, name) or {}).get("status", {})
        assert "failed" not in status
        return bool(status.get("succeeded") == 1)

    cluster.wait(is_said, within=MINUTE, what=f"Job {name} succeeded", namespace=namespace)


def test_a_failing_script(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 2."""
    cluster.apply(rayjobs.ray_job("bad", "echo before; exit 7"), namespace)
    status = rayjobs.wait_phase(cluster, namespace, "bad", "Failed", job="FAILED")
    assert status["reason"] == "AppFailed"
    assert "before" in status["message"]
    assert ray.condition(status, "Failed")["reason"] == "AppFailed"
    name = status["rayClusterName"]
    assert cluster.get("rayclusters", namespace, name)
    wait_submitted(cluster, namespace, "bad")
    cluster.kubectl("-n", namespace, "delete", "rayjob", "bad", "--timeout=60s")
    gone(cluster, "rayclusters", namespace, name)
    gone(cluster, "jobs", namespace, "bad")


def test_a_submitter_that_cannot(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 3."""
    submits = "ray job submit --address http://no.such.host:8265 -- echo never"
    container = {"name": "mine", "image": ray.IMAGE, "command": ["bash", "-c", submits]}
    job = rayjobs.ray_job(
        "cannot",
        shutdownAfterJobFinishes=True,
        submitterConfig={"backoffLimit": 0},
        submitterPodTemplate={"spec": {"restartPolicy": "Never", "containers": [container]}},
    )
    cluster.apply(job, namespace)
    assert rayjobs.finished(cluster, namespace, "cannot") == ("Failed", "", "SubmissionFailed")
    gone(
        cluster,
        "rayclusters",
        namespace,
        rayjobs.status(cluster, namespace, "cannot")["rayClusterName"],
    )
    assert cluster.get("jobs", namespace, "cannot")


@pytest.mark.parametrize("mode", MODES)
def test_a_job_that_stops_itself(cluster: clusters.Cluster, namespace: str, mode: str) -> None:
    """Checklist 4."""
    script = (
        'python -c "import os, urllib.request as u; u.urlopen(u.Request('
        "'http://127.0.0.1:8265/api/jobs/' + os.environ['RAY_JOB_SUBMISSION'] + '/stop',"
        " method='POST', headers={'User-Agent': 'x'}))\"; sleep 60"
    )
    env = "{env_vars: {RAY_JOB_SUBMISSION: stops-itself}}"
    job = rayjobs.ray_job("stops", script, mode=mode, jobId="stops-itself", runtimeEnvYAML=env)
    cluster.apply(job, namespace)
    assert rayjobs.finished(cluster, namespace, "stops") == ("Complete", "STOPPED", "")


def test_what_breaks_a_rule_is_refused_and_can_be_mended(
    cluster: clusters.Cluster, namespace: str
) -> None:
    """Checklist 5."""
    job = rayjobs.ray_job("rules", mode="HTTPMode", runtimeEnvYAML="invalid_yaml_string")
    cluster.apply(job, namespace)
    status = rayjobs.wait_phase(cluster, namespace, "rules", "ValidationFailed")
    assert "runtimeEnvYAML" in status["message"]
    assert "rayClusterName" not in status
    cluster.patch("rayjobs", namespace, "rules", {"spec": {"runtimeEnvYAML": "env_vars: {A: b}"}})
    assert rayjobs.finished(cluster, namespace, "rules") == ("Complete", "SUCCEEDED", "")
    name = "a" * 47
    cluster.apply(rayjobs.ray_job(name, mode="K8sJobMode"), namespace)
    assert rayjobs.finished(cluster, namespace, name) == ("Complete", "SUCCEEDED", "")
    with pytest.raises(clusters.CommandFailed, match="47"):
        cluster.apply(rayjobs.ray_job(name + "a"), namespace)


def test_a_deadline_counts_for_all_attempts(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 6; the job on a cluster that stays is stopped too."""
    job = rayjobs.ray_job(
        "late", "sleep 600", mode="HTTPMode", activeDeadlineSeconds=30, backoffLimit=2
    )
    cluster.apply(job, namespace)
    status = rayjobs.wait_phase(cluster, namespace, "late", "Failed")
    assert (status["reason"], status["failed"]) == ("DeadlineExceeded", 1)
    rayjobs.wait_phase(cluster, namespace, "late", "Failed", job="STOPPED", within=MINUTE)


def test_the_pre_running_deadline(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 13."""
    image = {"spec": {"containers": [{"name": "ray-head", "image": "no.such.registry/ray:1"}]}}
    job = rayjobs.ray_job(
        "stuck",
        cluster={"head": {"template": image}},
        preRunningDeadlineSeconds=10,
    )
    cluster.apply(job, namespace)
    waiting = rayjobs.ray_job("waits", "", mode="InteractiveMode", preRunningDeadlineSeconds=60)
    cluster.apply(waiting, namespace)
    for name in ("stuck", "waits"):
        end = rayjobs.finished(cluster, namespace, name)
        assert end == ("Failed", "", "PreRunningDeadlineExceeded")


@pytest.mark.parametrize("mode", MODES)
def test_attempts_are_counted(cluster: clusters.Cluster, namespace: str, mode: str) -> None:
    """Checklist 14."""
    job = rayjobs.ray_job("again", "exit 1", mode=mode, backoffLimit=2)
    cluster.apply(job, namespace)
    first = rayjobs.wait_phase(cluster, namespace, "again", "Running")["rayClusterName"]
    status = rayjobs.wait_phase(cluster, namespace, "again", "Failed", job="FAILED")
    assert (status["failed"], status["succeeded"]) == (3, 0)
    assert status["reason"] == "AppFailed"
    assert status["rayClusterName"] != first
    assert cluster.get("rayclusters", namespace, first) is None
    if mode == "K8sJobMode":
        wait_submitted(cluster, namespace, "again")


def test_suspended_and_resumed(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 15."""
    job = rayjobs.ray_job("pausing", "sleep 25", shutdownAfterJobFinishes=True, suspend=True)
    cluster.apply(job, namespace)
    rayjobs.wait_phase(cluster, namespace, "pausing", "Suspended")
    assert cluster.list("rayclusters", namespace) == []
    cluster.patch("rayjobs", namespace, "pausing", {"spec": {"suspend": False}})
    status = rayjobs.wait_phase(cluster, namespace, "pausing", "Running")
    cluster.patch("rayjobs", namespace, "pausing", {"spec": {"suspend": True}})
    rayjobs.wait_phase(cluster, namespace, "pausing", "Suspended")
    assert cluster.list("rayclusters", namespace) == []
    assert cluster.list("jobs", namespace) == []
    assert cluster.list("pods", namespace) == []
    cluster.patch("rayjobs", namespace, "pausing", {"spec": {"suspend": False}})
    rayjobs.wait_phase(cluster, namespace, "pausing", "Running")
    again = rayjobs.wait_phase(cluster, namespace, "pausing", "Complete", job="SUCCEEDED")
    assert again["rayClusterName"] != status["rayClusterName"]


def test_another_managers_job_is_left_alone(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 9."""
    job = rayjobs.ray_job("foreign", managedBy="kueue.x-k8s.io/multikueue")
    cluster.apply(job, namespace)
    mine = rayjobs.ray_job("mine", mode="HTTPMode")
    cluster.apply(mine, namespace)
    rayjobs.wait_phase(cluster, namespace, "mine", "Running")  # it had its turn by now
    assert rayjobs.status(cluster, namespace, "foreign") == {}
    with pytest.raises(clusters.CommandFailed, match="managedBy can't be changed"):
        cluster.patch(
            "rayjobs", namespace, "foreign", {"spec": {"managedBy": "ray.io/kuberay-operator"}}
        )


def test_the_operator_may_delete_finished_jobs(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    """Checklist 22."""
    values = {"env": [{"name": "DELETE_RAYJOB_CR_AFTER_JOB_FINISHES", "value": "true"}]}
    try:
        operators.install(cluster, namespace=operator.namespace, values=values)
        job = rayjobs.ray_job("goes", mode="HTTPMode", shutdownAfterJobFinishes=True)
        cluster.apply(job, namespace)
        rayjobs.wait_phase(cluster, namespace, "goes", "Running")
        gone(cluster, "rayjobs", namespace, "goes")
        assert cluster.list("rayclusters", namespace) == []
    finally:
        operators.install(cluster, namespace=operator.namespace)
