"""The queue hands out each key once, to one worker at a time."""

import asyncio
import time
from datetime import timedelta

import prometheus_client
import uvloop

from ray_operator import records, workqueue

A = records.Key("RayCluster", "ns1", "a")
B = records.Key("RayCluster", "ns1", "b")


async def test_a_key_added_twice_is_handed_out_once() -> None:
    queue = workqueue.WorkQueue()
    for key in (A, A, B):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == [A, B]


async def test_a_key_added_while_worked_on_comes_back_after_done_only() -> None:
    queue = workqueue.WorkQueue()
    queue.add(A)
    assert await queue.get() == A
    queue.add(A)
    queue.add(B)
    assert await queue.get() == B
    queue.done(A)
    assert await queue.get() == A


async def test_a_burst_of_events_is_one_pass_more() -> None:
    queue = workqueue.WorkQueue()
    queue.add_spaced(A)
    assert await queue.get() == A
    queue.add_spaced(A)
    queue.done(A)
    queue.add_spaced(A)
    queue.add_spaced(B)
    assert await queue.get() == B  # one that had no pass just now has one at once
    started = time.monotonic()
    assert await queue.get() == A
    assert time.monotonic() - started > 0.9 * workqueue.SPACING_SECONDS
    queue.done(B)
    assert not queue.stalled_for()


async def test_what_is_urgent_waits_for_no_spacing() -> None:
    queue = workqueue.WorkQueue()
    queue.add(A)
    assert await queue.get() == A
    queue.add_spaced(A)
    queue.add(A)
    queue.done(A)
    assert await asyncio.wait_for(queue.get(), 0.1 * workqueue.SPACING_SECONDS) == A


async def test_a_getter_that_waits_is_woken() -> None:
    queue = workqueue.WorkQueue()
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(A)
    assert await getter == A


async def test_the_sooner_of_two_delays_wins_and_add_beats_both() -> None:
    queue = workqueue.WorkQueue()
    queue.add_after(A, timedelta(hours=1))
    queue.add_after(A, timedelta())
    queue.add_after(B, timedelta(hours=1))
    assert await queue.get() == A
    queue.add(B)
    assert await queue.get() == B
    queue.done(A)
    queue.done(B)
    assert queue.stalled_for() == timedelta()


def test_the_sooner_delay_wins_on_the_loop_of_the_operator_too() -> None:
    """Its handles for what is due at once can't tell when that was."""

    async def scenario() -> records.Key:
        queue = workqueue.WorkQueue()
        queue.add_after(A, timedelta())
        queue.add_after(A, timedelta(hours=1))
        return await asyncio.wait_for(queue.get(), 1)

    assert uvloop.run(scenario()) == A


async def test_backoff_doubles_until_success() -> None:
    queue = workqueue.WorkQueue()
    loop = asyncio.get_running_loop()

    def delay() -> float:
        queue.add_backed_off(A)
        timer = queue._timers.pop(A)
        timer.handle.cancel()
        return timer.due - loop.time()

    delays = [delay() for _ in range(12)]
    assert 0.07 < delays[0] < 0.13
    assert 1.1 < delays[4] < 2.1
    assert 44 < delays[11] < 76
    queue.succeeded(A)
    assert delay() < 0.13


async def test_metrics_follow_a_key_by_its_kind() -> None:
    """The names and labels are those of client-go, by which dashboards ask."""
    kind = {"name": "measured"}

    def value(metric: str) -> float | None:
        return prometheus_client.REGISTRY.get_sample_value(f"workqueue_{metric}", kind)

    queue = workqueue.WorkQueue()
    key = records.Key("Measured", "ns1", "a")
    queue.add(key)
    assert (value("depth"), value("adds_total"), value("queue_duration_seconds_count")) == (
        1,
        1,
        None,
    )
    await queue.get()
    (sample,), (longest,) = (family.samples for family in queue.collect())
    assert (sample.name, sample.labels) == ("workqueue_unfinished_work_seconds", kind)
    assert longest.name == "workqueue_longest_running_processor_seconds"
    assert sample.value == longest.value >= 0
    queue.add(key)
    queue.done(key)
    assert (value("depth"), value("adds_total"), value("queue_duration_seconds_count")) == (1, 2, 1)
    assert value("work_duration_seconds_count") == 1
    assert [family.samples for family in queue.collect()] == [[], []]
    queue.add_backed_off(key)
    assert value("retries_total") == 1
