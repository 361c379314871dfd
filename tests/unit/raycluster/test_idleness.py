"""Clusters that nobody uses go to sleep, or away, and wake."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from ray_operator import actions, conditions, names, ray_records
from ray_operator import scaling_records as say
from ray_operator.raycluster import idleness, inquiry, plan, status
from ray_operator.raycluster import observed as seen
from tests.unit import builders

Status = ray_records.NodeStatus
MINUTE = timedelta(minutes=1)
HEAD = builders.pod()
OPTIONS: dict[str, Any] = {"timeoutSeconds": 60}


def answer(
    *,
    drivers: int = 0,
    left_ms: int = 0,
    works: bool = False,
    demand: say.Demand | None = None,
    at: datetime = builders.NOW,
) -> ray_records.RayAnswer:
    nodes = (
        ray_records.RayNode(b"h", HEAD.name, Status.IDLE),
        ray_records.RayNode(b"w", "w", Status.RUNNING if works else Status.IDLE),
        ray_records.RayNode(b"d", "d", Status.DEAD),
    )
    state = ray_records.ResourceState(builders.NOW, nodes, demand=demand or say.Demand())
    return ray_records.RayAnswer(state=state, drivers=say.Drivers(at, drivers, left_ms))


def cluster(since: datetime | None = None, **spec: Any) -> Any:
    said = {"idleSince": conditions.timestamp(since)} if since else {}
    given = {"idleTerminationOptions": OPTIONS, **spec}
    return builders.raycluster(groups=[], status=said, **given)


def world(ray: ray_records.RayAnswer | None = None, **fields: Any) -> seen.Observed:
    return seen.Observed(pods=(HEAD,), ray=ray or answer(), **fields)


def todo(given: Any, observed: seen.Observed) -> tuple[list[dict[str, Any]], timedelta | None]:
    found = idleness.plan(given, observed, builders.NOW)
    return [dict(each.change) for each in found.actions if isinstance(each, actions.Patch)], (
        found.requeue_after
    )


def test_the_time_begins_when_nothing_goes_on() -> None:
    written = status.next_status(cluster(), world(), actions.Outcome(), builders.NOW)
    assert written is not None
    assert written["idleSince"] == conditions.timestamp(builders.NOW)


def test_it_is_suspended_after_its_time() -> None:
    since = builders.NOW - MINUTE / 2
    assert todo(cluster(since), world()) == ([], MINUTE / 2)
    asleep = {"spec": {"idleSuspend": True}}
    assert todo(cluster(builders.NOW - MINUTE), world()) == ([asleep], None)


def test_it_may_be_deleted_instead() -> None:
    given = cluster(builders.NOW - MINUTE, idleTerminationOptions={**OPTIONS, "policy": "Delete"})
    (found,) = idleness.plan(given, world(), builders.NOW).actions
    assert isinstance(found, actions.Delete)
    assert (found.name, found.uid) == ("demo", builders.UID)


@pytest.mark.parametrize(
    ("ray", "fields"),
    [
        (answer(drivers=1), {}),
        (answer(works=True), {}),
        (answer(demand=say.Demand(((say.ResourceRequest((("CPU", 1.0),)), 1),))), {}),
        (answer(), {"is_used": True}),
    ],
    ids=["driver", "work", "demand", "RayJob"],
)
def test_what_goes_on_keeps_it(ray: ray_records.RayAnswer, fields: dict[str, Any]) -> None:
    given = cluster(builders.NOW - 2 * MINUTE)
    assert todo(given, world(ray, **fields))[0] == []
    written = status.next_status(given, world(ray, **fields), actions.Outcome(), builders.NOW)
    assert written is not None
    assert "idleSince" not in written


def test_a_driver_that_came_and_went_between_two_looks() -> None:
    left = int((builders.NOW - MINUTE / 3).timestamp() * 1000)
    given = cluster(builders.NOW - 2 * MINUTE)
    assert todo(given, world(answer(left_ms=left))) == ([], 2 * MINUTE / 3)


def test_nothing_happens_unless_it_is_wanted() -> None:
    since = builders.NOW - 2 * MINUTE
    for given in (
        cluster(since, idleTerminationOptions=None),
        cluster(since, idleTerminationOptions={"policy": "Suspend"}),
        cluster(since, idleSuspend=True),
    ):
        assert todo(given, world()) == ([], None)
        asked = inquiry.inquiry(given, world(), actions.Plan())
        assert asked is not None
        assert not asked.asks_drivers


def test_an_annotation_wakes_it() -> None:
    metadata = {"annotations": {names.WAKE_ANNOTATION: ""}}
    given = cluster(idleSuspend=True, metadata=metadata)
    found = plan.plan(given, world(), builders.SETTINGS, builders.NOW)
    (patch,) = found.actions
    assert isinstance(patch, actions.Patch)
    assert patch.change == {
        "metadata": {"annotations": {names.WAKE_ANNOTATION: None}},
        "spec": {"idleSuspend": False},
    }


def test_what_nobody_knows_changes_nothing() -> None:
    since = builders.NOW - 2 * MINUTE
    given, silent = cluster(since), world(ray_records.RayAnswer(error="no answer"))
    assert todo(given, silent) == ([], None)
    written = status.next_status(given, silent, actions.Outcome(), builders.NOW)
    assert written is not None
    assert written["idleSince"] == conditions.timestamp(since)


def test_drivers_are_counted_once_more_before_it_goes() -> None:
    late = builders.NOW - MINUTE / 4
    given = cluster(builders.NOW - MINUTE)
    assert todo(given, world(answer(at=late))) == ([], idleness.SOON)
