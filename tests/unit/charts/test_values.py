"""Values of the operator's chart: each is in the schema and explained, and typos are refused."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from ray_operator import configuration, features
from scripts import chart_readme
from tests.support import charts

CHART = charts.ROOT / "charts/ray-operator"
TEXT = (CHART / "values.yaml").read_text()
DEFAULTS: charts.Json = yaml.safe_load(TEXT)
SCHEMA: charts.Json = json.loads((CHART / "values.schema.json").read_text())
OF_HELM = {"enabled", "global"}
"""What a chart of which this is a part may add."""
KUBERAY: charts.Json = {
    "nameOverride": "kuberay-operator",
    "fullnameOverride": "kuberay-operator",
    "componentOverride": "kuberay-operator",
    "replicas": 1,
    "image": {"pullPolicy": "Always"},
    "imagePullSecrets": [],
    "nodeSelector": {},
    "affinity": {},
    "tolerations": [],
    "priorityClassName": "",
    "labels": {},
    "annotations": {},
    "serviceAccount": {"create": True, "name": "kuberay-operator"},
    "logging": {
        "stdoutEncoder": "json",
        "fileEncoder": "json",
        "baseDir": "",
        "fileName": "",
        "sizeLimit": "",
    },
    "batchScheduler": {"enabled": False, "name": ""},
    "configuration": {
        "enabled": False,
        "defaultContainerEnvs": [],
        "defaultPodAnnotations": {},
        "defaultPodLabels": {},
        "headSidecarContainers": [],
        "workerSidecarContainers": [],
    },
    "featureGates": [{"name": "RayClusterStatusConditions", "enabled": True}],
    "metrics": {
        "enabled": True,
        "serviceMonitor": {
            "enabled": True,
            "interval": "30s",
            "honorLabels": True,
            "additionalLabels": {"release": "prometheus"},
            "namespace": "monitoring",
        },
    },
    "operatorCommand": "/manager",
    "useKubernetesProxy": False,
    "leaderElectionEnabled": True,
    "reconcileConcurrency": 1,
    "kubeClient": {"qps": 100.0, "burst": 200},
    "rbacEnable": True,
    "crNamespacedRbacEnable": True,
    "singleNamespaceInstall": False,
    "watchNamespace": ["n1", "n2"],
    "env": [{"name": "ENABLE_INIT_CONTAINER_INJECTION", "value": "true"}],
    "resources": {"limits": {"cpu": "100m", "memory": "512Mi"}},
    "livenessProbe": {"initialDelaySeconds": 10, "periodSeconds": 5, "failureThreshold": 5},
    "readinessProbe": {"initialDelaySeconds": 10, "periodSeconds": 5, "failureThreshold": 5},
    "podSecurityContext": {},
    "securityContext": {"runAsNonRoot": True},
    "service": {"type": "ClusterIP", "port": 8080},
}
"""All values of KubeRay 1.7's chart, as its users' files may have them."""


def closed(schema: charts.Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the objects whose keys the schema knows."""
    if schema.get("additionalProperties") is False:
        yield path
    for key, each in schema.get("properties", {}).items():
        yield from closed(resolved(each), (*path, key))


def resolved(schema: charts.Json) -> charts.Json:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: charts.Json = SCHEMA["definitions"][name] if name else schema
    return found


