"""Reading RayClusters from the API server and writing them for users."""

import json
from datetime import UTC, datetime
from typing import Any

import pydantic
import pytest

from ray_operator.api import base, options
from ray_operator.api import raycluster as api

TEMPLATE = {"spec": {"containers": [{"name": "ray"}]}}
STORED: dict[str, Any] = {
    "apiVersion": "ray.io/v1",
    "kind": "RayCluster",
    "metadata": {
        "name": "demo",
        "namespace": "ns1",
        "uid": "u",
        "generation": 3,
        "resourceVersion": "77",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {
        "fromTheFuture": {"a": [1]},
        "headGroupSpec": {"template": TEMPLATE, "headService": {"spec": {"clusterIP": "None"}}},
        "workerGroupSpecs": [{"groupName": "small", "template": TEMPLATE, "newKey": 1}],
    },
    "status": {"state": "ready", "head": {"podIP": "10.0.0.1"}},
}


def test_what_was_stored_comes_out_as_it_went_in() -> None:
    assert api.RayCluster.model_validate_json(json.dumps(STORED)).manifest() == STORED


def test_defaults_of_the_crd_hold_in_the_model() -> None:
    (group,) = api.RayCluster.model_validate(STORED).spec.worker_group_specs
    assert (group.replicas, group.min_replicas, group.max_replicas) == (0, 0, 2147483647)
    assert (group.num_of_hosts, group.priority, group.ray_start_params) == (1, 0, {})


def test_nulls_read_as_not_given() -> None:
    head = {"template": TEMPLATE, "rayStartParams": None, "labels": None, "serviceType": None}
    worker = {"groupName": "a", "template": TEMPLATE, "minReplicas": None, "replicas": None}
    cluster = api.RayCluster.model_validate(
        {
            "metadata": {"name": "demo", "labels": None},
            "spec": {"headGroupSpec": head, "workerGroupSpecs": [worker], "suspend": None},
            "status": None,
        }
    )
    assert cluster == api.RayCluster(
        metadata=base.Metadata(name="demo"),
        spec=api.RayClusterSpec(
            head_group_spec=api.HeadGroupSpec(template=TEMPLATE),
            worker_group_specs=[api.WorkerGroupSpec(group_name="a", template=TEMPLATE)],
        ),
    )


def test_metadata_is_typed() -> None:
    metadata = api.RayCluster.model_validate(STORED).metadata
    assert metadata.creation_timestamp == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (metadata.generation, metadata.resource_version) == (3, "77")
    assert metadata.deletion_timestamp is None


def test_numbers_are_fine_where_the_api_wants_strings() -> None:
    head = api.HeadGroupSpec.model_validate(
        {"template": TEMPLATE, "rayStartParams": {"num-cpus": 1}, "resources": {"a": 0.5}}
    )
    assert head.ray_start_params == {"num-cpus": "1"}
    assert head.resources == {"a": "0.5"}


def test_a_value_outside_an_enum_is_still_readable() -> None:
    given = {"version": "v3"}
    assert options.AutoscalerOptions.model_validate(given).version == "v3"


def test_users_build_clusters_in_python() -> None:
    cluster = api.RayCluster(
        metadata=base.Metadata(name="demo"),
        spec=api.RayClusterSpec(
            head_group_spec=api.HeadGroupSpec(template=TEMPLATE),
            enable_in_tree_autoscaling=True,
            auth_options=options.AuthOptions(mode="token", enable_k8s_token_auth=False),
        ),
    )
    assert cluster.manifest() == {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "demo"},
        "spec": {
            "headGroupSpec": {"template": TEMPLATE},
            "enableInTreeAutoscaling": True,
            "authOptions": {"mode": "token", "enableK8sTokenAuth": False},
        },
    }


def test_models_are_immutable() -> None:
    cluster = api.RayCluster.model_validate(STORED)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        cluster.kind = "Other"  # type: ignore[assignment,misc]
