"""Our manifests beside what KubeRay made of the same clusters, field by field.

Every difference that is meant stands in `MEANT` with its reason; any other one fails.
"""

import dataclasses
import json
from typing import Any
from unittest.mock import ANY

import pytest

from ray_operator import actions, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import children, desired, observed
from tests.unit import golden
from tests.unit.golden import ABSENT, ELIDED, Difference

CASES = ["sample", "user-command", "http-probes", "v1alpha1", "multihost", "auth-ingress", "gcs-ft"]
CASES += ["autoscaler-v1", "autoscaler-v2"]
SETTINGS = settings.Settings(version="nightly", autoscaler_default="sidecar")
PLAIN = observed.Observed(around=records.Surroundings(is_openshift=False))


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


def load(case: str) -> tuple[api.RayCluster, list[dict[str, Any]]]:
    documents = golden.documents(f"cluster-{case}")
    (cluster,) = (each for each in documents if each["kind"] == "RayCluster")
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
        for each in golden.unmeant(built(cluster, child), child, MEANT)
    ]
    assert found == []


def test_every_meant_difference_occurs() -> None:
    """A difference that never occurs is a stale excuse."""
    seen: set[int] = set()
    for case in CASES:
        cluster, theirs = load(case)
        for child in theirs:
            seen |= golden.occurring(built(cluster, child), child, MEANT)
    assert seen == set(range(len(MEANT)))


def test_a_difference_that_is_not_meant_is_found() -> None:
    ours, theirs = {"spec": {"type": "NodePort"}}, {"spec": {"type": "ClusterIP"}}
    assert golden.unmeant(ours, theirs, MEANT) == [("spec.type", "NodePort", "ClusterIP")]
