"""How many retries a model's requests may cause, so that an overloaded engine is not hit harder."""

RETRIES_PER_SUCCESS = 0.1
RETRIES_PER_SECOND = 3.0
MOST_SAVED = 20.0


class RetryBudget:
    """A token bucket: a tenth of the successes and three a second."""

    __slots__ = ("_at", "_saved")

    def __init__(self, now: float) -> None:
        self._saved = RETRIES_PER_SECOND
        self._at = now

    def earn(self) -> None:
        self._saved = min(self._saved + RETRIES_PER_SUCCESS, MOST_SAVED)

    def spend(self, now: float) -> bool:
        """False: the failure goes to the client."""
        self._saved = min(self._saved + (now - self._at) * RETRIES_PER_SECOND, MOST_SAVED)
        self._at = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
