"""What the operator's chart makes of its values."""

from pathlib import Path

import pytest

from ray_operator import cli, configuration, features
from ray_operator.api import crds
from tests.support import charts
from tests.unit.charts import objects


def test_the_chart_passes_helm_s_own_check(operator: charts.Helm) -> None:
    assert "0 chart(s) failed" in operator.run("lint", "--strict", str(operator.chart))


def test_what_there_is_by_default(operator: charts.Helm) -> None:
    expected = (
        objects.ALWAYS | objects.ELECTION | objects.USERS | objects.CLUSTER_WIDE | objects.HOOKS
    )
    assert operator.render().names() == expected


def test_helm_makes_the_crds_that_are_missing(operator: charts.Helm) -> None:
    found = operator.render(flags=["--include-crds"]).all("CustomResourceDefinition")
    names = {f"{each.plural}.ray.io" for each in crds.KINDS}
    assert {each["metadata"]["name"] for each in found} == names


def test_the_operator_takes_its_flags(operator: charts.Helm) -> None:
    assert objects.run(operator.render()) == objects.parsed(["run", "--enable-metrics"])
    values = {
        "featureGates": {"RayCronJob": True},
        "ignoreOtherOperators": True,
        "leaderElectionEnabled": False,
        "metrics": {"enabled": False},
        "logging": {"stdoutEncoder": "console", "baseDir": "/logs/", "fileName": "a.log"},
        "reconcileConcurrency": 3,
        "kubeClient": {"qps": 100.5, "burst": 200},
        "watchNamespace": ["a", "b"],
        "autoscalerDefault": "sidecar",
        "useKubernetesProxy": True,
        "batchScheduler": {"name": "yunikorn"},
    }
    flags = [
        "--feature-gates=RayCronJob=true",
        "--ignore-other-operators",
        "--enable-leader-election=false",
        "--log-stdout-encoder=console",
        "--log-file-path=/logs/a.log",
        "--reconcile-concurrency=3",
        "--qps=100.5",
        "--burst=200",
        "--watch-namespace=a,b",
        "--autoscaler-default=sidecar",
        "--use-kubernetes-proxy",
        "--batch-scheduler=yunikorn",
    ]
    assert objects.run(operator.render(values)) == objects.parsed(["run", *flags])


def test_the_operator_takes_its_configuration_file(operator: charts.Helm, tmp_path: Path) -> None:
    added = {
        "defaultContainerEnvs": [{"name": "A", "value": "b"}],
        "defaultPodAnnotations": {"example.com/a": "b"},
        "defaultPodLabels": {"a": "b"},
        "headSidecarContainers": [{"name": "logs", "image": "fluent-bit"}],
        "workerSidecarContainers": [{"name": "more", "image": "fluent-bit"}],
    }
    values: charts.Json = {
        "configuration": {"enabled": True, **added},
        "kubeClient": {"qps": 5, "burst": 7},
        "watchNamespace": ["a", "b"],
    }
    rendered = operator.render(values)
    file = tmp_path / "config.yaml"
    file.write_text(rendered.one("ConfigMap")["data"]["config.yaml"])
    assert configuration.read(file) == {
        "apiVersion": configuration.API_VERSION,
        "kind": configuration.KIND,
        "enableLeaderElection": True,
        "enableMetrics": True,
        "reconcileConcurrency": 16,
        "logStdoutEncoder": "json",
        "logFileEncoder": "json",
        "watchNamespace": "a,b",
        "qps": 5,
        "burst": 7,
        **added,
    }
    gates = objects.run(operator.render()).settings.feature_gates
    here = [each.replace("/etc/kuberay", str(tmp_path)) for each in objects.args(rendered)]
    found = objects.parsed(here)
    assert isinstance(found, cli.Run)
    assert (found.namespaces, found.settings.feature_gates) == (("a", "b"), gates)
    assert found.warnings == ()


def test_another_configuration_is_another_pod_template(operator: charts.Helm) -> None:
    sums = [
        operator.render({"configuration": {"enabled": True, "defaultPodLabels": {"a": each}}}).one(
            "Deployment"
        )["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        for each in ("b", "b", "c")
    ]
    assert sums[0] == sums[1] != sums[2]


def test_kuberay_s_program_is_ours(operator: charts.Helm) -> None:
    for command, expected in (("/manager", "ray-operator"), ("/opt/other", "/opt/other")):
        deployment = operator.render({"operatorCommand": command}).one("Deployment")
        assert deployment["spec"]["template"]["spec"]["containers"][0]["command"] == [expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"type": "Recreate"}),
        (
            {"replicas": 2},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        ),
        ({"strategy": {"type": "RollingUpdate"}}, {"type": "RollingUpdate"}),
        ({"replicas": 2, "strategy": {"type": "Recreate"}}, {"type": "Recreate"}),
    ],
)
def test_two_replicas_roll(
    operator: charts.Helm, values: charts.Json, expected: charts.Json
) -> None:
    spec = operator.render(values).one("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (values.get("replicas", 1), expected)


def test_the_budget_is_what_was_asked_for(operator: charts.Helm) -> None:
    spec = operator.render(charts.EVERYTHING).one("PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"nameOverride": objects.LONG, "fullnameOverride": objects.LONG},
        {"nameOverride": "", "fullnameOverride": ""},
    ],
)
def test_what_selects_pods_selects_the_operator_s_alone(
    operator: charts.Helm, names: charts.Json
) -> None:
    rendered = operator.render({**charts.EVERYTHING, **names})
    labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [each["spec"]["selector"] for each in rendered.all("Service")]
    kinds = ("Deployment", "PodDisruptionBudget")
    selectors += [rendered.one(kind)["spec"]["selector"]["matchLabels"] for kind in kinds]
    assert len(selectors) == 4
    hooks = [each["metadata"]["labels"] for each in rendered.pods()]
    hooks.remove(labels)
    assert len(hooks) == 3
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not any(selector.items() <= each.items() for each in hooks)


