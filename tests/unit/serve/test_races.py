import asyncio

import pytest

from inferry_runtime.serve.races import beside, unless


class Interrupted(Exception):
    pass


class Broken(Exception):
    pass


async def worth(value: int) -> int:
    return value


async def failing() -> int:
    raise Broken


async def test_work_that_ends_first_gives_its_result_and_ends_the_wait() -> None:
    never = asyncio.Event()
    assert await unless(never.wait(), worth(7), Interrupted()) == 7


async def test_an_interruption_ends_the_work_before_it_is_told() -> None:
    started, cleaned = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()
        return 7

    with pytest.raises(Interrupted):
        await unless(started.wait(), work(), Interrupted())
    assert cleaned.is_set()


async def test_an_interruption_that_is_there_already_wins() -> None:
    there = asyncio.Event()
    there.set()
    with pytest.raises(Interrupted):
        await unless(there.wait(), asyncio.Event().wait(), Interrupted())


@pytest.mark.parametrize("race", [unless, beside])
async def test_an_error_of_the_work_comes_out_as_it_is(race: object) -> None:
    never = asyncio.Event()
    pending = unless(never.wait(), failing(), Interrupted()) if race is unless else beside(never.wait(), failing())
    with pytest.raises(Broken):
        await pending


async def test_a_background_that_ends_does_not_end_the_work() -> None:
    ended = asyncio.Event()

    async def background() -> None:
        ended.set()

    async def work() -> int:
        await ended.wait()
        return 7

    assert await beside(background(), work()) == 7


async def test_a_background_is_cancelled_when_the_work_is_done() -> None:
    cancelled = asyncio.Event()
    started = asyncio.Event()

    async def background() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def work() -> int:
        await started.wait()
        return 7

    assert await beside(background(), work()) == 7
    assert cancelled.is_set()
