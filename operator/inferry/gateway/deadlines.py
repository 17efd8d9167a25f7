"""Deadlines without a timer per request: a wheel of coarse ticks. Sans-I/O; someone calls `advance`."""

from typing import Protocol

TICKS_PER_SECOND = 10
TICK_SECONDS = 1 / TICKS_PER_SECOND
SLOTS = 128
"""12.8 s ahead; longer deadlines are filed again on the way, so closed connections are let go soon."""
NEVER = 0


class Expiring(Protocol):
    """Something with at most one deadline. `due` and `filed` belong to the wheel and start at NEVER."""

    due: int
    filed: int

    def expired(self) -> None:
        """Its deadline has passed. Called once per `arm`."""


def ticks(seconds: float) -> int:
    """Ticks after which at least `seconds` have passed, whenever within a tick one begins to count."""
    return int(seconds * TICKS_PER_SECOND) + 2


class Wheel:
    """Moving a deadline further away, the common case, is one assignment to `due`; nothing moves between slots."""

    def __init__(self) -> None:
        self.tick = 1
        self._slots: list[list[Expiring]] = [[] for _ in range(SLOTS)]

    def arm(self, item: Expiring, seconds: float) -> None:
        """Replaces the item's deadline. Fires between `seconds` and two ticks later."""
        # `ticks`, without the call: this runs several times per request.
        due = self.tick + int(seconds * TICKS_PER_SECOND) + 2
        item.due = due
        if item.filed == NEVER or due < item.filed:
            self._file(item)

    def disarm(self, item: Expiring) -> None:
        item.due = NEVER

    def seconds_left(self, item: Expiring) -> float:
        return (item.due - self.tick) * TICK_SECONDS

    def seconds_since(self, tick: int) -> float:
        return (self.tick - tick) * TICK_SECONDS

    def advance(self) -> None:
        """One tick later: whoever is due expires."""
        self.tick += 1
        position = self.tick % SLOTS
        filed, self._slots[position] = self._slots[position], []
        for item in filed:
            # An item whose deadline came nearer is filed twice; the later entry means nothing.
            if item.filed == self.tick:
                self._settle(item)

    def _settle(self, item: Expiring) -> None:
        item.filed = NEVER
        if item.due == NEVER:
            return
        if item.due > self.tick:
            self._file(item)
            return
        item.due = NEVER
        item.expired()

    def _file(self, item: Expiring) -> None:
        item.filed = min(item.due, self.tick + SLOTS - 1)
        self._slots[item.filed % SLOTS].append(item)
