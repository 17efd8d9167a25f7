"""Which endpoint gets the next request: the one with the fewest in flight. Pure."""

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar


class Candidate(Protocol):
    @property
    def in_flight(self) -> int: ...

    def admits(self, now: float) -> bool:
        """Not set aside after failures. `now` in seconds on the clock of those who set it aside."""


C = TypeVar("C", bound=Candidate)


def pick(candidates: Sequence[C], tried: Collection[C], now: float, turn: int) -> C | None:
    """None when every candidate was tried.

    Endpoints that are set aside are used when no other is left: a wrong suspicion must not become an outage.
    `turn` rotates among equals.
    """
    if len(candidates) == 1 and not tried:
        return candidates[0]
    untried = [candidate for candidate in candidates if candidate not in tried]
    usable = [candidate for candidate in untried if candidate.admits(now)] or untried
    if not usable:
        return None
    fewest = min(candidate.in_flight for candidate in usable)
    equals = [candidate for candidate in usable if candidate.in_flight == fewest]
    return equals[turn % len(equals)]
