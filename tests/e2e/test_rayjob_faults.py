"""Whatever is killed, a job's driver starts once, and the verdict is the right one.

Driver starts are counted in a Redis beside, which no head's end can touch.
"""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support import cluster as clusters
from tests.support import kills, operators, ray, rayjobs, redis

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("operator")]
MINUTE = timedelta(minutes=1)
COUNTED = (
    "bash -c 'exec 3<>/dev/tcp/redis/6379;"
    r' printf "AUTH pass\r\nINCR starts-{name}\r\n" >&3; head -c 6 <&3 >/dev/null'
    "';"
)
"""Notes one start under a name, over Redis' inline protocol; Ray's own shell has no /dev/tcp."""
TIMEOUT = {"name": "RAYJOB_STATUS_CHECK_TIMEOUT_SECONDS", "value": "20"}
SIGNAL_DASHBOARD = """
import os, pathlib, signal, sys
for folder in pathlib.Path("/proc").iterdir():
    if not folder.name.isdigit():
        continue
    words = (folder / "cmdline").read_bytes().decode().split(chr(0))
    if any("dashboard/dashboard.py" in word or "ray-dashboard" in word for word in words):
        os.kill(int(folder.name), getattr(signal, {signal!r}))
        print("signalled", folder.name)
"""


def counted(name: str, script: str) -> str:
    """Return an entrypoint that notes its start, then goes on."""
    return COUNTED.replace("{name}", name) + " " + script


def starts(cluster: clusters.Cluster, namespace: str, name: str) -> int:
    """Return how often a driver of that name has started."""
    cli = ("redis-cli", "--no-auth-warning", "-a", redis.PASSWORD, "get", f"starts-{name}")
    said = cluster.kubectl("-n", namespace, "exec", "redis", "--", *cli).strip()
    return int(said) if said else 0


@pytest.fixture
def counting(cluster: clusters.Cluster, namespace: str) -> str:
    """A namespace with a Redis."""
    redis.start(cluster, namespace)
    return namespace


def wait_started(cluster: clusters.Cluster, namespace: str, name: str) -> None:
    cluster.wait(
        lambda: starts(cluster, namespace, name) == 1,
        within=2 * MINUTE,
        what=f"the driver of {name} started",
        namespace=namespace,
    )


@pytest.mark.parametrize("mode", ["K8sJobMode", "HTTPMode", "SidecarMode"])
def test_a_lost_head_is_told_within_seconds(
    cluster: clusters.Cluster, counting: str, mode: str
) -> None:
    """Checklist 7 and 8."""
    job = rayjobs.ray_job("lost", counted("lost", "sleep 600"), mode=mode)
    if mode == "K8sJobMode":
        job["spec"]["submitterConfig"] = {"backoffLimit": 0}
    cluster.apply(job, counting)
    status = rayjobs.wait_phase(cluster, counting, "lost", "Running", job="RUNNING")
    wait_started(cluster, counting, "lost")
    name = status["rayClusterName"]
    made = cluster.get("rayclusters", counting, name)
    assert made is not None
    assert made["metadata"]["labels"]["ray.io/job-submission-mode"] == mode
    keeps = made["metadata"].get("annotations", {}).get("ray.io/disable-provisioned-head-restart")
    assert keeps == ("true" if mode == "SidecarMode" else None)
    head = ray.head(cluster, counting, name)
    cluster.kubectl("-n", counting, "delete", "pod", head, "--grace-period=0", "--force")
    killed_at = datetime.now(UTC)
    end = rayjobs.finished(cluster, counting, "lost", within=MINUTE)
    took = datetime.now(UTC) - killed_at
    print(f"\n{mode}: lost head told after {took.total_seconds():.1f} s: {end}")
    assert took < timedelta(seconds=10)
    assert end[0::2] == ("Failed", "AppFailed")
    assert "head Pod" in rayjobs.status(cluster, counting, "lost")["message"]
    assert starts(cluster, counting, "lost") == 1


