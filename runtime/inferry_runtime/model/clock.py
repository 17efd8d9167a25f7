"""Time as this room sees it, so that tests need not wait for it."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds everywhere."""

    def monotonic(self) -> float: ...

    def wall(self) -> float:
        """Unix time."""
        ...

    def wait(self, seconds: float, cancelled: threading.Event | None = None) -> None:
        """Returns early once `cancelled` is set."""
        ...


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def wait(self, seconds: float, cancelled: threading.Event | None = None) -> None:
        if cancelled is None:
            time.sleep(seconds)
        else:
            cancelled.wait(seconds)
