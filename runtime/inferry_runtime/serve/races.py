"""Two things at once, and the end of one is the end of both. Errors come out as they are, not in groups."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def unless(interruption: Awaitable[object], work: Coroutine[Any, Any, Result], otherwise: Exception) -> Result:
    """The result of `work`. Raises `otherwise` when the interruption comes first; `work` has been cancelled by then."""
    try:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_until(interruption))
            working = group.create_task(work)
            waiting.add_done_callback(lambda _: working.cancel())
            working.add_done_callback(lambda _: waiting.cancel())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    if working.cancelled():
        raise otherwise
    return working.result()


async def beside(background: Awaitable[object], work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`. The background may end earlier, and is cancelled when `work` is done."""
    try:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_until(background))
            working = group.create_task(work)
            working.add_done_callback(lambda _: waiting.cancel())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return working.result()


async def _until(awaitable: Awaitable[object]) -> None:
    await awaitable
