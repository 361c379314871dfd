"""The chart ray-cluster: what Helm makes of values, checked as `ray-operator validate` does."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_operator import features, go_yaml, offline

Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/ray-cluster"
LABELS = {
    "helm.sh/chart": "ray-cluster-0.1.0",
    "app.kubernetes.io/instance": "raycluster",
    "app.kubernetes.io/managed-by": "Helm",
}
ONE = {"cpu": "1", "memory": "1Gi"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Refused(Exception):
    """Helm wouldn't have the values; the message is its own."""


@pytest.fixture(scope="session")
def helm(tools: Path) -> Path:
    return tools / "helm"


class Chart:
    """The chart, rendered with values; every RayCluster that it makes has to be valid."""

    def __init__(self, helm: Path, folder: Path) -> None:
        self._helm = helm
        self._folder = folder

    def cluster(self, values: Mapping[str, Any] | None = None, *, release: str = "") -> Json:
        """Render the one RayCluster that there is.

        Raises:
            Refused: Helm refuses the values.
        """
        manifests = self._folder / "manifests.yaml"
        manifests.write_text(self._rendered(values or {}, release or "raycluster"))
        count, findings = offline.check(manifests, frozenset(features.Feature))
        assert (count, [str(each) for each in findings]) == (1, [])
        (manifest,) = go_yaml.load_all(manifests.read_text())
        return dict(manifest)

    def spec(self, values: Mapping[str, Any] | None = None) -> Json:
        """Render the RayCluster's spec."""
        return dict(self.cluster(values)["spec"])

    def head(self, values: Mapping[str, Any]) -> Json:
        """Render the head group of these values of `head`."""
        return dict(self.spec({"head": values})["headGroupSpec"])

    def worker(self, values: Mapping[str, Any]) -> Json:
        """Render the worker group of these values of `worker`."""
        (group,) = self.spec({"worker": values})["workerGroupSpecs"]
        return dict(group)

    def _rendered(self, values: Mapping[str, Any], release: str) -> str:
        given = self._folder / "values.yaml"
        given.write_text(yaml.safe_dump(dict(values)))
        done = run(self._helm, "template", release, CHART, "--values", given)
        if done.returncode != 0:
            raise Refused(done.stderr)
        return done.stdout


@pytest.fixture
def chart(helm: Path, tmp_path: Path) -> Chart:
    return Chart(helm, tmp_path)


def pod(container: str, resources: Json) -> Json:
    """Return the Pod template of the default values."""
    log = {"name": "log-volume"}
    ray = {
        "name": container,
        "image": "rayproject/ray:2.60.0",
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": resources, "requests": resources},
        "volumeMounts": [{**log, "mountPath": "/tmp/ray"}],
    }
    volumes = [{**log, "emptyDir": {}}]
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [ray], "volumes": volumes}}


