"""What a RayJob can be told, each thing with real Ray."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support import cluster as clusters
from tests.support import kills, operators, ray, rayjobs, samples

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("operator")]
MINUTE = timedelta(minutes=1)
MODES = ["K8sJobMode", "HTTPMode", "SidecarMode"]
NEW_RAY = ray.NEW_IMAGE
QUOTING = {
    "and": "echo a && echo b",
    "pipe": "printf 'x\\ny\\n' | wc -l",
    "quotes": """echo "double 'single' inside" 'and "back"'""",
    "variable": 'echo "home is $HOME, pid $$"; echo ${#PATH}',
    "kubelet": "echo '$(HOME)' $(echo sub) `echo ticks`",
    "json": """python -c 'import json; print(json.loads("{\\"a\\": [1, 2]}")["a"])'""",
    "lines": "for i in 1 2\ndo\n  echo line $i\ndone",
    "program": 'python -c "\nimport sys\nprint(sys.argv[1:])\n" one "two words"',
    "unicode": "echo 'é 世界 \\n'",
    "trailing": "echo a\\\\ ; echo '#' # a comment",
}
WHOLE_ENTRYPOINTS = """
import json, sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:8265/api/jobs/", headers={"User-Agent": "t"})
found = json.load(urllib.request.urlopen(request))
logs = {}
for each in found:
    if each["submission_id"]:
        at = f"http://127.0.0.1:8265/api/jobs/{each['submission_id']}/logs"
        asked = urllib.request.Request(at, headers={"User-Agent": "t"})
        log = json.load(urllib.request.urlopen(asked))["logs"]
        lines = [line for line in log.splitlines() if "job_manager.py" not in line]
        logs[each["submission_id"]] = [each["status"], each["entrypoint"], lines]
