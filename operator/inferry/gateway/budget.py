"""How many retries a model's requests may cause, so that an overloaded engine is not hit harder."""

RETRIES_PER_SUCCESS = 0.1
RETRIES_PER_SECOND = 3.0
MOST_SAVED = 20.0


class RetryBudget:
    """A token bucket: a tenth of the successes and three a second."""

    __slots__ = ("_at", "_saved", "_successes")

    def __init__(self, now: float, successes: int) -> None:
        self._saved = RETRIES_PER_SECOND
        self._at = now
        self._successes = successes

    def spend(self, now: float, successes: int) -> bool:
        """`successes` is how many the model has had so far. False: the failure goes to the client."""
        earned = (now - self._at) * RETRIES_PER_SECOND + (successes - self._successes) * RETRIES_PER_SUCCESS
        self._saved = min(self._saved + earned, MOST_SAVED)
        self._at, self._successes = now, successes
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
