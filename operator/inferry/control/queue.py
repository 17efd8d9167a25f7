"""The work queue: each key waits at most once and is never with two workers.

A key that is added while a worker has it comes back after `done`: whatever changed in between is looked at. Adding is
cheap and says nothing but "look again", so that nobody has to say what happened.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from inferry.control.clock import Clock, Timer

K = TypeVar("K", bound=Hashable)

FIRST_RETRY_SECONDS: Final = 0.05
LAST_RETRY_SECONDS: Final = 300.0
JITTER: Final = 0.1
"""Part of a delay that is random, so that keys that failed together do not come back together."""


def backoff_seconds(failures: int, random: float) -> float:
    """Doubles with every failure, from the first one's 0.05 s to 300 s; `random` in [0, 1) adds up to a tenth."""
    doubled = FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 32)
    return min(doubled, LAST_RETRY_SECONDS) * (1.0 + JITTER * random)


@dataclass(slots=True)
class _Delayed:
    due: float
    timer: Timer


class WorkQueue(Generic[K]):
    """For one event loop. A worker calls `get`, works, then says what is to come (`retry`, `forget`, `add_after`) and
    finally `done`."""

    def __init__(self, clock: Clock, random: Callable[[], float]) -> None:
        self._clock = clock
        self._random = random
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        # A key is in `_waiting` from add until get, in `_working` from get until done; in both when it was added
        # meanwhile. `_ready` holds exactly the keys that wait and are not worked on.
        self._waiting: set[K] = set()
        self._working: set[K] = set()
        self._delayed: dict[K, _Delayed] = {}
        self._failures: dict[K, int] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, key: K) -> None:
        if key in self._waiting:
            return
        self._waiting.add(key)
        self._idle.clear()
        if key not in self._working:
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """The earliest of several delays holds."""
        due = self._clock.now() + seconds
        delayed = self._delayed.get(key)
        if delayed is not None and delayed.due <= due:
            return
        if delayed is not None:
            delayed.timer.cancel()
        self._delayed[key] = _Delayed(due, self._clock.call_after(seconds, lambda: self._due(key)))

    async def get(self) -> K:
        """Waits for a key. Cancelling loses none."""
        key = await self._ready.get()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        self._working.discard(key)
        if key in self._waiting:
            self._ready.put_nowait(key)
        elif not self._waiting and not self._working:
            self._idle.set()

    def retry(self, key: K, at_least_seconds: float = 0.0) -> float:
        """Adds it again after a back-off that doubles until `forget`; says the seconds."""
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(at_least_seconds, backoff_seconds(self._failures[key], self._random()))
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """It went well: no back-off is remembered and no delayed look is outstanding."""
        self._failures.pop(key, None)
        delayed = self._delayed.pop(key, None)
        if delayed is not None:
            delayed.timer.cancel()

    async def settled(self) -> None:
        """Waits until no key waits or is worked on. Delayed ones do not count."""
        await self._idle.wait()

    def depth(self) -> int:
        """Keys that wait now."""
        return len(self._waiting)

    def delayed(self) -> int:
        """Keys that come back later by themselves."""
        return len(self._delayed)

    def failures(self, key: K) -> int:
        """How often in a row it had to be tried again."""
        return self._failures.get(key, 0)

    def close(self) -> None:
        """Cancels all timers."""
        for delayed in self._delayed.values():
            delayed.timer.cancel()
        self._delayed.clear()

    def _due(self, key: K) -> None:
        del self._delayed[key]
        self.add(key)
