"""How far a fetch is: counted by many threads, told to one listener, a few times per second."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from inferry_runtime.model.clock import Clock

# Often enough to look alive, seldom enough to cost nothing.
REPORT_SECONDS = 0.2
# Speed is the mean over this window: short enough to show a stall, long enough not to jump.
WINDOW_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchProgress:
    done_bytes: int
    total_bytes: int
    bytes_per_second: float
    """Over the last seconds; bytes that were there before do not count."""
    eta_seconds: float | None
    """None while nothing arrives."""
    file: str
    """The path last worked on."""
    verifying: bool = False
    """Bytes are hashed, not fetched."""


Listener = Callable[[FetchProgress], None]


class Meter:
    """Thread-safe. The listener is called by whichever thread has news, one at a time."""

    def __init__(self, total_bytes: int, listener: Listener, clock: Clock) -> None:
        self._total = total_bytes
        self._listener = listener
        self._clock = clock
        self._lock = threading.Lock()
        self._done: dict[str, int] = {}
        self._moved = 0
        self._samples: deque[tuple[float, int]] = deque([(clock.monotonic(), 0)])
        self._reported = float("-inf")

    def present(self, path: str, done_bytes: int) -> None:
        """So much of the file is here, whoever brought it."""
        with self._lock:
            self._done[path] = done_bytes
            self._report(path, verifying=False, force=False)

    def fetched(self, path: str, count: int) -> None:
        """So many more bytes have arrived."""
        with self._lock:
            self._done[path] = self._done.get(path, 0) + count
            self._moved += count
            self._report(path, verifying=False, force=False)

    def verified(self, path: str, count: int) -> None:
        """So many more bytes, which were here before, have been found right."""
        with self._lock:
            self._done[path] = self._done.get(path, 0) + count
            self._moved += count
            self._report(path, verifying=True, force=False)

    def verifying(self, path: str) -> None:
        """Bytes that were counted as they arrived are read again."""
        with self._lock:
            self._report(path, verifying=True, force=False)

    def finish(self, path: str) -> None:
        """Tells the listener in any case."""
        with self._lock:
            self._report(path, verifying=False, force=True)

    def _report(self, path: str, *, verifying: bool, force: bool) -> None:
        now = self._clock.monotonic()
        if not force and now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        self._listener(self._progress(now, path, verifying))

    def _progress(self, now: float, path: str, verifying: bool) -> FetchProgress:
        self._samples.append((now, self._moved))
        while len(self._samples) > 2 and now - self._samples[1][0] >= WINDOW_SECONDS:
            self._samples.popleft()
        since, moved = self._samples[0]
        speed = (self._moved - moved) / (now - since) if now > since else 0.0
        done = min(sum(self._done.values()), self._total)
        return FetchProgress(
            done_bytes=done,
            total_bytes=self._total,
            bytes_per_second=speed,
            eta_seconds=(self._total - done) / speed if speed > 0 else None,
            file=path,
            verifying=verifying,
        )
