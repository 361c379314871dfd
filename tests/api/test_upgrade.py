"""From the CRDs of another version to ours: nothing stored is lost, and the operator says what is.

The older CRDs here are as the reference's: too big for client-side apply, so installed server-side
by another owner; lists of worker groups atomic; no rules; fewer fields.
"""

import copy
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ray_operator.api import crds
from tests.api import operators
from tests.support import apiserver
from tests.support import cluster as clusters
from tests.support.rulebook import example

ROOT = Path(__file__).parents[2]
LIMIT = 262144
"""Bytes that all annotations of an object may have."""


def without_rules(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: without_rules(each)
            for key, each in node.items()
            if key != "x-kubernetes-validations"
        }
    return node


def older(kind: crds.Kind) -> example.Json:
    """Return a definition as the reference would have it."""
    definition: example.Json = without_rules(copy.deepcopy(crds.definition(kind)))
    resource = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    resource["description"] = "x" * (LIMIT + 10_000 - len(crds.compact(definition)))
    if kind.name == "RayCluster":
        spec, status = resource["properties"]["spec"], resource["properties"]["status"]
        for key in ("x-kubernetes-list-type", "x-kubernetes-list-map-keys"):
            del spec["properties"]["workerGroupSpecs"][key]
        del spec["properties"]["idleTerminationOptions"]
        del status["x-kubernetes-preserve-unknown-fields"]
        del status["properties"]["readyWorkerReplicas"]
        del status["properties"]["conditions"]
    return definition


@pytest.fixture(scope="module")
def old_api(programs: Path) -> Iterator[clusters.Cluster]:
    """Run an API server with the older CRDs."""
    with apiserver.running(programs) as server:
        for kind in crds.KINDS:
            text = json.dumps(older(kind))
            with pytest.raises(clusters.CommandFailed, match="Too long"):
                server.kubectl("apply", "-f", "-", stdin=text)
            flags = ("--server-side", "--field-manager=helm", "-f", "-")
            server.kubectl("apply", *flags, stdin=text)
        server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        yield server


def cluster(api: clusters.Cluster, name: str) -> example.Json:
    found = api.get("rayclusters", "default", name)
    assert found is not None
    return found


def wait_pods(api: clusters.Cluster, name: str, count: int) -> None:
    api.wait(
        lambda: len(api.list("pods", "default", labels=f"ray.io/cluster={name}")) == count,
        within=timedelta(seconds=60),
        what=f"{count} Pods of {name}",
        namespace="default",
    )


def test_with_older_crds_the_operator_works_and_says_so(
    old_api: clusters.Cluster, tmp_path: Path
) -> None:
    log = tmp_path / "operator.log"
    changes = {"spec/workerGroupSpecs/0/replicas": 1}
    old_api.apply(example.manifest("RayCluster", changes, name="before"), "default")
    with operators.running(old_api, log) as port:
        wait_pods(old_api, "before", 2)
        old_api.wait(
            lambda: "status" in cluster(old_api, "before"),
            within=timedelta(seconds=30),
            what="a status",
            namespace="default",
        )
        # What can't be stored of a status must not be written again at every pass.
        operators.wait_quiet(old_api, port)
        passes, patches = operators.passes(port), operators.writes(port, "PATCH")
        old_api.patch("rayclusters", "default", "before", {"metadata": {"labels": {"a": "b"}}})
        old_api.wait(
            lambda: operators.passes(port) > passes,
            within=timedelta(seconds=30),
            what="another pass",
            namespace="default",
        )
        operators.wait_quiet(old_api, port)
        assert operators.writes(port, "PATCH") == patches
    status = cluster(old_api, "before")["status"]
    assert status["desiredWorkerReplicas"] == 1
    assert "conditions" not in status
    (told,) = [line for line in log.read_text().splitlines() if "is older than" in line]
    assert json.loads(told)["level"] == "WARNING"
    fields = "spec.idleTerminationOptions, status.conditions, status.readyWorkerReplicas"
    assert re.search(f"CRD of RayCluster is older .* {re.escape(fields)}", told)
    assert log.read_text().count("is current") == len(crds.KINDS) - 1


def test_upgraded_crds_keep_every_stored_field(old_api: clusters.Cluster, tmp_path: Path) -> None:
    stored: dict[str, example.Json] = {
        "RayCluster": {
            "spec/workerGroupSpecs/0/scaleStrategy": {"workersToDelete": ["a"]},
            "spec/headGroupSpec/headService": {"spec": {"ports": [{"port": 1, "name": "a"}]}},
            "spec/gcsFaultToleranceOptions": {"redisAddress": "r:1"},
            "spec/headGroupSpec/template/spec/affinity": {"nodeAffinity": {}},
        },
        "RayJob": {"spec/submitterPodTemplate": example.template(command=["x"])},
        "RayService": {"spec/excludeHeadPodFromServeSvc": True},
        "RayCronJob": {"spec/timeZone": "Etc/UTC"},
    }
    before = {}
    for kind in crds.KINDS:
        manifest = example.manifest(kind.name, stored[kind.name], name="kept")
        flags = ("--server-side", "--field-manager=user", "-f", "-")
        old_api.kubectl("apply", *flags, stdin=json.dumps(manifest))
        before[kind] = old_api.get(kind.plural, "default", "kept")
    for said in ("configured", "unchanged"):
        told = old_api.kubectl("apply", "-f", str(ROOT / "crds"))
        assert told.count(said) == len(crds.KINDS)
    for kind in crds.KINDS:
        found, was = old_api.get(kind.plural, "default", "kept"), before[kind]
        assert found is not None
        assert was is not None
        assert (found["spec"], found["metadata"]) == (was["spec"], was["metadata"])
    # An owner of the list as a whole goes on to own its groups, and others may join.
    manifest = example.manifest("RayCluster", stored["RayCluster"], name="kept")
    manifest["spec"]["workerGroupSpecs"][0]["maxReplicas"] = 9
    flags = ("--server-side", "--field-manager=user", "-f", "-")
    old_api.kubectl("apply", *flags, stdin=json.dumps(manifest))
    (group,) = cluster(old_api, "kept")["spec"]["workerGroupSpecs"]
    assert (group["maxReplicas"], group["scaleStrategy"]) == (9, {"workersToDelete": ["a"]})
    log = tmp_path / "operator.log"
    with operators.running(old_api, log):
        old_api.wait(
            lambda: log.read_text().count("is current") == len(crds.KINDS),
            within=timedelta(seconds=30),
            what="the operator content with the CRDs",
            namespace="default",
        )
        old_api.wait(
            lambda: "conditions" in cluster(old_api, "kept").get("status", {}),
            within=timedelta(seconds=30),
            what="conditions",
            namespace="default",
        )
