"""Transition times move only when a status flips."""

from datetime import UTC, datetime

from ray_operator import conditions

EARLIER = "2026-01-01T00:00:00Z"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_merge_keeps_the_time_of_an_unchanged_status_whatever_else_changed() -> None:
    before = conditions.Condition(
        type="Ready", status="False", reason="Old", last_transition_time=EARLIER
    )
    after = conditions.Condition(type="Ready", status="False", reason="New", message="m")
    flipped = conditions.Condition(type="Ready", status="True", reason="New")
    assert conditions.merge([before], [after], now=NOW) == (
        conditions.Condition(
            type="Ready",
            status="False",
            reason="New",
            message="m",
            last_transition_time=EARLIER,
        ),
    )
    (merged,) = conditions.merge([before], [flipped], now=NOW)
    assert merged.last_transition_time == "2026-01-02T00:00:00Z"


def test_what_was_rendered_reads_back_equal() -> None:
    condition = conditions.Condition(
        type="Ready",
        status="True",
        reason="R",
        message="m",
        observed_generation=3,
        last_transition_time=EARLIER,
    )
    assert conditions.read([condition.manifest()]) == (condition,)