def named(schema: charts.Json, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the dotted paths of all values that the schema knows."""
    for key, each in schema.get("properties", {}).items():
        yield ".".join((*path, key))
        yield from named(resolved(each), (*path, key))


def keys(values: charts.Json, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the dotted paths of all keys."""
    for key, each in values.items():
        yield ".".join((*path, key))
        if isinstance(each, dict):
            yield from keys(each, (*path, key))


def errors(values: charts.Json) -> list[str]:
    """Return what the schema says of values."""
    return [each.message for each in jsonschema.Draft7Validator(SCHEMA).iter_errors(values)]


def changed(path: tuple[str, ...], value: Any) -> charts.Json:
    """Return the defaults with another value at a path."""
    values = copy.deepcopy(DEFAULTS)
    node = values
    for key in path[:-1]:
        node = node.setdefault(key, {})
    node[path[-1]] = value
    return values


def test_the_defaults_fit_the_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert errors(DEFAULTS) == []


def test_every_value_is_in_the_schema_and_in_the_file() -> None:
    """Keys of Kubernetes' own objects aside, of which the file shows only some."""
    explained = {each.path for each in chart_readme.found(TEXT)}
    known = {each for each in named(SCHEMA) if not each.startswith(tuple(OF_HELM))}
    whole = {each for each in explained if isinstance(at(each), dict | list) or at(each) is None}
    beneath = {each for each in known if any(each.startswith(f"{top}.") for top in whole)}
    assert known - beneath - set(keys(DEFAULTS)) == set()
    assert explained - known == set()


def at(path: str) -> Any:
    node: Any = DEFAULTS
    for key in path.split("."):
        node = node[key]
    return node


@pytest.mark.parametrize("path", sorted(closed(SCHEMA)), ids=".".join)
def test_a_typo_is_named(path: tuple[str, ...]) -> None:
    (message,) = errors(changed((*path, "tpyo"), 1))
    said = "'tpyo' was unexpected" if path else "'tpyo' does not match any of the regexes: '^x-'"
    assert said in message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("replicas",), "2"),
        (("watchNamespace",), "a"),
        (("watchNamespace",), ["a,b"]),
        (("featureGates",), [{"name": "RayCronjob", "enabled": True}]),
        (("featureGates",), {"RayCronJob": "true"}),
        (("labels",), {"team": 1}),
        (("reconcileConcurrency",), 0),
        (("kubeClient", "qps"), "many"),
        (("image", "pullPolicy"), "always"),
        (("podDisruptionBudget",), {"minAvailable": 1, "maxUnavailable": 1}),
        (("podDisruptionBudget",), {"maxUnavailable": "half"}),
        (("env",), [{"nmae": "A"}]),
        (("logging", "baseDir"), "logs"),
        (("livenessProbe", "periodSeconds"), 0),
        (("webhook", "failurePolicy"), "fail"),
        (("autoscalerDefault",), "ray"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(path: tuple[str, ...], value: Any) -> None:
    assert errors(changed(path, value)) != []


def test_helm_says_which_value_is_misspelt(operator: charts.Helm) -> None:
    with pytest.raises(charts.Refused, match=r"at '/image': additional properties 'tga' not"):
        operator.render({"image": {"tga": "v1"}})


def test_kuberay_s_values_are_taken(operator: charts.Helm) -> None:
    assert errors(KUBERAY) == []
    rendered = operator.render(KUBERAY)
    container = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["ray-operator"]
    assert "--watch-namespace=n1,n2" in container["args"]
    assert "--use-kubernetes-proxy=false" in container["args"]
    assert rendered.one("ServiceMonitor")["metadata"]["namespace"] == "monitoring"


@pytest.mark.parametrize(
    "repository", ["quay.io/kuberay/operator", "mirror.example/kuberay/operator"]
)
def test_kuberay_s_image_is_refused(operator: charts.Helm, repository: str) -> None:
    with pytest.raises(charts.Refused, match=f"{repository} is KubeRay's operator: name this"):
        operator.render({"image": {"repository": repository, "tag": "v1.7.0"}})


def test_a_tag_may_be_a_number(operator: charts.Helm) -> None:
    for pod in operator.render({"image": {"tag": 20261231}}).pods():
        assert pod["spec"]["containers"][0]["image"] == "ray-operator:20261231"


def test_a_chart_around_this_one_may_add_its_own() -> None:
    assert errors({**DEFAULTS, "enabled": True, "global": {"registry": "a"}}) == []


def test_choices_are_the_operator_s() -> None:
    properties = SCHEMA["properties"]
    listed, mapped = properties["featureGates"]["anyOf"]
    gates = list(features.Feature)
    assert listed["items"]["properties"]["name"]["enum"] == gates
    assert list(mapped["properties"]) == gates
    assert properties["autoscalerDefault"]["enum"] == [*configuration.AUTOSCALERS, None]
    schedulers = properties["batchScheduler"]["properties"]["name"]["enum"]
    assert schedulers == ["", *configuration.BATCH_SCHEDULERS]
    for encoder in ("stdoutEncoder", "fileEncoder"):
        assert properties["logging"]["properties"][encoder]["enum"] == [*configuration.ENCODERS]


def test_a_value_that_is_not_explained_is_told() -> None:
    with pytest.raises(ValueError, match=r"^b isn't explained: write a comment above it$"):
        chart_readme.found("## A\n\n# Yes.\na: 1\nb: 2\n")
    with pytest.raises(ValueError, match=r"^a is in no section"):
        chart_readme.found("# Yes.\na: 1\n")


def test_values_are_found_with_defaults_and_comments() -> None:
    text = """\
## First

# Of two
# lines.
a: {b: 1}
c:
  # Inner.
  d: null
## Second

# A group.
e:
  # Its | part.
  f: x
"""
    found = chart_readme.found(text)
    assert found == [
        chart_readme.Value("First", "a", '{"b": 1}', "Of two lines."),
        chart_readme.Value("First", "c.d", "null", "Inner."),
        chart_readme.Value("Second", "e", None, "A group."),
        chart_readme.Value("Second", "e.f", '"x"', "Its | part."),
    ]
    assert '| `e.f` | `"x"` | Its \\| part. |' in chart_readme.readme(text)
