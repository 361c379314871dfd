"""Our manifests beside what KubeRay made of the same clusters, field by field.

Every difference that is meant stands in `MEANT` with its reason; any other one fails.
"""

import dataclasses
import fnmatch
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest
import yaml

from ray_operator import actions, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import children, desired, observed

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = ["sample", "user-command", "http-probes", "v1alpha1", "multihost", "auth-ingress", "gcs-ft"]
CASES += ["autoscaler-v1", "autoscaler-v2"]
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
SETTINGS = settings.Settings(version="nightly")
PLAIN = observed.Observed(around=records.Surroundings(is_openshift=False))


class Absent:
    """Stands for a field that isn't there."""

    def __repr__(self) -> str:
        return "<absent>"


ABSENT = Absent()
ELIDED = "<script elided, see the specs>"


class Difference(NamedTuple):
    """A difference by path (a pattern), our value, theirs, and why."""

    path: str
    ours: Any
    theirs: Any
    reason: str


MEANT = [
    Difference(
        f"metadata.annotations.{names.DEFAULT_CONTAINER_ANNOTATION}",
        ANY,
        ABSENT,
        "kubectl logs and exec go to the Ray container",
    ),
    Difference(
        f"metadata.annotations.{names.HASH_ANNOTATION}",
        ANY,
        ANY,
        "another set of fields counts",
    ),
    Difference(
        f"metadata.annotations.{names.HASH_ANNOTATION}",
        ANY,
        ABSENT,
        "workers tell their spec too, so that a head replaced in time hides nothing",
    ),
    Difference(
        f"metadata.annotations.{names.GROUP_HASH_ANNOTATION}",
        ANY,
        ABSENT,
        "tells which groups a change is about",
    ),
    Difference(
        f"metadata.annotations.{names.CONTENT_HASH_ANNOTATION}",
        ANY,
        ABSENT,
        "tells without a comparison whether an update is due",
    ),
    Difference(
        f"metadata.labels.{names.CLUSTER_LABEL}",
        ANY,
        ABSENT,
        "the headless Service is found as all other children are",
    ),
    Difference(
        "spec.*ontainers.*.terminationMessagePolicy",
        "FallbackToLogsOnError",
        ABSENT,
        "what crashes says why in its status",
    ),
    Difference(
        "rules.*.resourceNames.0", ANY, ABSENT, "the autoscaler may change its cluster only"
    ),
    Difference(
        "spec.clusterIP",
        ABSENT,
        "None",
        "with fault tolerance, workers find a head that comes back only at a lasting address",
    ),
    Difference("data.auth_token", ABSENT, "<elided>", "drawn when it is written"),
    Difference("spec.containers.*.startupProbe.*", ANY, ABSENT, "Ray is seen as soon as it is up"),
    Difference(
        "spec.containers.*.readinessProbe.initialDelaySeconds", 0, 10, "the startup probe waits"
    ),
    Difference("spec.containers.*Probe.exec.command.2", ANY, ELIDED, "bash asks, not wget"),
    Difference(
        "spec.containers.ray-worker.*Probe.timeoutSeconds",
        5,
        2,
        "the checks' own time-outs and the start of a shell must fit",
    ),
    Difference("spec.initContainers.wait-gcs-ready.args.0", ANY, ELIDED, "the port is tried first"),
    Difference(
        "spec.initContainers.wait-gcs-ready.resources.limits.cpu", "1", "200m", "faster imports"
    ),
    Difference(
        "spec.initContainers.wait-gcs-ready.resources.limits.memory",
        "1Gi",
        "256Mi",
        "importing Ray needs more on many images",
    ),
    *(
        Difference(f"spec.selector.{label}", ABSENT, ANY, "users may override it on the template")
        for label in (names.IDENTIFIER_LABEL, names.APP_NAME_LABEL, names.CREATED_BY_LABEL)
    ),
]
SERVER_DEFAULTS = {
    "*.imagePullPolicy": "IfNotPresent",
    "*.ports.*.protocol": "TCP",
    "*.ports.*.targetPort": ANY,
    "*Probe.httpGet.scheme": "HTTP",
    "*.volumeMounts": [],
    "metadata.name": ANY,
    "spec.clusterIPs.0": "None",
    "spec.clusterIP": "<ip>",
    "spec.clusterIPs": "<ip>",
    "spec.externalTrafficPolicy": "Cluster",
    "spec.internalTrafficPolicy": "Cluster",
    "spec.ipFamilies.0": "IPv4",
    "spec.ipFamilyPolicy": "SingleStack",
    "spec.restartPolicy": "Always",
    "spec.serviceAccountName": "default",
    "spec.sessionAffinity": "None",
    "spec.type": "ClusterIP",
}


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk all leaves; items of lists go by their name, else by index."""
    if isinstance(value, dict) and value:
        items = value.items()
    elif isinstance(value, list) and value:
        items = {
            each["name"] if isinstance(each, dict) and "name" in each else index: each
            for index, each in enumerate(value)
        }.items()
    else:
        yield path, value
        return
    for key, each in items:
        yield from flat(each, f"{path}.{key}" if path else str(key))


def is_meant(path: str, ours: Any, theirs: Any) -> bool:
    if isinstance(ours, Absent):
        for pattern, default in SERVER_DEFAULTS.items():
            if fnmatch.fnmatchcase(path, pattern) and default == theirs:
                return True
    return any(
        fnmatch.fnmatchcase(path, meant.path)
        and matches(meant.ours, ours)
        and matches(meant.theirs, theirs)
        for meant in MEANT
    )


def matches(expected: Any, value: Any) -> bool:
    if isinstance(expected, Absent) or isinstance(value, Absent):
        return expected is value
    return bool(expected == value)


def unmeant(ours: dict[str, Any], theirs: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    left, right = dict(flat(ours)), dict(flat(theirs))
    return [
        (path, left.get(path, ABSENT), right.get(path, ABSENT))
        for path in sorted({*left, *right})
        if left.get(path, ABSENT) != right.get(path, ABSENT)
        and not is_meant(path, left.get(path, ABSENT), right.get(path, ABSENT))
    ]


def load(case: str) -> tuple[api.RayCluster, list[dict[str, Any]]]:
    text = (GOLDEN / f"cluster-{case}.out.yaml").read_text()
    documents = list(yaml.safe_load_all(UUID.sub("<uid of owner>", text)))
    (cluster,) = (each for each in documents if each["kind"] == "RayCluster")
    for each in documents:
        each["metadata"]["namespace"] = f"g-cluster-{case}"
    cluster["metadata"]["uid"] = "<uid of owner>"
    cluster["metadata"].pop("annotations", {}).pop(
        "kubectl.kubernetes.io/last-applied-configuration", None
    )
    del cluster["status"]
    model = api.RayCluster.model_validate_json(json.dumps(cluster))
    # Users' own objects stand there too.
    owned = [each for each in documents if "ownerReferences" in each["metadata"]]
    return model, owned


def before(theirs: dict[str, Any]) -> observed.Observed:
    """Return a world in which the reference's object may be made: a binding needs its Role."""
    if theirs["kind"] != "RoleBinding":
        return PLAIN
    role = records.Meta(
        kind="Role",
        namespace=theirs["metadata"]["namespace"],
        name=theirs["roleRef"]["name"],
        uid="uid-role",
        resource_version="1",
        labels={},
        annotations={},
        owner=None,
    )
    return dataclasses.replace(PLAIN, others=(role,))


