"""Counts of replicas and Pods."""

from typing import Any

import pytest

from ray_operator.api import base
from ray_operator.api import raycluster as api
from ray_operator.raycluster import groups
from tests.unit import builders


def specs(*given: dict[str, Any]) -> list[api.WorkerGroupSpec]:
    return builders.raycluster(
        groups=[builders.group(**each) for each in given]
    ).spec.worker_group_specs


@pytest.mark.parametrize(
    ("given", "replicas"),
    [
        ({"replicas": 3}, 3),
        ({"replicas": None}, 0),
        ({"replicas": None, "minReplicas": 2}, 2),
        ({"replicas": 1, "minReplicas": 2}, 2),
        ({"replicas": 9, "maxReplicas": 5}, 5),
        ({"replicas": -1, "minReplicas": None}, 0),
        ({"replicas": 9, "maxReplicas": None}, 9),
        ({"replicas": 3, "minReplicas": 4, "maxReplicas": 2}, 4),
        ({"replicas": 3, "suspend": True}, 0),
    ],
)
def test_replicas_are_held_between_their_bounds(given: dict[str, Any], replicas: int) -> None:
    assert groups.desired_replicas(specs(given)[0]) == replicas


@pytest.mark.parametrize(("hosts", "pods"), [(None, 3), (1, 3), (4, 12), (0, 3), (-2, 3)])
def test_a_replica_has_as_many_pods_as_hosts_and_at_least_one(hosts: int | None, pods: int) -> None:
    assert groups.desired_pods(specs({"replicas": 3, "numOfHosts": hosts})[0]) == pods


def test_bounds_of_a_cluster_add_up_without_suspended_groups() -> None:
    given = specs(
        {"minReplicas": 1, "maxReplicas": 3, "numOfHosts": 2},
        {"minReplicas": 2, "maxReplicas": 4},
        {"minReplicas": 5, "maxReplicas": 9, "suspend": True},
    )
    assert groups.min_pods(given) == 4
    assert groups.max_pods(given) == 10


def test_the_upper_bound_fits_an_int32() -> None:
    given = specs({"maxReplicas": None}, {"maxReplicas": None, "numOfHosts": 4})
    assert groups.max_pods(given) == base.INT32_MAX
