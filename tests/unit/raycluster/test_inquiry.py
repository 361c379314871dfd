"""What is wanted of a head after a pass."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ray_operator import actions, names, ray_records, records
from ray_operator.api import raycluster as api
from ray_operator.api import rules
from ray_operator.raycluster import inquiry
from ray_operator.raycluster import observed as seen
from tests.unit import builders

HEAD = ray_records.RayHead(
    pod_uid="uid-demo-head-aaaaa",
    restarts=0,
    is_up=True,
    host="10.0.0.1",
    gcs_port=6379,
    dashboard_port=8265,
    service="demo-head-svc",
)
NOTHING = actions.Plan()


def wanted(
    *pods: records.Pod,
    cluster: api.RayCluster | None = None,
    decided: actions.Plan = NOTHING,
) -> ray_records.Inquiry | None:
    return inquiry.inquiry(cluster or builders.raycluster(), seen.Observed(pods=pods), decided)


def with_head(**params: Any) -> api.RayCluster:
    head = {"rayStartParams": params, "template": builders.template("ray-head")}
    return builders.raycluster(headGroupSpec=head)


def test_a_quiet_cluster_wants_the_version_alone() -> None:
    assert wanted(builders.pod(), builders.worker()) == ray_records.Inquiry(
        head=HEAD, expected="2.46.0"
    )


def test_marked_workers_are_to_leave_until_their_deadline() -> None:
    mark = {names.DRAINING_ANNOTATION: "2026-01-01T12:00:30Z"}
    going = builders.worker("w-0", annotations=mark)
    gone = builders.worker("w-1", annotations=mark, deletion_at=builders.NOW)
    found = wanted(builders.pod(), going, gone, decided=actions.Plan(asks_ray=True))
    until = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
    assert found == ray_records.Inquiry(
        head=HEAD, expected="2.46.0", asks_state=True, drains=(ray_records.Drain(going, until),)
    )


@pytest.mark.parametrize(
    ("params", "gcs", "dashboard"),
    [
        ({}, 6379, 8265),
        ({"port": "7000", "dashboard-port": "9000"}, 7000, 9000),
        ({"port": "$(PORT)"}, 6379, 8265),
        ({"include-dashboard": "False"}, 6379, 0),
    ],
)
def test_the_ports_are_the_users(params: dict[str, str], gcs: int, dashboard: int) -> None:
    found = wanted(builders.pod(), cluster=with_head(**params))
    assert found is not None
    assert (found.head.gcs_port, found.head.dashboard_port) == (gcs, dashboard)


@pytest.mark.parametrize(
    ("options", "secret", "own"),
    [
        ({"mode": "disabled"}, "", False),
        ({"mode": "token"}, "demo", False),
        ({"mode": "token", "secretName": "mine"}, "mine", False),
        ({"mode": "token", "enableK8sTokenAuth": True}, "", True),
    ],
)
def test_the_token_is_the_clusters(options: dict[str, Any], secret: str, own: bool) -> None:
    found = wanted(builders.pod(), cluster=builders.raycluster(authOptions=options))
    assert found is not None
    assert (found.head.token_secret, found.head.wants_own_token) == (secret, own)


def test_a_head_whose_ray_starts_anew_is_another_life_of_the_same_pod() -> None:
    ray = records.Container("ray-head", restarts=2, state="waiting")
    found = wanted(builders.pod(containers=(ray,)))
    down = msgspec.structs.replace(HEAD, restarts=2, is_up=False)
    assert found == ray_records.Inquiry(head=down, expected="2.46.0")


@pytest.mark.parametrize(
    ("cluster", "decided"),
    [
        (builders.raycluster(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), NOTHING),
        (builders.raycluster(metadata={"annotations": {names.PAUSED_ANNOTATION: "true"}}), NOTHING),
        (builders.raycluster(managedBy=names.MANAGED_BY_KUEUE), NOTHING),
        (
            builders.raycluster(),
            actions.Plan(invalid=(rules.FieldError("spec", "bad", rules.Rule.NAME_LENGTH),)),
        ),
    ],
    ids=["deleted", "paused", "foreign", "invalid"],
)
def test_clusters_that_are_left_alone_want_nothing(
    cluster: api.RayCluster, decided: actions.Plan
) -> None:
    assert wanted(builders.pod(), cluster=cluster, decided=decided) is None


def test_without_a_head_there_is_nobody_to_ask() -> None:
    assert wanted(builders.pod(deletion_at=builders.NOW), builders.worker()) is None


@pytest.mark.parametrize(
    ("head", "is_scaled"),
    [
        ({"annotations": {names.AUTOSCALER_ANNOTATION: "operator"}}, True),
        ({}, False),
        (
            {
                "annotations": {names.AUTOSCALER_ANNOTATION: "operator"},
                "containers": (
                    records.Container("ray-head", state="running"),
                    records.Container("autoscaler"),
                ),
            },
            False,
        ),
    ],
    ids=["ours", "another's", "with a sidecar"],
)
def test_only_what_its_head_was_made_for_is_scaled(head: dict[str, Any], is_scaled: bool) -> None:
    """Whatever the RayCluster says by now: never two controllers."""
    stated = {"annotations": {names.AUTOSCALER_ANNOTATION: "operator"}}
    cluster = builders.raycluster(enableInTreeAutoscaling=True, metadata=stated)
    found = wanted(builders.pod(**head), cluster=cluster)
    assert found is not None
    assert found.is_scaled is is_scaled
    asleep = cluster.model_copy(update={"spec": cluster.spec.model_copy(update={"suspend": True})})
    found = wanted(builders.pod(**head), cluster=asleep)
    assert found is not None
    assert not found.is_scaled


@pytest.mark.parametrize(
    ("strategy", "is_scaled"), [("Recreate", False), ("RollingUpdate", True), ("None", True)]
)
def test_nothing_is_scaled_while_workers_of_before_are_replaced(
    strategy: str, is_scaled: bool
) -> None:
    """A rolling update to another Ray never begins, so its cluster is scaled as it is."""
    stated = {"annotations": {names.AUTOSCALER_ANNOTATION: "operator"}}
    cluster = builders.raycluster(
        enableInTreeAutoscaling=True, metadata=stated, upgradeStrategy={"type": strategy}
    )
    old = {names.GROUP_HASH_ANNOTATION: "of before"}
    image = "rayproject/ray:2.9.0"
    head = builders.pod(annotations={**stated["annotations"], **old}, ray_image=image)
    worker = builders.worker("w", annotations=old)
    found = wanted(head, worker, cluster=cluster)
    assert found is not None
    assert found.is_scaled is is_scaled
