"""The Ray that runs against the one that `rayVersion` promises."""

from typing import Any

import pytest

from ray_operator import actions, ray_records, records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import plan, status, versions
from tests.unit import builders


def world(runs: str, *, head: records.Pod | None = None) -> seen.Observed:
    return seen.Observed(
        pods=(head or builders.pod(), builders.worker(index=0)),
        services=(builders.head_service(),),
        ray=ray_records.RayAnswer(version=runs),
    )


def said(
    cluster: api.RayCluster, observed: seen.Observed, type_: str = versions.MATCHES
) -> tuple[str, str, str] | None:
    """Return status, reason and message of a condition in the next status."""
    written = status.next_status(cluster, observed, actions.Outcome(), builders.NOW) or {}
    for each in written["conditions"]:
        if each["type"] == type_:
            return each["status"], each["reason"], each["message"]
    return None


@pytest.mark.parametrize(
    ("given", "runs", "agrees"),
    [
        ("2.46.0", "2.46.0", True),
        ("2.46", "2.46.1", True),
        ("v2.46.0-py311", "2.46.0", True),
        ("2.46.0", "2.46.1", False),
        ("2.46", "2.47.0", False),
        ("3.46.0", "2.46.0", False),
    ],
)
def test_versions_agree_as_far_as_the_spec_says(given: str, runs: str, agrees: bool) -> None:
    found = said(builders.raycluster(rayVersion=given), world(runs))
    assert (found is None) is agrees


def test_that_it_is_right_is_told_once_it_was_wrong() -> None:
    wrong = status.next_status(NEWER, world("2.46.0"), actions.Outcome(), builders.NOW)
    mended = builders.raycluster(rayVersion="2.46.0", status=dict(wrong or {}))
    expected = ("True", "RayVersionAsSpecified", "the head runs Ray 2.46.0")
    assert said(mended, world("2.46.0")) == expected


@pytest.mark.parametrize(
    ("given", "runs"), [("nightly", "2.46.0"), ("2.46.0", "nightly"), (None, "2.46.0"), ("", "2.4")]
)
def test_what_is_no_version_is_never_wrong(given: str | None, runs: str) -> None:
    assert said(builders.raycluster(rayVersion=given), world(runs)) is None


UNREADY = builders.pod(ready=False)
NEWER = builders.raycluster(rayVersion="2.53.0")
MESSAGE = (
    "the head runs Ray 2.46.0, but rayVersion says 2.53.0, whose health endpoint /api/healthz"
    " 2.46.0 lacks: set rayVersion to 2.46.0, or use an image of Ray 2.53.0"
)


def test_it_explains_a_head_that_is_not_ready() -> None:
    observed = world("2.46.0", head=UNREADY)
    expected = ("False", "RayVersionMismatch", MESSAGE)
    assert said(NEWER, observed) == expected
    assert said(NEWER, observed, "RayClusterReady") == expected
    crashed = records.Container("ray-head", state="waiting", ended=records.Ended(exit_code=1))
    down = world("2.46.0", head=builders.pod(ready=False, containers=(crashed,)))
    assert said(NEWER, down, "RayClusterReady") == (
        "False",
        "ContainerCrashed",
        "container ray-head of Pod demo-head-aaaaa: exit code 1",
    )


def test_a_cluster_that_is_ready_stays_so() -> None:
    observed = world("2.46.0")
    assert said(NEWER, observed) == ("False", "RayVersionMismatch", MESSAGE)
    ready = said(NEWER, observed, "RayClusterReady")
    assert ready is not None
    assert ready[0] == "True"


def before(generation: int, **fields: Any) -> api.RayCluster:
    """Return a cluster of generation 2 of which the mismatch was told in another."""
    condition = {
        "type": versions.MATCHES,
        "status": "False",
        "reason": "RayVersionMismatch",
        "message": MESSAGE,
        "observedGeneration": generation,
    }
    return builders.raycluster(
        rayVersion="2.53.0",
        metadata={"generation": 2},
        status={"conditions": [condition | fields]},
    )


def test_what_was_said_stands_while_an_operator_that_starts_does_not_know() -> None:
    assert said(before(2), world("", head=UNREADY)) == ("False", "RayVersionMismatch", MESSAGE)
    assert said(before(1), world("", head=UNREADY)) is None


def test_without_a_head_nothing_is_said() -> None:
    observed = seen.Observed(ray=ray_records.RayAnswer(version="2.46.0"))
    assert said(before(2), observed) is None


@pytest.mark.parametrize(
    ("cluster", "runs", "count"),
    [
        (before(1), "2.46.0", 1),
        (before(2), "2.46.0", 0),
        (before(2, status="True"), "2.46.0", 1),
        (before(1), "2.53.0", 0),
        (before(1), "", 0),
    ],
    ids=["new generation", "told", "matched before", "matches", "unknown"],
)
def test_a_generation_is_warned_of_once(cluster: api.RayCluster, runs: str, count: int) -> None:
    events = plan.plan(cluster, world(runs), builders.SETTINGS, builders.NOW).events
    expected = actions.Event(
        type="Warning", reason="RayVersionMismatch", action="Validate", message=MESSAGE
    )
    assert events == (expected,) * count
