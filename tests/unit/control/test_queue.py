"""One key once, never with two workers, and never lost."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferry.control.queue import WorkQueue, backoff_seconds
from worlds.clock import FakeClock


def a_queue(clock=None):
    return WorkQueue(clock or FakeClock(), lambda: 0.0)


async def take(queue):
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if getting.done():
        return getting.result()
    getting.cancel()
    await asyncio.gather(getting, return_exceptions=True)
    return None


async def test_a_key_added_twice_is_handed_out_once():
    queue = a_queue()
    queue.add("a")
    queue.add("a")
    assert await take(queue) == "a"
    assert await take(queue) is None


async def test_keys_come_in_the_order_they_were_added():
    queue = a_queue()
    for key in "bac":
        queue.add(key)
    assert [await take(queue) for _ in range(3)] == ["b", "a", "c"]


async def test_a_key_added_while_it_is_worked_on_comes_back_afterwards_and_not_before():
    queue = a_queue()
    queue.add("a")
    assert await take(queue) == "a"
    queue.add("a")
    assert await take(queue) is None
    queue.done("a")
    assert await take(queue) == "a"


async def test_a_worker_that_stops_waiting_takes_no_key_with_it():
    queue = a_queue()
    assert await take(queue) is None
    queue.add("a")
    assert await take(queue) == "a"


async def test_a_delayed_key_comes_when_it_is_due():
    clock = FakeClock()
    queue = a_queue(clock)
    queue.add_after("a", 5.0)
    clock.advance(4.9)
    assert await take(queue) is None
    clock.advance(0.1)
    assert await take(queue) == "a"


@pytest.mark.parametrize("delays", [(5.0, 1.0), (1.0, 5.0)])
async def test_the_earliest_of_several_delays_holds(delays):
    clock = FakeClock()
    queue = a_queue(clock)
    for delay in delays:
        queue.add_after("a", delay)
    clock.advance(1.0)
    assert await take(queue) == "a"
    queue.done("a")
    clock.advance(10.0)
    assert await take(queue) is None


def test_delays_double_from_a_twentieth_of_a_second_to_five_minutes():
    delays = [backoff_seconds(failures, 0.0) for failures in range(1, 20)]
    assert delays[:4] == [0.05, 0.1, 0.2, 0.4]
    assert delays[-1] == 300.0
    assert delays == sorted(delays)
    assert backoff_seconds(10**6, 0.0) == 300.0


def test_chance_adds_a_tenth_at_most():
    assert backoff_seconds(1, 0.999) < 0.055
    assert backoff_seconds(1, 0.5) == pytest.approx(0.0525)


async def test_a_retry_waits_longer_each_time_until_it_went_well():
    queue = a_queue()
    assert [queue.retry("a") for _ in range(3)] == [0.05, 0.1, 0.2]
    assert queue.failures("a") == 3
    queue.forget("a")
    assert queue.retry("a") == 0.05


async def test_a_retry_waits_at_least_as_long_as_the_other_side_said():
    assert a_queue().retry("a", 7.0) == 7.0


async def test_what_went_well_is_not_looked_at_again_for_an_old_failure():
    clock = FakeClock()
    queue = a_queue(clock)
    queue.retry("a")
    queue.forget("a")
    clock.advance(1.0)
    assert await take(queue) is None


async def test_settled_waits_for_work_and_not_for_delays():
    queue = a_queue()
    queue.add_after("later", 9.0)
    await asyncio.wait_for(queue.settled(), 1)
    queue.add("a")
    await take(queue)
    waiting = asyncio.create_task(queue.settled())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done("a")
    await asyncio.wait_for(waiting, 1)


async def test_closing_cancels_every_timer():
    clock = FakeClock()
    queue = a_queue(clock)
    queue.add_after("a", 1.0)
    queue.close()
    assert clock.next_due() is None


VERBS = st.lists(
    st.tuples(st.sampled_from(["add", "after", "get", "done", "retry", "forget", "tick"]), st.integers(0, 3))
)


@settings(max_examples=100, deadline=None)
@given(VERBS)
def test_no_key_is_ever_lost_or_with_two_workers(verbs):
    asyncio.run(_no_key_is_lost(verbs))


async def _no_key_is_lost(verbs):
    clock = FakeClock()
    queue = a_queue(clock)
    working: list[int] = []
    owed: set[int] = set()
    for verb, key in verbs:
        if verb == "add":
            owed.add(key)
        if verb == "get":
            got = await take(queue)
            assert got not in working
            working += [] if got is None else [got]
            owed.discard(got)
        else:
            _do(queue, clock, working, verb, key)
    for key in working:
        queue.done(key)
    left = set()
    while (key := await take(queue)) is not None:
        assert key not in left
        left.add(key)
    assert owed <= left


def _do(queue, clock, working, verb, key):
    if verb == "done":
        if working:
            queue.done(working.pop(0))
    elif verb == "after":
        queue.add_after(key, 0.5)
    elif verb == "tick":
        clock.advance(1.0)
    else:
        {"add": queue.add, "retry": queue.retry, "forget": queue.forget}[verb](key)