def built(cluster: api.RayCluster, theirs: dict[str, Any]) -> dict[str, Any]:
    labels = theirs["metadata"]["labels"]
    if theirs["kind"] != "Pod":
        world = children.plan(cluster, before(theirs), options=SETTINGS)
        (made,) = (
            action.manifest
            for action in world.actions
            if isinstance(action, actions.Create | actions.Apply)
            and action.manifest["kind"] == theirs["kind"]
            and action.manifest["metadata"]["name"] == theirs["metadata"]["name"]
        )
        return dict(made)
    if labels[names.NODE_TYPE_LABEL] == names.HEAD:
        return desired.head_pod(cluster, settings=SETTINGS)
    groups = {group.group_name: group for group in cluster.spec.worker_group_specs}
    place = {
        key: labels[key]
        for key in (
            names.REPLICA_INDEX_LABEL,
            names.REPLICA_NAME_LABEL,
            names.HOST_INDEX_LABEL,
        )
        if key in labels
    }
    group = groups[labels[names.GROUP_LABEL]]
    (worker,) = desired.worker_pods(
        cluster, group, places=[desired.Place(place)], settings=SETTINGS
    )
    return worker


@pytest.mark.parametrize("case", CASES)
def test_manifests_differ_from_the_reference_only_where_meant(case: str) -> None:
    cluster, theirs = load(case)
    assert len(theirs) >= 3
    found = [
        (child["metadata"].get("name"), *each)
        for child in theirs
        for each in unmeant(built(cluster, child), child)
    ]
    assert found == []


def test_every_meant_difference_occurs() -> None:
    """A difference that never occurs is a stale excuse."""
    seen = set()
    for case in CASES:
        cluster, theirs = load(case)
        for child in theirs:
            left, right = dict(flat(built(cluster, child))), dict(flat(child))
            for path in {*left, *right}:
                ours, theirs = left.get(path, ABSENT), right.get(path, ABSENT)
                seen |= {
                    index
                    for index, meant in enumerate(MEANT)
                    if fnmatch.fnmatchcase(path, meant.path)
                    and matches(meant.ours, ours)
                    and matches(meant.theirs, theirs)
                }
    assert seen == set(range(len(MEANT)))


def test_a_difference_that_is_not_meant_is_found() -> None:
    assert unmeant({"spec": {"type": "NodePort"}}, {"spec": {"type": "ClusterIP"}}) == [
        ("spec.type", "NodePort", "ClusterIP")
    ]
