"""A clock that moves only when someone waits, and remembers for how long."""

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class FakeClock:
    now: float = 1_000_000.0
    waits: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    def wait(self, seconds: float, cancelled: threading.Event | None = None) -> None:
        with self._lock:
            self.waits.append(seconds)
            self.now += seconds
