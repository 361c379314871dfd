"""An operator with a configuration of its own, and what Prometheus reads of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from prometheus_client import parser

from tests.support import cluster as clusters
from tests.support import operators, ray

MINUTE = timedelta(minutes=1)
LIMITS = {"limits": {"cpu": "1", "memory": "1536Mi"}, "requests": {"cpu": "100m"}}


def sidecar(name: str) -> clusters.Json:
    return {
        "name": name,
        "image": ray.IMAGE,
        "command": ["sleep", "infinity"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }


def values(team: str) -> dict[str, Any]:
    """Return values of an operator of one namespace, whose Pods are of a team."""
    return {
        "singleNamespaceInstall": True,
        "watchNamespace": [],
        "configuration": {
            "enabled": True,
            "headSidecarContainers": [sidecar("head-sidecar")],
            "workerSidecarContainers": [sidecar("worker-sidecar")],
            "defaultContainerEnvs": [{"name": "TEAM", "value": team}],
            "defaultPodAnnotations": {"example.com/team": team},
            "defaultPodLabels": {"team": team, "ray.io/node-type": "nobody"},
        },
        "logging": {"baseDir": "/var/log/ray", "fileName": "operator.log"},
        "env": [{"name": "WAIT_GCS_READY_RESOURCES", "value": json.dumps(LIMITS)}],
    }


def series(operator: operators.Operator, metric: str) -> list[tuple[dict[str, str], float]]:
    """Read a metric's labels and values as Prometheus does."""
    service = f"/api/v1/namespaces/{operator.namespace}/services/{operators.NAME}:http"
    text = operator.cluster.kubectl("get", "--raw", f"{service}/proxy/metrics")
    return [
        (sample.labels, sample.value)
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric
    ]


def uids(cluster: clusters.Cluster, namespace: str) -> dict[str, str]:
    pods = ray.pods(cluster, namespace, "demo")
    return {pod["metadata"]["labels"]["ray.io/node-type"]: pod["metadata"]["uid"] for pod in pods}


def check_pods(cluster: clusters.Cluster, namespace: str) -> None:
    for node_type in ("head", "worker"):
        (pod,) = ray.pods(cluster, namespace, "demo", node_type=node_type)
        assert pod["metadata"]["labels"]["team"] == "red"
        assert pod["metadata"]["annotations"]["example.com/team"] == "red"
        names = [each["name"] for each in pod["spec"]["containers"]]
        assert names == [f"ray-{node_type}", f"{node_type}-sidecar"]
        statuses = pod["status"]["containerStatuses"]
        assert all("running" in each["state"] for each in statuses), statuses
        where = ("-n", namespace, "exec", pod["metadata"]["name"], "-c", f"ray-{node_type}", "--")
        assert cluster.kubectl(*where, "printenv", "TEAM").strip() == "red"
        if node_type == "worker":
            assert pod["spec"]["initContainers"][-1]["resources"] == {
                "limits": LIMITS["limits"],
                "requests": {**LIMITS["requests"], "memory": "1536Mi"},  # the API server's default
            }


