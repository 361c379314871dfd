"""Objects that were stored by other rules: whatever they hold, they can be told of and released.

The definitions here are as permissive as any that users may have had, so every bad example of the
rule book can be stored. Then ours take their place.
"""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ray_operator.api import crds
from ray_operator.api.rules import Rule
from tests.support import apiserver, rulebook
from tests.support import cluster as clusters
from tests.support.rulebook import example

RESTRICTIONS = {
    "enum",
    "maximum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minimum",
    "minItems",
    "minLength",
    "pattern",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
}
REQUIRED = {Rule.CONTAINER_NAME, Rule.CONTAINER_PORT, Rule.FORM}
"""By all definitions: fields that are keys of lists, and types of fields."""
FINALIZER = "example.com/hold"
NO_SPEC: example.Json = {"spec": example.REMOVED}
NO_TEMPLATE: example.Json = {"template": {}}
BARE: dict[str, tuple[str, example.Json]] = {
    **{f"nothing-{kind.name}": (kind.name, NO_SPEC) for kind in crds.KINDS},
    "no-head-pod": ("RayCluster", {example.HEAD: NO_TEMPLATE}),
    "no-head-container": ("RayCluster", {example.HEAD: {"template": {"spec": {"containers": []}}}}),
    "no-worker-pod": ("RayCluster", {f"{example.GROUP}/template": {}, **example.V2}),
    "rocksdb-without-head": (
        "RayCluster",
        {example.HEAD: NO_TEMPLATE, example.FT: {"backend": "rocksdb"}},
    ),
    "tls-without-head": (
        "RayCluster",
        {example.HEAD: NO_TEMPLATE, "spec/tlsOptions": {"enabled": True}},
    ),
    "history-without-pods": (
        "RayCluster",
        {
            example.HEAD: NO_TEMPLATE,
            f"{example.GROUP}/template": {},
            "spec/historyServerOptions": {"collectorOptions": example.S3},
        },
    ),
    "job-without-anything": ("RayJob", {"spec": {}}),
    "job-without-submitter": ("RayJob", {"spec/entrypoint": example.REMOVED}),
    "job-without-head": (
        "RayJob",
        {
            "spec/submissionMode": "SidecarMode",
            "spec/rayClusterSpec/headGroupSpec/template": {},
        },
    ),
    "submitter-without-pod": (
        "RayJob",
        {"spec/entrypoint": example.REMOVED, "spec/submitterPodTemplate": {}},
    ),
    "submitter-without-container": (
        "RayJob",
        {
            "spec/entrypoint": example.REMOVED,
            "spec/submitterPodTemplate": {"spec": {"containers": []}},
        },
    ),
}
STORED = {
    **{
        f"bad-{index}": (case.kind, case.bad)
        for index, case in enumerate(rulebook.CASES)
        if case.rule not in REQUIRED
    },
    **BARE,
}


def permissive(node: Any) -> Any:
    """Return a schema with nothing but fields, types and defaults, and what must be there."""
    if not isinstance(node, dict):
        return node
    kept = {key: permissive(each) for key, each in node.items() if key not in RESTRICTIONS}
    if kept.get("required") == ["spec"]:
        del kept["required"]  # ours alone: of Pod templates
    if "properties" in node:
        kept["properties"] = {name: permissive(each) for name, each in node["properties"].items()}
    return kept


def older(kind: crds.Kind) -> example.Json:
    definition = copy.deepcopy(crds.definition(kind))
    for version in definition["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"] = permissive(version["schema"]["openAPIV3Schema"])
    return definition


@pytest.fixture(scope="module")
def stored(programs: Path) -> Iterator[clusters.Cluster]:
    """Run an API server that holds all of them, under our definitions."""
    with apiserver.running(programs) as api:
        for kind in crds.KINDS:
            api.kubectl("create", "-f", "-", stdin=json.dumps(older(kind)))
        _wait(api, lambda: api.kubectl("wait", "--for=condition=Established", "crd", "--all"))
        items = [manifest(name) for name in STORED]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        api.kubectl("create", "--validate=ignore", "-f", "-", stdin=text)
        for kind in crds.KINDS:
            api.kubectl("replace", "-f", "-", stdin=json.dumps(crds.definition(kind)))
        _wait(api, lambda: all(_has_rules(api, kind) for kind in crds.KINDS))
        yield api


def _wait(api: clusters.Cluster, predicate: Callable[[], object]) -> None:
    within = timedelta(seconds=60)
    api.wait(predicate, within=within, what="definitions in force", namespace="default")


def manifest(name: str) -> example.Json:
    kind, changes = STORED[name]
    made = example.manifest(kind, {"metadata/name": name.lower(), **changes})
    made["metadata"]["finalizers"] = [FINALIZER]
    return made


def _has_rules(api: clusters.Cluster, kind: crds.Kind) -> bool:
    bad = example.manifest(kind.name, {"metadata/name": "1a"})
    return "metadata.name" in api.dry_run(bad, namespace="default")


@pytest.mark.parametrize("name", STORED)
def test_whatever_was_stored_can_be_labelled_told_of_and_released(
    stored: clusters.Cluster, name: str
) -> None:
    """A rule that can't be evaluated would refuse even what changes nothing about it."""
    metadata, kind = manifest(name)["metadata"], STORED[name][0]
    found = stored.get(f"{kind.lower()}s", "default", metadata["name"])
    assert found is not None
    released = {**found, "metadata": {**found["metadata"], "labels": {"a": "b"}, "finalizers": []}}
    told = {**found, "status": {"observedGeneration": 1}}
    assert stored.dry_run(released, namespace="default", old=found) == ""
    assert stored.dry_run(told, namespace="default", old=found, subresource="status") == ""


@pytest.mark.parametrize(
    "case",
    [each for each in rulebook.CASES if each.rule is Rule.FORM and each.kind != "RayCronJob"],
    ids=lambda case: case.title,
)
def test_the_old_version_takes_no_types_that_rules_could_not_be_asked_about(
    api: clusters.Cluster, case: example.Case
) -> None:
    """It leaves Kubernetes' types open, but for what rules and the operator read of them."""
    good, bad = (
        {**example.manifest(case.kind, each), "apiVersion": "ray.io/v1alpha1"}
        for each in (case.good, case.bad)
    )
    assert api.dry_run(good, namespace="default") == ""
    assert case.server in api.dry_run(bad, namespace="default")