def test_helm_has_nothing_to_complain_of(helm: Path) -> None:
    done = run(helm, "lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_defaults(chart: Chart) -> None:
    assert chart.cluster() == {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "raycluster-kuberay", "labels": LABELS},
        "spec": {
            "headGroupSpec": {
                "serviceType": "ClusterIP",
                "rayStartParams": {},
                "template": pod("ray-head", {"cpu": "1", "memory": "5Gi"}),
            },
            "workerGroupSpecs": [
                {
                    "groupName": "workergroup",
                    "replicas": 1,
                    "minReplicas": 1,
                    "maxReplicas": 5,
                    "numOfHosts": 1,
                    "rayStartParams": {},
                    "template": pod("ray-worker", ONE),
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("values", "release", "name"),
    [
        ({}, "demo", "demo-kuberay"),
        ({}, "my-kuberay-2", "my-kuberay-2"),
        ({"nameOverride": "ray"}, "demo", "demo-ray"),
        ({"nameOverride": "ray"}, "gray", "gray"),
        ({"fullnameOverride": "whole"}, "demo", "whole"),
        ({}, "a" * 53, "a" * 53),
        ({}, "a" * 47, f"{'a' * 47}-kuber"),
    ],
)
def test_the_name(chart: Chart, values: Json, release: str, name: str) -> None:
    assert chart.cluster(values, release=release)["metadata"]["name"] == name


def test_images(chart: Chart) -> None:
    """A group's own replaces all of the common one."""
    own = {"repository": "example.com/gpu", "tag": 2.5}
    values = {
        "image": {"tag": "nightly", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "worker": {"image": own},
    }
    spec = chart.spec(values)
    head = spec["headGroupSpec"]["template"]["spec"]
    worker = spec["workerGroupSpecs"][0]["template"]["spec"]
    assert head["imagePullSecrets"] == worker["imagePullSecrets"] == [{"name": "registry"}]
    found = [
        (each["containers"][0]["image"], each["containers"][0].get("imagePullPolicy"))
        for each in (head, worker)
    ]
    assert found == [("rayproject/ray:nightly", "Always"), ("example.com/gpu:2.5", None)]


@pytest.mark.parametrize(
    ("given", "rendered"),
    [
        ({"rayStartParams": {"num-cpus": 0}}, {"num-cpus": "0"}),
        (
            {"rayStartParams": {"object-store-memory": 78643200, "block": True}},
            {"object-store-memory": "78643200", "block": "true"},
        ),
        (
            {"initArgs": {"num-cpus": "1", "num-gpus": "2"}, "rayStartParams": {"num-cpus": "3"}},
            {"num-cpus": "3", "num-gpus": "2"},
        ),
    ],
)
def test_flags_of_ray_start_are_texts(chart: Chart, given: Json, rendered: Json) -> None:
    for group in (chart.head(given), chart.worker(given)):
        assert group["rayStartParams"] == rendered


CONTAINER: Json = {
    "args": ["sleep 1"],
    "command": ["bash", "-c"],
    "envFrom": [{"secretRef": {"name": "variables"}}],
    "lifecycle": {"preStop": {"exec": {"command": ["ray", "stop"]}}},
    "ports": [{"name": "metrics", "containerPort": 8080}],
    "resources": {"limits": {"nvidia.com/gpu": "1"}},
    "securityContext": {"runAsUser": 1000},
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
}
POD: Json = {
    "affinity": {"nodeAffinity": {}},
    "dnsConfig": {"nameservers": ["10.0.0.1"]},
    "initContainers": [{"name": "first", "image": "busybox"}],
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "priority": 7,
    "priorityClassName": "high",
    "resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}],
    "restartPolicy": "Always",
    "runtimeClassName": "gvisor",
    "serviceAccountName": "account",
    "tolerations": [{"operator": "Exists"}],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "volumes": [{"name": "data", "emptyDir": {}}],
}


@pytest.mark.parametrize("group", ["head", "worker"])
@pytest.mark.parametrize("key", CONTAINER)
def test_a_field_of_the_container(chart: Chart, group: str, key: str) -> None:
    values = {key: CONTAINER[key]}
    if key == "resources":  # the defaults are merged with it
        values["resources"] = {**CONTAINER[key], "requests": None}
    if key == "volumeMounts":
        values["volumes"] = POD["volumes"]
    rendered = getattr(chart, group)(values)["template"]["spec"]["containers"][0]
    if key == "resources":
        assert rendered[key]["limits"]["nvidia.com/gpu"] == "1"
        assert "requests" not in rendered[key]
    else:
        assert rendered[key] == CONTAINER[key]


@pytest.mark.parametrize("group", ["head", "worker"])
def test_the_fields_of_the_pod(chart: Chart, group: str) -> None:
    more: Json = {
        "annotations": {"example.com/scrape": True},
        "labels": {"team": "ml", "helm.sh/chart": "mine"},
        "podSecurityContext": {"fsGroup": 100},
        "sidecarContainers": [{"name": "logs", "image": "fluent-bit"}],
        "volumeMounts": None,
        "extraPodSpec": {"terminationGracePeriodSeconds": 60, "dnsConfig": {"searches": ["a"]}},
    }
    template = getattr(chart, group)({**POD, **more})["template"]
    assert template["metadata"] == {
        "annotations": {"example.com/scrape": "true"},
        "labels": {**LABELS, "team": "ml", "helm.sh/chart": "mine"},
    }
    first, second = template["spec"].pop("containers")
    assert (first["name"], second) == (f"ray-{group}", more["sidecarContainers"][0])
    assert template["spec"] == {
        **POD,
        "dnsConfig": {"nameservers": ["10.0.0.1"], "searches": ["a"]},
        "securityContext": {"fsGroup": 100},
        "terminationGracePeriodSeconds": 60,
    }


def test_the_common_environment_comes_first(chart: Chart) -> None:
    common, own = {"name": "A", "value": "1"}, {"name": "B", "value": "2"}
    spec = chart.spec({"common": {"containerEnv": [common]}, "worker": {"containerEnv": [own]}})
    (head,) = spec["headGroupSpec"]["template"]["spec"]["containers"]
    (worker,) = spec["workerGroupSpecs"][0]["template"]["spec"]["containers"]
    assert (head["env"], worker["env"]) == ([common], [common, own])


@pytest.mark.parametrize(
    ("given", "rendered"),
    [
        ({"maxReplicas": None, "minReplicas": None}, {"maxReplicas": 2147483647, "minReplicas": 0}),
        ({"maxReplicas": 0, "minReplicas": 0, "replicas": 0}, {"maxReplicas": 0, "replicas": 0}),
        ({"replicas": None}, {"replicas": None}),
        ({"numOfHosts": 4}, {"numOfHosts": 4}),
        ({"groupPriority": 3}, {"priority": 3}),
        ({"idleTimeoutSeconds": 0}, {"idleTimeoutSeconds": 0}),
        ({"suspend": False}, {"suspend": False}),
        (
            {"scaleStrategy": {"workersToDelete": ["a"]}},
            {"scaleStrategy": {"workersToDelete": ["a"]}},
        ),
        ({"rayLabels": {"zone": "a"}}, {"labels": {"zone": "a"}}),
        ({"rayResources": {"CPU": 2, "special": "1"}}, {"resources": {"CPU": "2", "special": "1"}}),
    ],
)
def test_a_field_of_a_worker_group(chart: Chart, given: Json, rendered: Json) -> None:
    group = chart.worker(given)
    assert {key: group.get(key) for key in rendered} == rendered


def test_worker_groups(chart: Chart) -> None:
    """By name, those that aren't disabled; without resources of their own they get little."""
    small = {"minReplicas": 1, "maxReplicas": 1}
    more = {"small": small, "off": {"disabled": True}, "smallGroup": {"disabled": False}}
    groups = chart.spec({"additionalWorkerGroups": more})["workerGroupSpecs"]
    assert [each["groupName"] for each in groups] == ["workergroup", "small", "smallGroup"]
    assert "replicas" not in groups[1]
    (container,) = groups[1]["template"]["spec"]["containers"]
    assert container == {
        "name": "ray-worker",
        "image": "rayproject/ray:2.60.0",
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": ONE, "requests": ONE},
    }
    off = {"worker": {"disabled": True}, "additionalWorkerGroups": {"small": small}}
    assert [each["groupName"] for each in chart.spec(off)["workerGroupSpecs"]] == ["small"]
    assert "workerGroupSpecs" not in chart.spec({"worker": {"disabled": True}})


STORAGE = [
    {"name": "STORAGE_BACKEND", "value": "GCS"},
    {"name": "GCS_BUCKET", "value": "history"},
]
OPTIONS: Json = {
    "authOptions": {},
    "headServiceAnnotations": {"example.com/a": "b"},
    "historyServerOptions": {"collectorOptions": {"image": "collector", "env": STORAGE}},
    "idleTerminationOptions": {"timeoutSeconds": 60},
    "managedBy": "kueue.x-k8s.io/multikueue",
    "networkPolicy": {"mode": "DenyAllIngress"},
    "suspend": False,
    "tlsOptions": {"enabled": False},
    "upgradeStrategy": {"type": "Recreate"},
}


@pytest.mark.parametrize("key", OPTIONS)
def test_an_option_of_the_cluster(chart: Chart, key: str) -> None:
    """Given, even if it is empty or false, it is passed on; else it isn't there."""
    assert chart.spec({key: OPTIONS[key]})[key] == OPTIONS[key]


def test_options_that_kuberay_has_at_the_head(chart: Chart) -> None:
    at_head = {
        "rayVersion": "2.46.0",
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {"idleTimeoutSeconds": 5},
    }
    found = chart.spec({"head": at_head})
    assert {key: found[key] for key in at_head} == at_head
    found = chart.spec({"head": at_head, "rayVersion": 2.6, "enableInTreeAutoscaling": False})
    assert (found["rayVersion"], found["enableInTreeAutoscaling"]) == ("2.6", False)


def test_the_head_service_and_ingress(chart: Chart) -> None:
    values = {
        "headService": {"metadata": {"name": "mine"}},
        "enableIngress": True,
        "ingressOptions": {"host": "ray.example.com"},
    }
    group = chart.spec({"service": {"type": "NodePort"}, "head": values})["headGroupSpec"]
    assert {key: group[key] for key in (*values, "serviceType")} == {
        **values,
        "serviceType": "NodePort",
    }


def test_fault_tolerance(chart: Chart) -> None:
    reference = {"valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}}
    given = {
        "redisAddress": "redis:6379",
        "externalStorageNamespace": "mine",
        "redisUsername": "user",
        "redisPassword": reference,
    }
    values = {"gcsFaultTolerance": {"enabled": True, **given}}
    found = chart.spec(values)["gcsFaultToleranceOptions"]
    assert found == {**given, "redisUsername": {"value": "user"}}
    disk = {"backend": "rocksdb", "storage": {"size": "2Gi"}}
    found = chart.spec({"gcsFaultTolerance": {"enabled": True, **disk}})["gcsFaultToleranceOptions"]
    assert found == disk
    assert "gcsFaultToleranceOptions" not in chart.spec({"gcsFaultTolerance": given})


def test_whatever_else_is_wanted(chart: Chart) -> None:
    """Maps are merged, and lists are replaced."""
    group = {"groupName": "mine", "template": {"spec": {"containers": [{"name": "a"}]}}}
    extra = {"headGroupSpec": {"labels": {"a": "b"}}, "workerGroupSpecs": [group]}
    spec = chart.spec({"extraSpec": extra})
    assert spec["headGroupSpec"]["labels"] == {"a": "b"}
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert spec["workerGroupSpecs"] == [group]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"worker": {"replicas": "many"}}, "/worker/replicas"),
        ({"worker": {"minReplicas": -1}}, "/worker/minReplicas"),
        ({"worker": {"numOfHosts": 0}}, "/worker/numOfHosts"),
        ({"additionalWorkerGroups": {"a": {"maxReplicas": -1}}}, "/additionalWorkerGroups/a"),
        ({"head": {"containerEnv": {"A": "1"}}}, "/head/containerEnv"),
        ({"head": {"rayStartParams": ["num-cpus"]}}, "/head/rayStartParams"),
        ({"worker": {"image": {"tag": "2.60.0"}}}, "/worker/image"),
        ({"service": {"type": "Headless"}}, "/service/type"),
        ({"gcsFaultTolerance": {"backend": "etcd"}}, "/gcsFaultTolerance/backend"),
        ({"gcsFaultTolerance": {"enabled": True}}, "gcsFaultTolerance.enabled needs redisAddress"),
    ],
)
def test_values_that_are_refused(chart: Chart, values: Json, said: str) -> None:
    with pytest.raises(Refused, match=said):
        chart.cluster(values)


def test_the_schema_knows_every_value() -> None:
    """And the README all that are at the top level."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    kinds = schema["definitions"]
    group = kinds["group"]["properties"].keys()
    known = {
        "head": group | schema["properties"]["head"]["properties"].keys(),
        "worker": group | kinds["workers"]["properties"].keys() | {"groupName"},
    }
    assert values.keys() <= schema["properties"].keys()
    for name, keys in known.items():
        assert values[name].keys() <= keys
    readme = (CHART / "README.md").read_text()
    missing = [key for key in schema["properties"] if f"`{key}" not in readme]
    assert missing == []