def check_series(operator: operators.Operator, found: clusters.Json) -> None:
    """Find the series of the provisioned cluster, with the labels that dashboards select by."""
    metadata = found["metadata"]
    identity = {key: metadata[key] for key in ("name", "namespace", "uid")}
    since = ray.condition(found["status"], "RayClusterProvisioned")["lastTransitionTime"]
    created, provisioned = (
        datetime.strptime(each, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        for each in (metadata["creationTimestamp"], since)
    )
    seconds = (provisioned - created).total_seconds()
    assert seconds > 0
    assert series(operator, "kuberay_cluster_info") == [({**identity, "owner_kind": "None"}, 1)]
    condition = series(operator, "kuberay_cluster_condition_provisioned")
    assert condition == [({**identity, "condition": "true"}, 1)]
    duration = series(operator, "kuberay_cluster_provisioned_duration_seconds")
    assert duration == [(identity, seconds)]
    print(f"provisioned after {seconds:.0f} s")


@pytest.mark.full
def test_configuration_reaches_pods_and_metrics(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    with operators.paused(operator):
        installed = operators.install(cluster, namespace=namespace, values=values("red"))
        cluster.apply(ray.ray_cluster("demo", upgradeStrategy={"type": "Recreate"}), namespace)
        ray.wait_ready(cluster, namespace, "demo", workers=1)
        check_pods(cluster, namespace)
        before, found = uids(cluster, namespace), cluster.get("rayclusters", namespace, "demo")
        assert found is not None
        check_series(installed, found)
        for metric in (
            "controller_runtime_reconcile_total",
            "rest_client_request_duration_seconds_count",
            "workqueue_work_duration_seconds_count",
            "process_resident_memory_bytes",
        ):
            assert series(installed, metric), metric
        logged = cluster.kubectl(
            *("-n", namespace, "exec", f"deployment/{operators.NAME}", "--"),
            *("python3", "-c", "print(open('/var/log/ray/operator.log').read())"),
        )
        assert all(json.loads(line)["ts"].endswith("Z") for line in logged.split("\n") if line)
        assert logged.strip(), "the log file is empty"

        operators.install(cluster, namespace=namespace, values=values("blue"))
        clash = ray.ray_cluster("clash", groups=[])
        clash["spec"]["headGroupSpec"]["template"]["spec"]["containers"].append(
            sidecar("head-sidecar")
        )
        cluster.apply(clash, namespace)

        def is_told() -> clusters.Json | None:
            said = cluster.get("rayclusters", namespace, "clash") or {}
            valid = ray.condition(said.get("status", {}), "RayClusterSpecValid")
            return valid if valid.get("status") == "False" else None

        told = cluster.wait(is_told, within=MINUTE, what="the clash told", namespace=namespace)
        assert "spec.headGroupSpec.template.spec.containers[1].name" in told["message"]
        assert "headSidecarContainers" in told["message"]

        def has_passed() -> bool:
            return sum(n for _, n in series(installed, "controller_runtime_reconcile_total")) >= 2

        what = "a pass over both clusters after the restart"
        cluster.wait(has_passed, within=MINUTE, what=what, namespace=namespace)
        assert uids(cluster, namespace) == before, "a new configuration must replace no Pod"
        cluster.delete("rayclusters", namespace, "clash")
        cluster.wait(
            lambda: len(series(installed, "kuberay_cluster_info")) == 1,
            within=MINUTE,
            what="no series of a cluster that is gone",
            namespace=namespace,
        )
        found = cluster.get("rayclusters", namespace, "demo")
        assert found is not None
        check_series(installed, found)
        cluster.kubectl("-n", namespace, "delete", "raycluster", "demo", "--wait=true")
        installed.uninstall()


def render(cluster: clusters.Cluster, **chosen: Any) -> list[clusters.Json]:
    flags = [f"--set-json={name}={json.dumps(value)}" for name, value in chosen.items()]
    return list(yaml.safe_load_all(cluster.helm("template", "x", str(operators.CHART), *flags)))


def deployment(manifests: list[clusters.Json]) -> clusters.Json:
    (found,) = (each for each in manifests if each["kind"] == "Deployment")
    template: clusters.Json = found["spec"]["template"]
    return template


def test_the_chart_gives_a_configuration_instead_of_flags(cluster: clusters.Cluster) -> None:
    rendered = render(cluster, **values("red"), featureGates={"RayCronJob": True})
    template = deployment(rendered)
    (container,) = template["spec"]["containers"]
    flags = ["--feature-gates=RayCronJob=true", "--config=/etc/kuberay/config.yaml"]
    assert container["args"] == ["run", *flags]
    (config,) = (each for each in rendered if each["kind"] == "ConfigMap")
    written = yaml.safe_load(config["data"]["config.yaml"])
    assert written["watchNamespace"] == "default"
    assert written["enableMetrics"] is True
    assert written["headSidecarContainers"] == [sidecar("head-sidecar")]
    sums = [
        deployment(render(cluster, **values(team)))["metadata"]["annotations"]["checksum/config"]
        for team in ("red", "red", "blue")
    ]
    assert sums[0] == sums[1] != sums[2]


def test_the_chart_refuses_two_batch_schedulers(cluster: clusters.Cluster) -> None:
    with pytest.raises(clusters.CommandFailed, match=r"set it or batchScheduler\.name, not both"):
        render(cluster, batchScheduler={"enabled": True, "name": "yunikorn"})
