"""Which changes of a spec count."""

import copy
from typing import Any

import pytest

from ray_operator.api import raycluster as api
from ray_operator.raycluster import spec_hash
from tests.unit import builders

SPEC: dict[str, Any] = {
    "headGroupSpec": {"template": builders.template("head")},
    "workerGroupSpecs": [{"groupName": "a", "template": builders.template("worker")}],
}


def hashed(change: dict[str, Any] | None = None) -> str:
    def merge(into: Any, given: Any) -> Any:
        for key, value in given.items():
            if isinstance(value, dict) and (isinstance(into, list) or key in into):
                merge(into[key], value)
            else:
                into[key] = value
        return into

    return spec_hash.spec_hash(
        api.RayClusterSpec.model_validate(merge(copy.deepcopy(SPEC), change or {}))
    )


def test_the_hash_never_changes_between_versions_of_the_operator() -> None:
    """A new value here restarts running clusters: bump it only with the version annotation."""
    assert hashed() == "GI3E1GR7FLU6G0IROPQ2ENGO59EPCULU"


@pytest.mark.parametrize(
    "change",
    [
        {"suspend": True},
        {"managedBy": "ray.io/kuberay-operator"},
        {"networkPolicy": {"mode": "DenyAllIngress"}},
        {"upgradeStrategy": {"type": "Recreate"}},
        {"headServiceAnnotations": {"a": "1"}},
        {"headGroupSpec": {"serviceType": "ClusterIP", "enableIngress": True}},
        {"headGroupSpec": {"ingressOptions": {"host": "x"}}},
        {"headGroupSpec": {"rayStartParams": {}}},
        {"headGroupSpec": {"template": {"spec": {"tolerations": [{"key": "x"}]}}}},
        {"headGroupSpec": {"template": {"spec": {"schedulingGates": [{"name": "x"}]}}}},
        {"workerGroupSpecs": {0: {"replicas": 3, "minReplicas": 1, "maxReplicas": 9}}},
        {"workerGroupSpecs": {0: {"numOfHosts": 1, "priority": 3, "suspend": True}}},
        {"workerGroupSpecs": {0: {"scaleStrategy": {"workersToDelete": ["x"]}}}},
        {"workerGroupSpecs": {0: {"idleTimeoutSeconds": 3}}},
    ],
)
def test_what_no_pod_depends_on_does_not_count(change: dict[str, Any]) -> None:
    assert hashed(change) == hashed()


@pytest.mark.parametrize(
    "change",
    [
        {"rayVersion": "2.60.0"},
        {"enableInTreeAutoscaling": True},
        {"fromTheFuture": 1},
        {"headGroupSpec": {"rayStartParams": {"num-cpus": "0"}}},
        {"headGroupSpec": {"serviceType": "NodePort"}},
        {"headGroupSpec": {"headService": {"spec": {"type": "NodePort"}}}},
        {"headGroupSpec": {"headService": {"metadata": {"name": "front"}}}},
        {"headGroupSpec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}},
        {"workerGroupSpecs": {0: {"groupName": "b"}}},
        {"workerGroupSpecs": {0: {"numOfHosts": 2}}},
        {"workerGroupSpecs": []},
    ],
)
def test_what_pods_depend_on_counts(change: dict[str, Any]) -> None:
    assert hashed(change) != hashed()


def test_of_the_autoscalers_options_only_what_its_container_needs_counts() -> None:
    plain = hashed({"autoscalerOptions": {"image": "x"}})
    tuned = {"image": "x", "idleTimeoutSeconds": 5, "upscalingMode": "Conservative"}
    assert hashed({"autoscalerOptions": tuned}) == plain != hashed()
