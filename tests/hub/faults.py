"""What a test hub can do wrong, and where."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Applies to requests whose path and query contain `match`, `times` times; every other field is one way to fail."""

    match: str
    times: int = 1_000_000
    status: int = 0
    """Answer with this instead; 0: answer as ever."""
    headers: tuple[tuple[str, str], ...] = ()
    """Added to the answer, such as Retry-After."""
    cut_after: int | None = None
    """Close the connection after so many bytes of the body."""
    ignore_range: bool = False
    """Send the whole file with 200."""
    shift_range: int = 0
    """Send a part that begins so many bytes later than asked, and say so."""
    extra_length: int = 0
    """Say that the body is this much longer than it is, then close."""
    extra_size: int = 0
    """Say in Content-Range that the file is this much longer than it is."""
    flip_byte: int | None = None
    """Send the file with one bit of this byte changed."""
    encoding: str = ""
    """Claim this Content-Encoding."""
    gate: threading.Event | None = None
    """Send half of the body, then wait for this before the rest."""
    body: bytes | None = None
    """Send this instead, with 200."""


@dataclass(slots=True)
class Faults:
    """Thread-safe; the first fault that applies is used up first."""

    _left: list[list[Fault | int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._left.append([fault, fault.times])

    def clear(self) -> None:
        with self._lock:
            self._left.clear()

    def take(self, target: str) -> Fault | None:
        """The fault for this request, counted as used."""
        with self._lock:
            for entry, fault, left in self._pairs():
                if left > 0 and fault.match in target:
                    entry[1] = left - 1
                    return fault
        return None

    def _pairs(self) -> Iterator[tuple[list[Fault | int], Fault, int]]:
        for entry in self._left:
            fault, left = entry
            if isinstance(fault, Fault) and isinstance(left, int):
                yield entry, fault, left