print(json.dumps(logs))
"""


def of_version(image: str) -> dict[str, object]:
    """Return fields of a small cluster that runs this image."""
    template = ray.pod_template("ray-head")
    template["spec"]["containers"][0]["image"] = image
    return {"head": {"template": template}, "rayVersion": image.rpartition(":")[2]}


def test_an_entrypoint_means_the_same_in_every_mode(
    cluster: clusters.Cluster, namespace: str
) -> None:
    """The same text reaches Ray, whoever submits it, and does the same there."""
    cluster.apply(ray.ray_cluster("shared", groups=[]), namespace)
    ray.wait_ready(cluster, namespace, "shared", workers=0)
    names = {}
    for mode in ("HTTPMode", "K8sJobMode"):
        for case, entrypoint in QUOTING.items():
            name = f"{case}-{mode[:4].lower()}"
            names[case, mode] = name
            job = rayjobs.ray_job(name, entrypoint, mode=mode, on="shared", jobId=name)
            if mode == "K8sJobMode":
                container = {"name": "ray-job-submitter", "resources": {"requests": {"cpu": "10m"}}}
                job["spec"]["submitterPodTemplate"] = {"spec": {"containers": [container]}}
            cluster.apply(job, namespace)
            end = rayjobs.finished(cluster, namespace, name)
            assert end == ("Complete", "SUCCEEDED", ""), case
    found = json.loads(ray.python(cluster, namespace, "shared", WHOLE_ENTRYPOINTS))
    for case, entrypoint in QUOTING.items():
        http, k8s = found[names[case, "HTTPMode"]], found[names[case, "K8sJobMode"]]
        print(f"\n{case}: {http[2]}")
        assert http[1] == k8s[1] == entrypoint
        if case != "variable":  # the shell's own pid is in it
            assert http[2] == k8s[2]


def test_an_entrypoint_in_a_sidecar_means_the_same(
    cluster: clusters.Cluster, namespace: str
) -> None:
    entrypoint = " ; ".join(QUOTING[each] for each in ("and", "quotes", "kubelet", "json"))
    job = rayjobs.ray_job("beside", entrypoint, mode="SidecarMode", jobId="beside")
    cluster.apply(job, namespace)
    assert rayjobs.finished(cluster, namespace, "beside") == ("Complete", "SUCCEEDED", "")
    name = rayjobs.status(cluster, namespace, "beside")["rayClusterName"]
    said = json.loads(ray.python(cluster, namespace, name, WHOLE_ENTRYPOINTS))["beside"]
    assert said[1] == entrypoint
    lines = ["a", "b", "double 'single' inside and \"back\"", "$(HOME) sub ticks", "[1, 2]"]
    assert said[2] == lines
    head = ray.head(cluster, namespace, name)
    shown = cluster.kubectl("-n", namespace, "logs", head, "-c", "ray-job-submitter")
    assert "\n".join(lines) in shown


@pytest.mark.parametrize("mode", MODES)
def test_token_authentication(cluster: clusters.Cluster, namespace: str, mode: str) -> None:
    """Checklist 12; for Ray 2.46, which knows no tokens, the CRD refuses it."""
    fields = {**of_version(NEW_RAY), "authOptions": {"mode": "token"}}
    job = rayjobs.ray_job("guarded", "env | grep RAY_AUTH_MODE", mode=mode, cluster=fields)
    cluster.apply(job, namespace)
    assert rayjobs.finished(cluster, namespace, "guarded") == ("Complete", "SUCCEEDED", "")
    name = rayjobs.status(cluster, namespace, "guarded")["rayClusterName"]
    pods = {"SidecarMode": ray.pods(cluster, namespace, name, node_type="head")}.get(
        mode, cluster.list("pods", namespace, labels="job-name=guarded")
    )
    for pod in pods:
        container = next(
            each for each in pod["spec"]["containers"] if each["name"] == "ray-job-submitter"
        )
        env = {each["name"]: each for each in container["env"]}
        assert env["RAY_AUTH_MODE"]["value"] == "token"
        assert env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == name


@pytest.mark.parametrize("mode", MODES)
def test_on_the_newest_ray(cluster: clusters.Cluster, namespace: str, mode: str) -> None:
    job = rayjobs.ray_job(
        "newest",
        "python -c 'import ray; print(ray.__version__)'",
        mode=mode,
        cluster=of_version(NEW_RAY),
        shutdownAfterJobFinishes=True,
    )
    cluster.apply(job, namespace)
    assert rayjobs.finished(cluster, namespace, "newest") == ("Complete", "SUCCEEDED", "")
    if mode == "K8sJobMode":
        assert "2.60.0" in rayjobs.logs(cluster, namespace, "newest")


def test_interactive(cluster: clusters.Cluster, namespace: str) -> None:
    cluster.apply(rayjobs.ray_job("mine", "", mode="InteractiveMode"), namespace)
    status = rayjobs.wait_phase(cluster, namespace, "mine", "Waiting")
    name = status["rayClusterName"]
    head = ray.head(cluster, namespace, name)
    inside = ("-n", namespace, "exec", head, "-c", "ray-head", "--", "ray", "job", "submit")
    where = ("--address", "http://127.0.0.1:8265", "--submission-id", "by-hand")
    cluster.patch("rayjobs", namespace, "mine", {"spec": {"jobId": "by-hand"}})
    rayjobs.wait_phase(cluster, namespace, "mine", "Running")
    cluster.kubectl(*inside, *where, "--", "echo", "by", "hand")
    assert rayjobs.finished(cluster, namespace, "mine") == ("Complete", "SUCCEEDED", "")


def test_the_light_weight_submitter(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 16 and 17."""
    container = {
        "name": "ray-job-submitter",
        "image": "ray-operator-submitter:dev",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/submitter"],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    }

    def job(name: str, *args: str) -> clusters.Json:
        template = {
            "spec": {"restartPolicy": "Never", "containers": [{**container, "args": list(args)}]}
        }
        return rayjobs.ray_job(
            name,
            "",
            on="shared",
            submitterPodTemplate=template,
            submitterConfig={"backoffLimit": 2},
        )

    cluster.apply(ray.ray_cluster("shared", groups=[]), namespace)
    ray.wait_ready(cluster, namespace, "shared", workers=0)
    cluster.apply(job("good", "--", "echo first; sleep 20; echo last"), namespace)
    cluster.apply(job("bad", "--metadata-json", "no json", "--", "true"), namespace)
    rayjobs.wait_phase(cluster, namespace, "good", "Running", job="RUNNING")
    where = ("-n", namespace, "delete", "pod", "-l", "job-name=good")
    cluster.kubectl(*where, "--grace-period=0", "--force")
    assert rayjobs.finished(cluster, namespace, "good") == ("Complete", "SUCCEEDED", "")
    said = rayjobs.logs(cluster, namespace, "good")
    assert "already submitted" in said
    assert "last" in said
    assert rayjobs.finished(cluster, namespace, "bad") == ("Failed", "", "SubmissionFailed")
    assert len(cluster.list("pods", namespace, labels="job-name=bad")) == 3
    assert "not JSON" in rayjobs.status(cluster, namespace, "bad")["message"]


@pytest.mark.parametrize("mode", ["HTTPMode", "SidecarMode"])
def test_resources_of_the_entrypoint(cluster: clusters.Cluster, namespace: str, mode: str) -> None:
    """Checklist 19."""
    resources = '"{\\"R1\\": 2}"'
    head = {
        "rayStartParams": {"num-cpus": "2", "num-gpus": "2", "resources": resources},
        "template": ray.pod_template("ray-head"),
    }
    show = "import ray; ray.init(); print(sorted(ray.available_resources().items()))"
    job = rayjobs.ray_job(
        "demanding",
        f"python -c '{show}'",
        mode=mode,
        jobId="demanding",
        cluster={"head": head},
        entrypointNumCpus=2,
        entrypointNumGpus=2,
        entrypointResources='{"R1": 2}',
    )
    cluster.apply(job, namespace)
    assert rayjobs.finished(cluster, namespace, "demanding") == ("Complete", "SUCCEEDED", "")
    name = rayjobs.status(cluster, namespace, "demanding")["rayClusterName"]
    said = json.loads(ray.python(cluster, namespace, name, WHOLE_ENTRYPOINTS))["demanding"]
    assert not [key for key in ("'CPU'", "'GPU'", "'R1'") if key in said[2][-1]], said


def test_deletion_rules(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 20: workers, then the cluster, then the RayJob."""
    rules = [
        {"policy": policy, "condition": {"jobStatus": "SUCCEEDED", "ttlSeconds": seconds}}
        for policy, seconds in (("DeleteWorkers", 5), ("DeleteCluster", 15), ("DeleteSelf", 25))
    ]
    strategy = {"deletionRules": rules}
    job = rayjobs.ray_job("steps", mode="HTTPMode", workers=1, deletionStrategy=strategy)
    cluster.apply(job, namespace)
    name = rayjobs.wait_phase(cluster, namespace, "steps", "Complete")["rayClusterName"]

    def wait(what: str, holds: object) -> None:
        assert callable(holds)
        cluster.wait(holds, within=MINUTE, what=what, namespace=namespace)

    assert len(ray.pods(cluster, namespace, name)) == 2
    wait("no worker", lambda: not ray.pods(cluster, namespace, name, node_type="worker"))
    assert ray.pods(cluster, namespace, name, node_type="head")
    wait("no cluster", lambda: cluster.get("rayclusters", namespace, name) is None)
    found = rayjobs.status(cluster, namespace, "steps")
    assert found["jobDeploymentStatus"] == "Complete"
    wait("no RayJob", lambda: cluster.get("rayjobs", namespace, "steps") is None)


def test_deletion_after_failure(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 20: `jobDeploymentStatus: Failed`, nothing by request, and the older fields."""
    failed = {"jobDeploymentStatus": "Failed"}
    clean = {"deletionRules": [{"policy": "DeleteCluster", "condition": failed}]}
    keep = {"deletionRules": [{"policy": "DeleteNone", "condition": failed}]}
    legacy = {"onSuccess": {"policy": "DeleteNone"}, "onFailure": {"policy": "DeleteCluster"}}
    for name, strategy in (("clean", clean), ("keep", keep), ("legacy", legacy)):
        job = rayjobs.ray_job(name, "exit 1", mode="HTTPMode", deletionStrategy=strategy)
        cluster.apply(job, namespace)
    made = {
        name: rayjobs.wait_phase(cluster, namespace, name, "Failed")["rayClusterName"]
        for name in ("clean", "keep", "legacy")
    }
    for name in ("clean", "legacy"):
        cluster.wait(
            lambda name=name: cluster.get("rayclusters", namespace, made[name]) is None,  # type: ignore[misc]
            within=MINUTE,
            what=f"the cluster of {name} gone",
            namespace=namespace,
        )
    assert cluster.get("rayclusters", namespace, made["keep"])


def test_a_head_service_of_ones_own_name(cluster: clusters.Cluster, namespace: str) -> None:
    """Checklist 23 and 11: another name, and the cluster's status is rolled up."""
    head = {
        "headService": {"metadata": {"name": "my-own"}},
        "template": ray.pod_template("ray-head"),
    }
    job = rayjobs.ray_job("named", "sleep 20", cluster={"head": head}, workers=1)
    cluster.apply(job, namespace)
    status = rayjobs.wait_phase(cluster, namespace, "named", "Running")
    assert status["dashboardURL"] == f"my-own.{namespace}.svc.cluster.local:8265"
    change = [{"op": "replace", "path": "/spec/workerGroupSpecs/0/maxReplicas", "value": 7}]
    cluster.patch("rayclusters", namespace, status["rayClusterName"], change)

    def is_rolled_up() -> bool:
        found = rayjobs.status(cluster, namespace, "named")
        return bool(found["rayClusterStatus"]["maxWorkerReplicas"] == 7)

    cluster.wait(is_rolled_up, within=MINUTE, what="maxWorkerReplicas 7", namespace=namespace)
    assert rayjobs.finished(cluster, namespace, "named") == ("Complete", "SUCCEEDED", "")


def test_metrics(cluster: clusters.Cluster, operator: operators.Operator, namespace: str) -> None:
    """Checklist 24."""
    cluster.apply(rayjobs.ray_job("counted", mode="HTTPMode"), namespace)
    rayjobs.wait_phase(cluster, namespace, "counted", "Complete")
    (pod,) = operator.pods()
    proxy = f"/api/v1/namespaces/{operator.namespace}/pods/{pod['metadata']['name']}:8080/proxy"

    def series() -> list[str]:
        said = cluster.kubectl("get", "--raw", f"{proxy}/metrics")
        return [line for line in said.splitlines() if f'namespace="{namespace}"' in line]

    found = "\n".join(series())
    for name in (
        "kuberay_job_info",
        "kuberay_job_deployment_status",
        "kuberay_job_execution_duration_seconds",
    ):
        assert f"{name}{{" in found
    assert 'deployment_status="Complete"' in found
    cluster.kubectl("-n", namespace, "delete", "rayjob", "counted", "--timeout=60s")
    cluster.wait(
        lambda: not [each for each in series() if "kuberay_job" in each],
        within=MINUTE,
        what="no series of a job that is gone",
        namespace=namespace,
    )


def test_through_the_api_server(operator: operators.Operator, namespace: str) -> None:
    """`--use-kubernetes-proxy`: heads needn't be reachable from the operator's Pod."""
    cluster = operator.cluster
    with kills.reinstalled(operator, {"useKubernetesProxy": True}):
        auth = {**of_version(NEW_RAY), "authOptions": {"mode": "token"}}
        job = rayjobs.ray_job("proxied", mode="HTTPMode", cluster=auth)
        cluster.apply(job, namespace)
        assert rayjobs.finished(cluster, namespace, "proxied") == ("Complete", "SUCCEEDED", "")


def test_the_shell_may_read_the_entrypoint(cluster: clusters.Cluster, namespace: str) -> None:
    """As the reference has it, on request."""
    job = rayjobs.ray_job("raw", "echo $RAY_JOB_SUBMISSION_ID \\; hostname", jobId="raw-id")
    job["metadata"]["annotations"] = {"ray-operator.io/raw-entrypoint": "true"}
    cluster.apply(job, namespace)
    assert rayjobs.finished(cluster, namespace, "raw") == ("Complete", "SUCCEEDED", "")
    name = rayjobs.status(cluster, namespace, "raw")["rayClusterName"]
    said = json.loads(ray.python(cluster, namespace, name, WHOLE_ENTRYPOINTS))["raw-id"]
    assert said[1] == "echo raw-id ; hostname"


INSTALLED = timedelta(minutes=8)
"""Enough for packages to be installed on two nodes."""
ENDS_OTHERWISE = {"ray-job.interactive-mode.yaml": "Waiting", "ray-job.retries.yaml": ""}


@pytest.mark.parametrize("sample", samples.runnable("ray-job"), ids=lambda sample: sample.name)
def test_a_sample_runs(cluster: clusters.Cluster, namespace: str, sample: Path) -> None:
    if sample.name == "ray-job.use-existing-raycluster.yaml":
        cluster.apply(sample.with_name("ray-cluster.sample.yaml"), namespace)
    cluster.apply(sample, namespace)
    (job,) = cluster.list("rayjobs", namespace)
    name, expected = job["metadata"]["name"], ENDS_OTHERWISE.get(sample.name, "Complete")
    if expected == "Complete":
        found = rayjobs.finished(cluster, namespace, name, within=INSTALLED)
        assert found == ("Complete", "SUCCEEDED", "")
    elif expected:
        rayjobs.wait_phase(cluster, namespace, name, expected)
    else:
        assert rayjobs.finished(cluster, namespace, name)[0] in {"Complete", "Failed"}
    if sample.name == "ray-job.sample.yaml":
        said = rayjobs.logs(cluster, namespace, name)
        assert "test_counter got 5" in said
        assert "requests 2" in said
