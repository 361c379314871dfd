"""A status that is no news waits: briefly while little goes on, longer while much does."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ray_operator import pacing, recent, records, workqueue

KEY = records.Key("RayCluster", "ns1", "demo")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NONE, SECOND = timedelta(), timedelta(seconds=1)


def made(speed: int) -> tuple[pacing.Pacing, workqueue.WorkQueue]:
    """Return one that has just seen so many statuses change."""
    queue = workqueue.WorkQueue()
    pace = pacing.Pacing(queue)
    for number in range(speed):
        pace.changes(records.Key("RayCluster", "ns1", f"other-{number}"))
    return pace, queue


@pytest.mark.parametrize(
    ("last", "wait"),
    [
        pytest.param(datetime.min.replace(tzinfo=UTC), NONE, id="never"),
        pytest.param(NOW - pacing.SHORTEST, NONE, id="long ago"),
        pytest.param(NOW - pacing.SHORTEST + SECOND, SECOND, id="a moment ago"),
        pytest.param(NOW, pacing.SHORTEST, id="now"),
        pytest.param(NOW + timedelta(hours=1), NONE, id="by a clock that was ahead"),
    ],
)
def test_while_little_goes_on_the_last_one_counts(last: datetime, wait: timedelta) -> None:
    pace, _ = made(recent.BUSY - 1)
    assert pace.wait(KEY, last=last, now=NOW) == wait


@pytest.mark.parametrize(
    ("speed", "wait"),
    [(recent.BUSY, recent.BUSY * pacing.SHORTEST), (10_000, pacing.LONGEST)],
)
async def test_while_much_goes_on_it_waits_from_when_it_was_due(
    speed: int, wait: timedelta
) -> None:
    pace, _ = made(speed)
    last = NOW - timedelta(hours=1)
    assert pace.wait(KEY, last=last, now=NOW) == wait
    assert pace.wait(KEY, last=last, now=NOW + SECOND) == wait - SECOND
    assert pace.wait(KEY, last=last, now=NOW + wait) == NONE
    assert pace.waits(KEY)
    pace.written(KEY)
    assert not pace.waits(KEY)
    assert pace.wait(KEY, last=last, now=NOW + wait) == wait


async def test_once_little_goes_on_what_waits_gets_its_pass() -> None:
    pace, queue = made(10_000)
    last = NOW - timedelta(hours=1)
    assert pace.wait(KEY, last=last, now=NOW) == pacing.LONGEST
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.5 * recent.SECONDS)
    assert await asyncio.wait_for(queue.get(), 2 * pacing.LOOK_SECONDS) == KEY
    assert pace.wait(KEY, last=last, now=NOW + SECOND) == NONE
