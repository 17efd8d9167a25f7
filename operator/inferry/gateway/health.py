"""When an endpoint is set aside because connecting to it fails, and for how long. Pure."""

from dataclasses import dataclass, replace

FAILURES_TO_EJECT = 3
"""In a row: one refused connection also happens while an engine restarts its listener."""
FIRST_EJECTION_SECONDS = 1.0
LONGEST_EJECTION_SECONDS = 30.0
PROBE_SECONDS = 3.0
"""One request may try an ejected endpoint; the next only after this, or once the first has succeeded."""


@dataclass(frozen=True, slots=True)
class Health:
    """Passive: learned from requests, so it costs an engine nothing."""

    failures: int = 0
    """Connect failures in a row."""
    blocked_until: float = 0.0
    """Seconds on the monotonic clock."""

    @property
    def ejected(self) -> bool:
        return self.failures >= FAILURES_TO_EJECT

    def admits(self, now: float) -> bool:
        return self.failures < FAILURES_TO_EJECT or now >= self.blocked_until

    def after_failure(self, now: float) -> "Health":
        """1, 2, 4, ... 30 s from the third failure on."""
        failures = self.failures + 1
        if failures < FAILURES_TO_EJECT:
            return Health(failures=failures)
        # The exponent is bounded before it is used: failures can count up for days.
        doublings = min(failures - FAILURES_TO_EJECT, 10)
        return Health(failures, now + min(FIRST_EJECTION_SECONDS * 2**doublings, LONGEST_EJECTION_SECONDS))

    def probing(self, now: float) -> "Health":
        """A request is on its way to an ejected endpoint: others wait for its outcome."""
        return replace(self, blocked_until=now + PROBE_SECONDS) if self.ejected else self


HEALTHY = Health()
