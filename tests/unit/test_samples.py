"""The samples are valid, and so are the programs in them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_operator import features, go_yaml, offline
from tests.support import samples

GATES = features.DEFAULT | {features.Feature.EMBEDDED_STORAGE, features.Feature.CRON_JOB}
WITHOUT_OURS = {"ray-without-operator.yaml", "ingress-rayclient-tls.yaml"}


def programs(manifest: Any) -> Iterator[tuple[str, str]]:
    """Yield the Python in a ConfigMap."""
    if manifest["kind"] == "ConfigMap":
        yield from ((key, text) for key, text in manifest["data"].items() if key.endswith(".py"))


def images(node: Any) -> Iterator[str]:
    """Yield every container's image."""
    if isinstance(node, dict):
        if isinstance(node.get("image"), str):
            yield node["image"]
        for each in node.values():
            yield from images(each)
    elif isinstance(node, list):
        for each in node:
            yield from images(each)


@pytest.mark.parametrize("sample", samples.ALL, ids=lambda path: path.name)
def test_a_sample(sample: Path) -> None:
    """Its resources break no rule and warn of nothing; its programs are Python."""
    count, findings = offline.check(sample, GATES)
    assert [str(each) for each in findings] == []
    assert bool(count) == (sample.name not in WITHOUT_OURS)
    for manifest in go_yaml.load_all(sample.read_text()):
        for name, text in programs(manifest):
            ast.parse(text, filename=f"{sample.name}: {name}")


@pytest.mark.parametrize("sample", samples.ALL, ids=lambda path: path.name)
def test_a_sample_says_what_it_is_for(sample: Path) -> None:
    comment = sample.read_text().partition("apiVersion:")[0].splitlines()
    assert comment
    assert all(line.startswith("#") for line in comment)


@pytest.mark.parametrize(
    "sample", [each for each in samples.ALL if not samples.needs(each)], ids=lambda path: path.name
)
def test_what_runs_anywhere_has_images_that_the_local_cluster_has(sample: Path) -> None:
    have = {
        "rayproject/ray:2.46.0",
        "rayproject/ray:2.60.0",
        "redis:7",
        "ray-operator-submitter:dev",
    }
    assert set(images(list(yaml.safe_load_all(sample.read_text())))) <= have


def test_names_are_not_used_twice() -> None:
    """So that they can be tried in one namespace, but for these."""
    shared = {
        ("Secret", "redis-password"),
        ("Service", "redis"),
        ("Deployment", "redis"),
        ("RayCluster", "raycluster-autoscaler"),
    }
    seen: dict[tuple[str, str], str] = {}
    twice = set()
    for sample in samples.ALL:
        for manifest in yaml.safe_load_all(sample.read_text()):
            key = (manifest["kind"], manifest["metadata"]["name"])
            twice |= {key} & seen.keys()
            seen[key] = sample.name
    assert twice == shared


def test_needs_are_read() -> None:
    assert samples.needs(samples.FOLDER / "ray-job.sandbox.yaml") == (
        "nodes with the runtime class gvisor"
    )
    assert samples.needs(samples.FOLDER / "ray-job.sample.yaml") == ""