def test_one_service_is_scraped(operator: charts.Helm) -> None:
    rendered = operator.render(charts.EVERYTHING)
    spec = rendered.one("ServiceMonitor")["spec"]
    assert spec["endpoints"] == [
        {"path": "/metrics", "targetPort": "http", "interval": "30s", "honorLabels": True}
    ]
    assert spec["namespaceSelector"] == {"matchNames": [objects.NAMESPACE]}
    wanted = spec["selector"]["matchLabels"].items()
    services = [
        each["metadata"]["name"]
        for each in rendered.all("Service")
        if wanted <= each["metadata"]["labels"].items()
    ]
    assert services == [objects.FULL]


def test_monitoring_goes_where_it_is_looked_for(operator: charts.Helm) -> None:
    place = {"enabled": True, "namespace": "monitoring"}
    metrics = {
        "serviceMonitor": {**place, "additionalLabels": {"release": "prometheus"}},
        "dashboard": {**place, "annotations": {"grafana_folder": "Ray"}},
    }
    rendered = operator.render({"metrics": metrics})
    monitor = rendered.one("ServiceMonitor")["metadata"]
    assert (monitor["namespace"], monitor["labels"]["release"]) == ("monitoring", "prometheus")
    dashboard = rendered.one("ConfigMap")
    metadata = dashboard["metadata"]
    assert (metadata["namespace"], metadata["labels"]["grafana_dashboard"]) == ("monitoring", "1")
    assert metadata["annotations"] == {"grafana_folder": "Ray"}
    file = operator.chart / "dashboards/ray-operator.json"
    assert dashboard["data"]["ray-operator.json"].strip() == file.read_text().strip()


@pytest.mark.parametrize(
    "values", [{}, {"fullnameOverride": objects.LONG, "nameOverride": objects.LONG}]
)
def test_names_and_labels_are_short_enough(operator: charts.Helm, values: charts.Json) -> None:
    for each in operator.render({**charts.EVERYTHING, **values}, release="r" * 53):
        if each["kind"] in {"Job", "Pod", "Service"}:
            assert len(each["metadata"]["name"]) <= 63
        assert all(len(text) <= 63 for text in each["metadata"]["labels"].values())
        for pod in charts.Rendered([each]).pods():
            assert all(len(text) <= 63 for text in pod["metadata"]["labels"].values())


def test_every_pod_runs_without_privileges(operator: charts.Helm) -> None:
    pods = list(operator.render(charts.EVERYTHING).pods())
    assert len(pods) == 4
    for pod in pods:
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            }


def test_every_pod_goes_where_it_may(operator: charts.Helm) -> None:
    place: charts.Json = {
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "priorityClassName": "high",
    }
    security = {"runAsUser": 1000}
    image = {"repository": "example.com/ray-operator", "tag": "v1", "pullPolicy": "Always"}
    values = {**charts.EVERYTHING, **place, "podSecurityContext": security, "image": image}
    for pod in operator.render(values).pods():
        spec = pod["spec"]
        assert {key: spec[key] for key in place} == place
        assert spec["securityContext"] == security
        (container,) = spec["containers"]
        assert container["image"] == "example.com/ray-operator:v1"
        assert container["imagePullPolicy"] == "Always"