def test_a_submitter_killed_mid_run_attaches_again(
    cluster: clusters.Cluster, counting: str
) -> None:
    """Checklist 16."""
    script = counted("again", "echo first; sleep 20; echo last")
    cluster.apply(rayjobs.ray_job("again", script), counting)
    wait_started(cluster, counting, "again")
    selector = ("-l", "job-name=again")
    cluster.kubectl("-n", counting, "delete", "pod", *selector, "--grace-period=0", "--force")
    end = rayjobs.finished(cluster, counting, "again")
    assert end == ("Complete", "SUCCEEDED", "")
    assert starts(cluster, counting, "again") == 1
    said = rayjobs.logs(cluster, counting, "again")
    assert "already submitted" in said
    assert "first" in said
    assert "last" in said


def test_a_submitter_marked_complete_under_a_running_job(
    cluster: clusters.Cluster, counting: str
) -> None:
    """Checklist 10, ours: Ray's own word counts, not the submitter's end."""
    cluster.apply(rayjobs.ray_job("left", counted("left", "sleep 60")), counting)
    wait_started(cluster, counting, "left")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = [
        {"type": type_, "status": "True", "lastTransitionTime": now, "reason": "Test"}
        for type_ in ("SuccessCriteriaMet", "Complete")
    ]
    job = cluster.get("jobs", counting, "left") or {}
    change = {"conditions": told, "completionTime": now, "startTime": job["status"]["startTime"]}
    cluster.patch(
        "jobs",
        counting,
        "left",
        {"status": {**change, "active": 0, "ready": 0}},
        subresource="status",
    )
    assert rayjobs.finished(cluster, counting, "left") == ("Complete", "SUCCEEDED", "")
    assert starts(cluster, counting, "left") == 1


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("mode", ["K8sJobMode", "HTTPMode", "SidecarMode"])
def test_an_operator_killed_after_any_write_starts_one_driver(
    operator: operators.Operator, counting: str, mode: str
) -> None:
    cluster = operator.cluster
    shared = "" if mode == "SidecarMode" else "shared"  # a sidecar needs a head of its own
    if shared:
        cluster.apply(ray.ray_cluster(shared, workers=0, groups=[]), counting)
        ray.wait_ready(cluster, counting, shared, workers=0)
    with kills.killed_after_each_write(operator, {}):
        for k in range(1, 40):
            name = f"kill-{k:02}"
            script = counted(name, "echo ran")
            cluster.apply(rayjobs.ray_job(name, script, mode=mode, on=shared), counting)
            assert rayjobs.finished(cluster, counting, name) == ("Complete", "SUCCEEDED", "")
            assert starts(cluster, counting, name) == 1
            cluster.kubectl("-n", counting, "delete", "rayjob", name, "--wait=false")
            if f"killed after write {k}\n" not in operator.log():
                break
        else:
            raise AssertionError("a job has no end of writes")
    print(f"\n{mode}: killed after each of {k - 1} writes")
    assert k > 5  # finalizer, names, head, Running, the end


def test_an_operator_away_at_the_end_of_a_job(operator: operators.Operator, counting: str) -> None:
    """The reference calls this job FAILED, since its submitter ended more than 30 s ago."""
    cluster = operator.cluster
    cluster.apply(rayjobs.ray_job("away", counted("away", "sleep 5; echo done")), counting)
    wait_started(cluster, counting, "away")
    with operators.paused(operator):
        ended = ("wait", "job/away", "--for=condition=Complete", "--timeout=120s")
        cluster.kubectl("-n", counting, *ended)
        done = datetime.now(UTC)
        cluster.wait(
            lambda: datetime.now(UTC) - done > timedelta(seconds=35),
            within=MINUTE,
            what="35 s without operator",
            namespace=counting,
        )
    assert rayjobs.finished(cluster, counting, "away") == ("Complete", "SUCCEEDED", "")


