"""A changed spec ends where a cluster made of it would have begun, whatever happens in between.

Every field of the spec is either changed here or stands in `IMMUTABLE` with the reason.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_operator.api import base as base_api
from ray_operator.api import raycluster as api
from ray_operator.api.validation import raycluster as rules
from ray_operator.raycluster import rayparams, spec_hash
from tests.unit import builders
from tests.unit.raycluster import world as worlds

Json = dict[str, Any]

IMMUTABLE = {  # and with RollingUpdate, whether the head Service has an address: see `ends`
    "managedBy": "another operator's cluster is left alone",
    "suspend": "has no Pods: test_convergence",
    "idleSuspend": "has no Pods: test_convergence",
    "upgradeStrategy": "says how",
    "networkPolicy": "nothing is built behind its feature gate yet",
    "tlsOptions": "nothing is built behind its feature gate yet",
    "historyServerOptions": "nothing is built behind its feature gate yet",
}
FINALIZERS = ["ray.io/gcs-ft-redis-cleanup-finalizer"]
"""The cluster has it from the start, so that its state may be kept in Redis."""


def template(**container: Any) -> Json:
    given = builders.template("ray")
    given["spec"]["containers"][0] |= {"image": "ray:old", **container}
    return given


def base() -> Json:
    return {
        "headGroupSpec": {"rayStartParams": {}, "template": template()},
        "workerGroupSpecs": [
            {"groupName": name, "replicas": 2, "maxReplicas": 4, "template": template()}
            for name in "ab"
        ],
    }


IMAGE = {"template": template(image="ray:new")}
LABELLED = {"template": {**template(), "metadata": {"labels": {"team": "x"}}}}
GROUP: Mapping[str, Sequence[Any]] = {
    "template": [template(image="ray:new"), LABELLED["template"]],
    "rayStartParams": [{"num-cpus": "3"}],
    "resources": [{"CPU": "2", "special": "1"}],
    "labels": [{"zone": "a"}],
}
HEAD: Mapping[str, Sequence[Any]] = {
    **GROUP,
    "rayStartParams": [{"num-cpus": "0"}, {"port": "6380"}],
    "serviceType": ["NodePort", "LoadBalancer"],
    "headService": [
        {"metadata": {"annotations": {"a": "b"}}, "spec": {"sessionAffinity": "ClientIP"}},
        {"metadata": {"name": "front"}},
    ],
    "enableIngress": [True],
    "ingressOptions": [{"host": "ray.example.com"}],
}
WORKERS: Mapping[str, Sequence[Any]] = {
    **GROUP,
    "groupName": ["c"],
    "replicas": [0, 1, 3],
    "minReplicas": [3],
    "maxReplicas": [1],
    "numOfHosts": [2, 3],
    "scaleStrategy": [{"workersToDelete": ["gone"]}],
    "idleTimeoutSeconds": [],  # only with autoscaling
    "priority": [],  # only with autoscaling
    "suspend": [True],
}
SPEC: Mapping[str, Sequence[Any]] = {
    "rayVersion": ["2.53.0"],
    "enableInTreeAutoscaling": [True],
    "autoscalerOptions": [{"idleTimeoutSeconds": 5, "env": [{"name": "A", "value": "b"}]}],
    "idleTerminationOptions": [],  # only with autoscaling
    "headServiceAnnotations": [{"a": "b"}],
    "gcsFaultToleranceOptions": [{"redisAddress": "redis:6379"}],
    "authOptions": [{"mode": "token"}],
    "headGroupSpec": [],  # see HEAD
    "workerGroupSpecs": [
        [],
        [{"groupName": "new", "replicas": 1, "template": template()}],
        list(reversed(base()["workerGroupSpecs"])),
    ],
}
CHANGES: list[tuple[str, str, Any]] = [
    (place, field, value)
    for place, fields in (("", SPEC), ("head", HEAD), ("workers", WORKERS))
    for field, values in fields.items()
    for value in values
]
SOME_CHANGES = st.lists(st.sampled_from(CHANGES), min_size=1, max_size=5)
CRASHES = st.lists(st.none() | st.integers(0, 6), max_size=6)
STRATEGIES: Mapping[str, Json] = {
    "Recreate": {"type": "Recreate"},
    "RollingUpdate": {"type": "RollingUpdate", "rollingUpdate": {"replaceHead": "Always"}},
}
each_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def changed(changes: Sequence[tuple[str, str, Any]]) -> Json:
    spec = base()
    for place, field, value in copy.deepcopy(changes):
        if not place:
            spec[field] = value
        elif place == "head":
            spec["headGroupSpec"][field] = value
        elif spec["workerGroupSpecs"]:
            spec["workerGroupSpecs"][0][field] = value
    return spec


def cluster(spec: Json, strategy: str, generation: int = 1) -> api.RayCluster:
    return builders.raycluster(
        groups=spec.pop("workerGroupSpecs"),
        metadata={"finalizers": FINALIZERS, "generation": generation},
        upgradeStrategy=STRATEGIES[strategy],
        **{"rayVersion": "2.52.0", **spec},
    )


def ends(
    changes: Sequence[tuple[str, str, Any]], strategy: str, crashes: Sequence[int | None] = ()
) -> None:
    wanted = cluster(changed(changes), strategy, 2)
    if rules.errors(wanted):
        return
    before = worlds.converge(cluster(base(), strategy), worlds.World())
    after = worlds.converge(wanted, before, crashes=crashes, rounds=80)
    assert worlds.decide(wanted, after).actions == ()
    (said,) = (c for c in after.status["conditions"] if c["type"] == "RayClusterUpToDate")
    is_renamed = rayparams.head_service_name(wanted) != "demo-head-svc"
    if strategy == "RollingUpdate" and spec_hash.has_address(wanted.spec) and not is_renamed:
        assert (said["status"], said["reason"]) == ("False", "HeadServiceNotReplaced")
        return  # a rolling update always has Pods, and the Service keeps its address with them
    assert after.content() == worlds.converge(wanted, worlds.World()).content()
    assert said["status"] == "True"


@each_strategy
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change[0]}-{change[1]}")
def test_every_change_alone_ends_where_a_new_cluster_would(
    change: tuple[str, str, Any], strategy: str
) -> None:
    ends([change], strategy)


@each_strategy
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=SOME_CHANGES, crashes=CRASHES)
def test_changes_together_end_there_too_however_often_the_operator_dies(
    changes: list[tuple[str, str, Any]], crashes: list[int | None], strategy: str
) -> None:
    ends(changes, strategy, crashes)


def test_no_field_is_forgotten() -> None:
    def fields(model: type[base_api.Model]) -> set[str]:
        return {field.alias or name for name, field in model.model_fields.items()}

    assert fields(api.RayClusterSpec) == SPEC.keys() | IMMUTABLE.keys()
    assert fields(api.HeadGroupSpec) == set(HEAD)
    assert fields(api.WorkerGroupSpec) == set(WORKERS)
