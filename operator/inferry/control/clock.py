"""Time, passed in, so that tests hold it in their hands."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""
        ...

    def call_after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Calls back once, in the event loop, unless cancelled before."""
        ...


class SystemClock:
    """The machine's clock and the running event loop's timers."""

    def now(self) -> float:
        return time.time()

    def call_after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)
