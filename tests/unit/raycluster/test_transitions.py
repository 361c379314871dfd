"""Which changes of a status are worth an event."""

from typing import Any

import pytest

from ray_operator import actions
from ray_operator.raycluster import transitions
from tests.unit import builders


def status(reason: str, state: str = "False", message: str = "why") -> dict[str, Any]:
    condition = {
        "type": "RayClusterReady",
        "status": state,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
    }
    return {"conditions": [condition]}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, status("OutOfMemory"), ["OutOfMemory"]),
        (status("PodsNotReady"), status("OutOfMemory"), ["OutOfMemory"]),
        (status("OutOfMemory"), status("NodeLost"), ["NodeLost"]),
        (status("OutOfMemory", message="how"), status("OutOfMemory"), []),
        (status("OutOfMemory"), status("PodsNotReady"), []),
        (status("OutOfMemory"), status("AllPodsRunningAndReady", "True"), []),
        ({}, {}, []),
    ],
)
def test_a_new_reason_is_told_once(
    before: dict[str, Any], after: dict[str, Any], told: list[str]
) -> None:
    found = transitions.events(builders.raycluster(status=before), after)
    assert list(found) == [
        actions.Event(type="Warning", reason=reason, action="Diagnose", message="why")
        for reason in told
    ]


def test_a_version_that_was_warned_of_is_not_told_twice() -> None:
    written = status("RayVersionMismatch")
    written["conditions"].append({**written["conditions"][0], "type": "RayVersionMatches"})
    assert transitions.events(builders.raycluster(), written) == ()


def scaled(reason: str, message: str = "") -> dict[str, Any]:
    is_true = reason.startswith("ScaledBy")
    condition = {
        "type": "RayClusterAutoscaling",
        "status": "True" if is_true else "False",
        "reason": reason,
        "message": message,
    }
    return {"conditions": [condition]}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, scaled("HeadNotRunning"), None),
        (scaled("HeadNotRunning"), scaled("ScaledByOperator"), ("Normal", "ScaledByOperator")),
        (scaled("ScaledByOperator"), scaled("ScaledByOperator"), None),
        (
            scaled("ScaledByOperator"),
            scaled("GcsUnreachable", "refused"),
            ("Warning", "AutoscalerUnavailable"),
        ),
        (scaled("GcsUnreachable"), scaled("ScaledByOperator"), ("Normal", "AutoscalerRecovered")),
        (
            scaled("HeadNotRunning"),
            scaled("HeadMadeWithoutAutoscaling", "delete it"),
            ("Warning", "HeadMadeWithoutAutoscaling"),
        ),
    ],
)
def test_who_scales_is_told_when_it_changes(
    before: dict[str, Any], after: dict[str, Any], told: tuple[str, str] | None
) -> None:
    found = transitions.events(builders.raycluster(status=before), after)
    assert [(each.type, each.reason) for each in found] == ([told] if told else [])
