"""`ray-operator validate` and kubectl, asked about the same files."""

import json
from pathlib import Path

import pytest

from ray_operator import features, go_yaml, offline
from tests.support import cluster as clusters

PLAIN_TEXTS = (
    *("y", "Y", "n", "yes", "No", "on", "Off", "true", "TRUE", "tRue"),
    *("~", "null", "Null", "1", "+1", "-1", "-0", "010", "08", "0o17", "0x1F", "+0x1", "0b11"),
    *("0x", "0b", "1_000", "1_", "_1", "0_7", "1e3", "1E3", "1e+3", "1.5e3", ".5", "+.5", "5."),
    *("1e", "1.2.3", "0.0.0.0", "09.5", "685_230.15", "22:22", "190:20:30.15", "!!str 1"),
    *("2024-01-01", "2024-01-01T00:00:00Z", "=", "==", "<<a", "'1'"),
)
FILE = """
apiVersion: ray.io/v1
kind: RayCluster
metadata:
  name: asked
  {metadata}
spec:
  headGroupSpec:
    {head}
    template:
      metadata: {template}
      spec:
        containers:
        - {{name: ray, image: rayproject/ray, {container}}}
"""


def test_plain_texts_are_what_kubectl_takes_them_for(api: clusters.Cluster) -> None:
    """What kubectl would send; in a list, that is also what an API server would take away."""
    listed = "".join(f"- {text}\n" for text in PLAIN_TEXTS)
    header = "apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: texts}\nspec:\n"
    flags = ("create", "--dry-run=client", "--validate=ignore", "-o", "json", "-f", "-")
    sent = json.loads(api.kubectl(*flags, stdin=f"{header}{listed}"))["spec"]
    ((read),) = go_yaml.load_all(listed)
    of_kubectl = dict(zip(PLAIN_TEXTS, map(repr, sent), strict=True))
    ours = dict(zip(PLAIN_TEXTS, map(repr, read), strict=True))
    assert {text: each.removesuffix(".0") for text, each in ours.items()} == of_kubectl


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"head": "rayStartParams:"}, ""),
        ({"head": "rayStartParams: {a: ~}"}, ""),
        ({"head": "rayStartParams: {num-cpus: 0}"}, "num-cpus: 0 is no text: put it in quotes"),
        ({"head": "rayStartParams: {block: true}"}, "block: True is no text: put it in quotes"),
        ({"head": "rayStartParams: {a: y}"}, "a: True is no text: put it in quotes"),
        ({"head": "rayStartParams: {on: a, 1: b}"}, ""),
        ({"head": "labels: {a: 2024-01-01}"}, ""),
        ({"container": "env: , resources: "}, ""),
        ({"container": "env: [~]"}, "env[0]: None is not of type 'object'"),
        ({"container": "env: [{name: a}, {name: a}]"}, "env[1]: appears twice: name 'a'"),
        (
            {"container": "ports: [{containerPort: 1}, {containerPort: 1, protocol: TCP}]"},
            "ports[1]: appears twice: containerPort 1, protocol 'TCP'",
        ),
        ({"container": "resources: {limits: {cpu: 2, memory: 1e9}}"}, ""),
        ({"container": "resources: {limits: {cpu: 1.5}}"}, "cpu: 1.5 must be a whole number or"),
        ({"template": "{creationTimestamp: null}"}, ""),
        ({"template": "{uid: a}"}, "unknown field 'uid'"),
        ({"metadata": "annotations:"}, ""),
        ({"metadata": "annotations: {a: 2024-01-01T00:00:00Z}"}, ""),
        ({"metadata": "annotations: {ray.io/ft-enabled: true}"}, "True is no text"),
        ({"metadata": "labels: [a]"}, "metadata.labels: ['a'] is not of type 'object'"),
        ({"metadata": "namespace: 1"}, "metadata.namespace: 1 is no text"),
        ({"metadata": "labls: {}"}, "metadata: unknown field 'labls'"),
    ],
)
def test_a_file(api: clusters.Cluster, tmp_path: Path, changes: dict[str, str], said: str) -> None:
    """What passes here is accepted by a server, and what is refused there is told of here."""
    file = tmp_path / "asked.yaml"
    parts = {"metadata": "", "head": "", "template": "{}", "container": "", **changes}
    file.write_text(FILE.format_map(parts))
    count, findings = offline.check(file, features.DEFAULT)
    told = "\n".join(map(str, findings))
    assert count == 1
    assert (said in told) if said else (told == "")
    try:
        api.kubectl("apply", "--dry-run=server", "-f", str(file))
    except clusters.CommandFailed:
        assert said
    else:
        assert not said
