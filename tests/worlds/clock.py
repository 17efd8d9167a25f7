"""A clock that stands still until a test moves it."""

import heapq
from collections.abc import Callable
from itertools import count


class FakeTimer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """`inferry.control.clock.Clock`. Timers fire inside `advance`, in the order they are due."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._order = count()
        self._timers: list[tuple[float, int, FakeTimer, Callable[[], None]]] = []

    def now(self) -> float:
        return self._now

    def call_after(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer()
        heapq.heappush(self._timers, (self._now + seconds, next(self._order), timer, callback))
        return timer

    def advance(self, seconds: float) -> None:
        until = self._now + seconds
        while self._timers and self._timers[0][0] <= until:
            due, _, timer, callback = heapq.heappop(self._timers)
            self._now = max(self._now, due)
            if not timer.cancelled:
                callback()
        self._now = until

    def next_due(self) -> float | None:
        """Seconds until the next timer that was not cancelled."""
        return min((due - self._now for due, _, timer, _ in self._timers if not timer.cancelled), default=None)
