"""The steps of a rolling update, for any numbers."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_operator import records
from ray_operator.api import options
from ray_operator.raycluster import rollout
from tests.unit import builders

LIMITS = st.builds(rollout.Limits, st.integers(0, 5), st.integers(0, 5)).filter(any)


def replicas(count: int, *, ready: bool = True) -> list[list[records.Pod]]:
    return [[builders.worker(f"w-{index}", ready=ready)] for index in range(count)]


@pytest.mark.parametrize(
    ("strategy", "wanted", "expected"),
    [
        (None, 4, (1, 1)),
        (None, 1, (0, 1)),
        (None, 0, (1, 0)),
        ({"maxUnavailable": "50%", "maxSurge": 0}, 3, (1, 0)),
        ({"maxUnavailable": "1%", "maxSurge": 0}, 3, (1, 0)),
        ({"maxUnavailable": 2, "maxSurge": "150%"}, 3, (2, 5)),
    ],
)
def test_limits_round_as_a_deployments_and_always_leave_a_way(
    strategy: dict[str, str] | None, wanted: int, expected: tuple[int, int]
) -> None:
    update = options.RollingUpdate.model_validate(strategy) if strategy else None
    assert rollout.limits(update, wanted) == expected


def test_room_is_used_before_an_old_replica_goes() -> None:
    old = replicas(3)
    first = rollout.step(
        wanted=3, current=[], old=old, leaving=0, limits=rollout.Limits(unavailable=0, surge=1)
    )
    assert first == (1, [])
    waiting = rollout.step(
        wanted=3,
        current=replicas(1, ready=False),
        old=old,
        leaving=0,
        limits=rollout.Limits(unavailable=0, surge=1),
    )
    assert waiting == (0, [])


def test_without_room_an_old_replica_goes_first_and_is_waited_for() -> None:
    old = replicas(3)
    tight = rollout.Limits(unavailable=1, surge=0)
    assert rollout.step(wanted=3, current=[], old=old, leaving=0, limits=tight) == (0, old[:1])
    assert rollout.step(wanted=3, current=[], old=old[1:], leaving=1, limits=tight) == (0, [])
    assert rollout.step(wanted=3, current=[], old=old[1:], leaving=0, limits=tight) == (1, [])


def test_old_replicas_that_do_not_work_go_first() -> None:
    working, broken = replicas(2), replicas(1, ready=False)
    step = rollout.step(
        wanted=3,
        current=[],
        old=[*working, *broken],
        leaving=0,
        limits=rollout.Limits(unavailable=1, surge=0),
    )
    assert step == (0, broken)


def test_a_group_that_shall_be_empty_lets_all_go() -> None:
    old = replicas(2)
    limits = rollout.limits(None, 0)
    assert rollout.step(wanted=0, current=[], old=old, leaving=0, limits=limits) == (0, old)


class Group(NamedTuple):
    """Numbers of a group's replicas."""

    old: int
    starting: int
    ready: int
    leaving: int


@given(
    wanted=st.integers(0, 20),
    old=st.integers(0, 20),
    limits=LIMITS,
    luck=st.lists(st.booleans(), max_size=60),
)
def test_every_update_ends_within_its_limits(
    wanted: int, old: int, limits: rollout.Limits, luck: list[bool]
) -> None:
    """Replicas get ready, or leave, whenever `luck` has it; in the end they all do."""
    group = Group(old, 0, 0, 0)
    fortune = iter(luck)
    for _ in range(400):
        current = [*replicas(group.ready), *replicas(group.starting, ready=False)]
        step = rollout.step(
            wanted=wanted,
            current=current,
            old=replicas(group.old),
            leaving=group.leaving,
            limits=limits,
        )
        there = sum(group)
        assert there + step.create <= max(there, wanted + limits.surge)
        working = group.old + group.ready
        assert working - len(step.retire) >= min(working, wanted - limits.unavailable)
        group = Group(
            group.old - len(step.retire),
            group.starting + step.create,
            group.ready,
            group.leaving + len(step.retire),
        )
        if next(fortune, True):
            group = group._replace(ready=group.ready + group.starting, starting=0)
        if next(fortune, True):
            group = group._replace(leaving=0)
        if group == Group(0, 0, wanted, 0):
            return
    raise AssertionError(f"{group} after 400 steps")


@given(wanted=st.integers(1, 20), limits=LIMITS)
def test_a_template_that_never_gets_ready_takes_no_more_than_may_be_missing(
    wanted: int, limits: rollout.Limits
) -> None:
    old, starting = wanted, 0
    for _ in range(100):
        step = rollout.step(
            wanted=wanted,
            current=replicas(starting, ready=False),
            old=replicas(old),
            leaving=0,
            limits=limits,
        )
        old, starting = old - len(step.retire), starting + step.create
    assert old == max(wanted - limits.unavailable, 0)
