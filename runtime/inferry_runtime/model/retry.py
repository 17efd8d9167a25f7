"""When to try again, and how long to wait before: pure numbers, and the one loop that uses them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from inferry_runtime.model.clock import Clock, SystemClock
from inferry_runtime.model.errors import ModelError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often something is tried before its error is final. All times in seconds."""

    attempts: int
    first_delay: float = 0.5
    longest_delay: float = 30.0
    longest_retry_after: float = 300.0
    """A server that asks for more than this is told to the user instead of waited for."""

    def delay(self, failures: int, retry_after: float | None) -> float | None:
        """Wait before the next attempt after `failures` in a row; None: give up."""
        if failures >= self.attempts:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= self.longest_retry_after else None
        return float(min(self.longest_delay, self.first_delay * 2 ** (failures - 1)))


# Someone waits for the answer: about four seconds of trying.
QUICK = Patience(attempts=4)
# A download may outlive a restart of the server: about two minutes without a single byte.
PERSISTENT = Patience(attempts=9)


class Transient(Exception):
    """Trying again may help. `error` is what the caller gets when it did not."""

    def __init__(self, error: ModelError, *, retry_after: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    patience: Patience = QUICK
    clock: Clock = field(default_factory=SystemClock)
    cancelled: threading.Event | None = None
    """Once set, nothing is waited for and nothing is tried again."""

    def run(self, action: Callable[[], T]) -> T:
        """Calls `action` until it returns, or raises the error of its last Transient."""
        failures = 0
        while True:
            try:
                return action()
            except Transient as trouble:
                failures += 1
                self.wait_or_raise(failures, trouble)

    def wait_or_raise(self, failures: int, trouble: Transient) -> None:
        """For loops that keep what they have between attempts."""
        delay = self.patience.delay(failures, trouble.retry_after)
        if delay is None or (self.cancelled is not None and self.cancelled.is_set()):
            raise trouble.error from trouble
        self.clock.wait(delay, self.cancelled)
