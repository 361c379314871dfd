"""The operator's configuration file."""

from pathlib import Path

import pytest
import yaml

from ray_operator import configuration, settings
from ray_operator.api.validation import meta

HEADER = {"apiVersion": "config.ray.io/v1alpha1", "kind": "Configuration"}
SIDECAR = {"name": "fluentbit", "image": "fluent/fluent-bit:4.0"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def write(file: Path, **keys: object) -> Path:
    file.write_text(yaml.safe_dump({**HEADER, **keys}))
    return file


def test_all_keys(file: Path) -> None:
    keys: dict[str, object] = {
        "metricsAddr": ":1",
        "probeAddr": ":2",
        "enableLeaderElection": False,
        "leaderElectionNamespace": "leases",
        "reconcileConcurrency": 3,
        "watchNamespace": "a,b",
        "logFile": "/var/log/ray/operator.log",
        "logFileEncoder": "console",
        "logStdoutEncoder": "console",
        "enableBatchScheduler": False,
        "batchScheduler": "yunikorn",
        "useKubernetesProxy": True,
        "autoscalerDefault": "sidecar",
        "enableMetrics": True,
        "qps": 12.5,
        "burst": 25,
        "headSidecarContainers": [SIDECAR],
        "workerSidecarContainers": [{**SIDECAR, "resources": {"limits": {"cpu": "1"}}}],
        "defaultContainerEnvs": [{"name": "A", "value": "1"}],
        "defaultPodAnnotations": {"example.com/team": "any text, really"},
        "defaultPodLabels": {"team": "ml"},
        "deleteRayJobAfterJobFinishes": True,
    }
    written = configuration.read(write(file, **keys))
    config = configuration.Configuration.model_validate(written)
    assert config.dump() == {**HEADER, **keys}
    assert {configuration.key(field) for field in type(config).model_fields} == {*HEADER, *keys}
    assert config.additions() == settings.PodAdditions(
        head_containers=(SIDECAR,),
        worker_containers=({**SIDECAR, "resources": {"limits": {"cpu": "1"}}},),
        env=({"name": "A", "value": "1"},),
        annotations={"example.com/team": "any text, really"},
        labels={"team": "ml"},
    )


def test_nothing_said_is_the_defaults(file: Path) -> None:
    written = configuration.read(write(file, qps=None, headSidecarContainers=None))
    assert written == HEADER
    assert configuration.Configuration.model_validate(written) == configuration.Configuration()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"headSideCarContainers": []},
            "unknown field 'headSideCarContainers', did you mean 'headSidecarContainers'?",
        ),
        ({"xyz": 1}, "unknown field 'xyz'"),
        ({"enableMetrics": "yes"}, "enableMetrics: 'yes' is not of type 'boolean'"),
        ({"watchNamespace": ["a"]}, "watchNamespace: ['a'] is not of type 'string'"),
        ({"reconcileConcurrency": 0}, "reconcileConcurrency: 0 is less than the minimum of 1"),
        ({"logFileEncoder": "xml"}, "logFileEncoder: 'xml' is unknown: use json, console"),
        (
            {"batchScheduler": "slurm"},
            (
                "batchScheduler: 'slurm' is unknown: use volcano, yunikorn, kai-scheduler,"
                " scheduler-plugins"
            ),
        ),
        (
            {"defaultContainerEnvs": [{"name": "A", "value": 1}]},
            "defaultContainerEnvs[0].value: 1 is no text: put it in quotes",
        ),
        (
            {"defaultContainerEnvs": [{"name": "A"}, {"name": "A"}]},
            "defaultContainerEnvs: 'A' is there 2 times: give each a name of its own",
        ),
        (
            {"defaultPodLabels": {"a": True}},
            "defaultPodLabels.a: True is no text: put it in quotes",
        ),
        ({"defaultPodLabels": {1: "a"}}, "defaultPodLabels: 1 is no text: put it in quotes"),
        (
            {"defaultPodLabels": {"a": "b c"}},
            (f"defaultPodLabels[a]: the value 'b c' {meta.LABEL_WORDS}"),
        ),
        (
            {"defaultPodAnnotations": {"a b": "text"}},
            (
                f"defaultPodAnnotations[a b]: the key {meta.LABEL_WORDS}; a DNS name and '/' may"
                " precede it"
            ),
        ),
        (
            {"headSidecarContainers": [{"image": "x"}]},
            "headSidecarContainers[0]: missing field 'name'",
        ),
        (
            {"headSidecarContainers": [{**SIDECAR, "imagePullpolicy": "Always"}]},
            (
                "headSidecarContainers[0]: unknown field 'imagePullpolicy', did you mean"
                " 'imagePullPolicy'?"
            ),
        ),
        (
            {"workerSidecarContainers": [{"name": "a"}]},
            "workerSidecarContainers[0].image: is missing: name the image to run",
        ),
        (
            {"workerSidecarContainers": [{**SIDECAR, "name": "Fluent_Bit"}]},
            (
                "workerSidecarContainers[0].name: 'Fluent_Bit' must be at most 63 lower-case"
                " letters, digits and '-', starting and ending with a letter or digit"
            ),
        ),
        (
            {"workerSidecarContainers": [{**SIDECAR, "name": "wait-gcs-ready"}]},
            (
                "workerSidecarContainers[0].name: 'wait-gcs-ready' is the operator's own: use"
                " another"
            ),
        ),
        (
            {"workerSidecarContainers": [SIDECAR, SIDECAR]},
            "workerSidecarContainers: 'fluentbit' is there 2 times: give each a name of its own",
        ),
        (
            {"kind": "RayCluster"},
            "kind: 'RayCluster' is unknown: use Configuration",
        ),
        (
            {"apiVersion": None},
            "apiVersion: is missing: write apiVersion: config.ray.io/v1alpha1",
        ),
    ],
)
def test_what_is_wrong_is_named(file: Path, keys: dict[str, object], said: str) -> None:
    with pytest.raises(configuration.BadConfiguration) as told:
        configuration.read(write(file, **keys))
    assert str(told.value) == f"{file}: {said}"


def test_all_that_is_wrong_is_told_at_once(file: Path) -> None:
    with pytest.raises(configuration.BadConfiguration) as told:
        configuration.read(write(file, burst=-1, qps="many"))
    assert [line.removeprefix(f"{file}: ") for line in str(told.value).splitlines()] == [
        "burst: -1 is less than the minimum of 0",
        "qps: 'many' is not of type 'number'",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is no YAML: "),
        ("- a", "must hold one object, of kind Configuration"),
        ("", "must hold one object, of kind Configuration"),
        ("a: 1\n---\na: 1", "must hold one object, of kind Configuration"),
    ],
)
def test_what_is_no_configuration(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(configuration.BadConfiguration, match=said):
        configuration.read(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(configuration.BadConfiguration, match="none: No such file or directory"):
        configuration.read(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON: "),
        ('{"limit": {}}', r"unknown field 'limit', did you mean 'limits'\?"),
        ("[]", r"\[\] is not of type 'object'"),
    ],
)
def test_resources_that_are_none(text: str, said: str) -> None:
    with pytest.raises(configuration.BadConfiguration, match=said):
        configuration.resources(text)