def test_the_rest_of_the_operator_s_pod(operator: charts.Helm) -> None:
    spread = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    other = {**spread, "labelSelector": {"matchLabels": {"a": "b"}}}
    values = {
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [spread, other],
        "revisionHistoryLimit": 0,
        "labels": {"team": "ml"},
        "annotations": {"a": "b"},
        "env": [{"name": "CLUSTER_DOMAIN", "value": "example.org"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    }
    rendered = operator.render(values)
    deployment = rendered.one("Deployment")
    assert deployment["spec"]["revisionHistoryLimit"] == 0
    template = deployment["spec"]["template"]
    assert template["metadata"]["annotations"] == {"a": "b"}
    for each in (deployment, template, rendered.one("Service")):
        assert each["metadata"]["labels"]["team"] == "ml"
    spec = template["spec"]
    ours = deployment["spec"]["selector"]
    assert spec["topologySpreadConstraints"] == [{**spread, "labelSelector": ours}, other]
    assert spec["affinity"] == {"nodeAffinity": {}}
    assert spec["volumes"] == values["extraVolumes"]
    (container,) = spec["containers"]
    assert container["volumeMounts"] == values["extraVolumeMounts"]
    assert container["env"][-1] == {"name": "CLUSTER_DOMAIN", "value": "example.org"}


def test_probes_ask_the_health_port(operator: charts.Helm) -> None:
    spec = operator.render({"livenessProbe": {"periodSeconds": 7}}).one("Deployment")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["livenessProbe"] == {
        "httpGet": {"path": "/healthz", "port": "health"},
        "initialDelaySeconds": 10,
        "periodSeconds": 7,
        "failureThreshold": 5,
    }
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"http": 8080, "health": 8082}


def test_the_log_file_has_a_volume(operator: charts.Helm) -> None:
    logging = {"baseDir": "/logs", "fileName": "a.log", "sizeLimit": "6Gi"}
    spec = operator.render({"logging": logging}).one("Deployment")["spec"]["template"]["spec"]
    assert spec["volumes"] == [{"name": "kuberay-logs", "emptyDir": {"sizeLimit": "6Gi"}}]
    mounts = spec["containers"][0]["volumeMounts"]
    assert mounts == [{"name": "kuberay-logs", "mountPath": "/logs"}]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"replicas": 2, "leaderElectionEnabled": False},
            "replicas > 1 needs leaderElectionEnabled",
        ),
        (
            {"batchScheduler": {"enabled": True, "name": "yunikorn"}},
            "set it or batchScheduler.name, not both",
        ),
        (
            {"rbacEnable": False, "crds": {"upgrade": True}},
            "need crds.serviceAccountName where rbacEnable is false",
        ),
        (
            {"webhook": {"enabled": True, "certificate": {"secretName": "mine"}}},
            "needs webhook.certificate.caBundle",
        ),
        (
            {"webhook": {"enabled": True, "certificate": {"caBundle": "Y2E="}}},
            "needs webhook.certificate.secretName",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    operator: charts.Helm, values: charts.Json, said: str
) -> None:
    with pytest.raises(charts.Refused) as refused:
        operator.render(values)
    assert said in str(refused.value)


def test_gates_of_the_chart_are_the_operator_s_defaults(operator: charts.Helm) -> None:
    assert objects.run(operator.render()).settings.feature_gates == features.DEFAULT


def test_the_selector_is_that_of_kuberay_s_chart_whatever_the_name(operator: charts.Helm) -> None:
    for values in ({}, {"nameOverride": ""}, {"nameOverride": None}):
        deployment = operator.render(values).one("Deployment")
        labels = deployment["spec"]["selector"]["matchLabels"]
        assert labels["app.kubernetes.io/name"] == "kuberay-operator"


def test_a_number_on_the_command_line_counts_as_one_in_a_file(operator: charts.Helm) -> None:
    rendered = operator.render(flags=["--set", "revisionHistoryLimit=3"])
    assert rendered.one("Deployment")["spec"]["revisionHistoryLimit"] == 3
    assert "revisionHistoryLimit" not in operator.render().one("Deployment")["spec"]


def test_a_probe_without_times_has_the_defaults(operator: charts.Helm) -> None:
    rendered = operator.render({"livenessProbe": None, "readinessProbe": None})
    (container,) = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert list(container["livenessProbe"]) == ["httpGet"]


def test_values_of_kuberay_s_chart_alone_are_refused(operator: charts.Helm) -> None:
    for lacking in ("uninstall", "crds", "rbac", "webhook"):
        with pytest.raises(charts.Refused, match="--reset-then-reuse-values"):
            operator.render({lacking: None})


def test_labels_of_the_user_s_beside_ours(operator: charts.Helm) -> None:
    ours = {"app.kubernetes.io/name": "mine", "app.kubernetes.io/component": "mine"}
    values = {"labels": {"team": "a", **ours}}
    deployment = operator.render(values).one("Deployment")
    template = deployment["spec"]["template"]["metadata"]["labels"]
    for labels in (deployment["metadata"]["labels"], template):
        assert labels["team"] == "a"
        assert labels["app.kubernetes.io/name"] == "kuberay-operator"
    assert template["app.kubernetes.io/component"] == "kuberay-operator"


def test_a_release_whose_name_is_a_number(operator: charts.Helm) -> None:
    rendered = operator.render(release="2024", namespace="2025")
    for each in rendered:
        assert each["metadata"].get("namespace", "2025") == "2025"
        assert each["metadata"]["labels"].get("app.kubernetes.io/instance", "2024") == "2024"