@pytest.mark.parametrize("mode", ["K8sJobMode", "HTTPMode"])
def test_a_dashboard_that_hangs(operator: operators.Operator, counting: str, mode: str) -> None:
    """Checklist 21: told at once, failed when asked in vain for long enough."""
    cluster = operator.cluster
    with kills.reinstalled(operator, {"env": [TIMEOUT]}):
        for name, script in (("short", "sleep 15"), ("long", "sleep 600")):
            cluster.apply(rayjobs.ray_job(name, counted(name, script), mode=mode), counting)
        for name in ("short", "long"):
            wait_started(cluster, counting, name)
        for name in ("short", "long"):
            _hang(cluster, counting, name, "SIGSTOP")

        def is_told() -> bool:
            status = rayjobs.status(cluster, counting, "short")
            reachable = ray.condition(status, "RayReachable")
            is_stamped = "jobStatusCheckFailureStartTime" in status
            return is_stamped and "cannot reach the head since" in reachable["message"]

        cluster.wait(is_told, within=MINUTE, what="unreachable", namespace=counting)
        _hang(cluster, counting, "short", "SIGCONT")
        assert rayjobs.finished(cluster, counting, "short") == ("Complete", "SUCCEEDED", "")
        status = rayjobs.status(cluster, counting, "short")
        assert "jobStatusCheckFailureStartTime" not in status
        end = rayjobs.finished(cluster, counting, "long", within=MINUTE)
        assert end == ("Failed", "RUNNING", "JobStatusCheckTimeoutExceeded")
    assert [starts(cluster, counting, name) for name in ("short", "long")] == [1, 1]


def _hang(cluster: clusters.Cluster, namespace: str, job: str, number: str) -> None:
    name = rayjobs.status(cluster, namespace, job)["rayClusterName"]
    program = SIGNAL_DASHBOARD.replace("{signal!r}", repr(number))
    assert "signalled" in ray.python(cluster, namespace, name, program)


def test_a_dashboard_that_refuses(operator: operators.Operator, namespace: str) -> None:
    """Checklist 21, before anything is submitted: there is no dashboard at all."""
    cluster = operator.cluster
    template = ray.pod_template("ray-head")
    fine = {"tcpSocket": {"port": 6379}, "periodSeconds": 1}
    template["spec"]["containers"][0] |= {"readinessProbe": fine, "livenessProbe": fine}
    head = {"rayStartParams": {"include-dashboard": "false"}, "template": template}
    with kills.reinstalled(operator, {"env": [TIMEOUT]}):
        job = rayjobs.ray_job("refused", mode="HTTPMode", cluster={"head": head})
        cluster.apply(job, namespace)
        end = rayjobs.finished(cluster, namespace, "refused")
    assert end == ("Failed", "", "JobStatusCheckTimeoutExceeded")


def test_an_invalid_edit_strands_nothing(cluster: clusters.Cluster, namespace: str) -> None:
    """The deadline and the cleanup of the last valid spec go on."""
    job = rayjobs.ray_job(
        "edited",
        "sleep 600",
        mode="HTTPMode",
        activeDeadlineSeconds=60,
        shutdownAfterJobFinishes=True,
    )
    cluster.apply(job, namespace)
    status = rayjobs.wait_phase(cluster, namespace, "edited", "Running", job="RUNNING")
    change = {"runtimeEnvYAML": "no mapping", "activeDeadlineSeconds": 9999}
    cluster.patch("rayjobs", namespace, "edited", {"spec": change})
    cluster.kubectl(
        "-n",
        namespace,
        "wait",
        "rayjob/edited",
        "--for=condition=RayJobSpecValid=false",
        "--timeout=20s",
    )
    assert rayjobs.finished(cluster, namespace, "edited")[0::2] == ("Failed", "DeadlineExceeded")
    cluster.wait(
        lambda: cluster.get("rayclusters", namespace, status["rayClusterName"]) is None,
        within=MINUTE,
        what="the cluster gone",
        namespace=namespace,
    )
