"""`ray-operator validate`: manifests checked without a cluster."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ray_operator import features, offline
from tests.support import rulebook, samples
from tests.support.rulebook import example


def check(path: Path, *manifests: object, gates: features.Features = example.ALL) -> list[str]:
    path.write_text(yaml.safe_dump_all(manifests))
    _, findings = offline.check(path, gates)
    return [str(each).removeprefix(f"{path}: ") for each in findings]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "manifest.yaml"


@pytest.mark.parametrize("kind", example.PLAIN)
def test_a_good_manifest(file: Path, kind: str) -> None:
    assert check(file, example.manifest(kind, {})) == []


@pytest.mark.parametrize("case", rulebook.CASES, ids=lambda case: case.title)
def test_a_rule(file: Path, case: example.Case) -> None:
    bad = example.manifest(case.kind, case.bad)
    name = f"{case.kind}/{bad['metadata']['name']}"
    path, _, message = case.says.partition(": ")
    warning = "warning: " if case.warns else ""
    expected = f"{name}: {path}: {warning}{message} ({case.rule})"
    assert expected in check(file, bad, gates=case.gates)
    assert check(file, example.manifest(case.kind, case.good), gates=case.gates) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spec/headGroupSpecs": {}}, "spec: unknown field 'headGroupSpecs'"),
        (
            {"spec/headGroupSpec/template/spec/containers/0/imag": "x"},
            "spec.headGroupSpec.template.spec.containers[0]: unknown field 'imag'",
        ),
        ({"spec/headGroupSpec/template": example.REMOVED}, "spec.headGroupSpec: missing field"),
        ({"spec/suspend": "perhaps"}, "spec.suspend: 'perhaps' is not of type 'boolean'"),
        (
            {"spec/autoscalerOptions": {"upscalingMode": "Fast"}},
            "spec.autoscalerOptions.upscalingMode: 'Fast' is unknown: use Default, Aggressive",
        ),
        (
            {"spec/headGroupSpec/template/spec/containers/0/resources": {"limits": {"cpu": []}}},
            (
                "spec.headGroupSpec.template.spec.containers[0].resources.limits.cpu: [] must be a"
                " whole number or a text"
            ),
        ),
    ],
)
def test_what_the_schema_refuses(file: Path, changes: example.Json, said: str) -> None:
    (found,) = [
        line
        for line in check(file, example.manifest("RayCluster", changes))
        if not line.endswith(")")
    ]
    assert found.startswith(f"RayCluster/demo: {said}")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metadata/annotations": {"ray.io/ft-enabled": None}}, []),
        ({"spec/headGroupSpec/rayStartParams": None}, []),
        ({f"{example.GROUP}/minReplicas": example.REMOVED}, []),
        ({"metadata": {"generateName": "demo-"}}, []),
        (
            {"metadata": {"generateName": "a" * 49}},
            ["metadata.generateName: is 54 characters long: use at most 53"],
        ),
        (
            {"metadata/annotations": {"ray.io/ft-enabled": True}},
            ["metadata.annotations.ray.io/ft-enabled: True is no text: put it in quotes"],
        ),
        (
            {"metadata/creationTimestamp": "soon"},
            ["metadata.creationTimestamp: Input should be a valid datetime"],
        ),
        ({"spec": example.REMOVED}, ["missing field 'spec'"]),
        (
            {example.HEAD_ENV: example.env("A") * 2},
            ["spec.headGroupSpec.template.spec.containers[0].env[1]: appears twice: name 'A'"],
        ),
    ],
)
def test_what_the_api_server_sees_to(file: Path, changes: example.Json, said: list[str]) -> None:
    found = [
        line.removeprefix("RayCluster/").removeprefix("demo").removeprefix(": ")
        for line in check(file, example.manifest("RayCluster", changes))
    ]
    assert len(found) == len(said)
    assert all(map(str.startswith, found, said))


def test_other_kinds_are_left_alone_and_lists_are_looked_into(file: Path) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"nonsense": 1}}
    bad = example.manifest("RayCluster", {"spec/suspend": 1})
    listed = {"apiVersion": "v1", "kind": "List", "items": [pod, bad]}
    assert check(file, pod, listed, None, "text") == [
        "RayCluster/demo: spec.suspend: 1 is not of type 'boolean'"
    ]


def test_an_unknown_kind_or_version(file: Path) -> None:
    unknown = example.manifest("RayCluster", {}) | {"kind": "RayClusters"}
    old = example.manifest("RayCronJob", {}) | {"apiVersion": "ray.io/v1alpha1"}
    assert check(file, unknown, old) == [
        "RayClusters/demo: ray.io/v1 RayClusters is unknown",
        "RayCronJob/demo: ray.io/v1alpha1 RayCronJob is unknown",
    ]


@pytest.mark.parametrize("text", ["a: [", "&a [*a]", "a: " + "[" * 9999, f"a: {'9' * 9999}"])
def test_what_is_no_yaml(file: Path, text: str) -> None:
    file.write_text(text)
    count, (finding,) = offline.check(file, example.ALL)
    assert (count, finding.message.startswith("is no YAML: ")) == (0, True)


def test_the_command(file: Path) -> None:
    """Exit codes are an interface: 0 all is well, 1 something is wrong, 2 a file is unreadable."""

    def run(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "ray_operator", "validate", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr.strip()

    gates = f"--feature-gates={features.Feature.EMBEDDED_STORAGE}=true"
    count, said, summary = run(*map(str, samples.ALL), gates)
    assert (count, said) == (0, "")
    assert summary.endswith("resources, 0 errors")
    file.write_text(yaml.safe_dump(example.manifest("RayCluster", {"spec/networkPolicy": {}})))
    gate = "feature gate RayClusterNetworkPolicy"
    error = f"spec.networkPolicy: isn't built yet: remove it ({gate}) (feature-gate)"
    assert run(str(file)) == (1, f"{file}: RayCluster/demo: {error}\n", "1 resources, 1 errors")
    switched_on = run("--feature-gates=RayClusterNetworkPolicy=true", str(file))
    warning = f"the {gate} stays off: nothing is built behind it yet"
    assert switched_on == (
        1,
        f"{file}: RayCluster/demo: {error}\n",
        f"{warning}\n1 resources, 1 errors",
    )
    assert run("--feature-gates=Nonsense=true", str(file))[0] == 2
    missing = file.with_name("missing.yaml")
    assert run(str(missing)) == (2, "", f"{missing}: No such file or directory")
