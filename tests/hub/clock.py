"""A clock that moves when someone waits or looks, and remembers the waits."""

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class FakeClock:
    now: float = 1_000_000.0
    tick: float = 0.0
    """Seconds that pass whenever someone looks."""
    waits: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def monotonic(self) -> float:
        with self._lock:
            self.now += self.tick
            return self.now

    def wall(self) -> float:
        return self.now

    def wait(self, seconds: float, cancelled: threading.Event | None = None) -> None:
        with self._lock:
            self.waits.append(seconds)
            self.now += seconds
