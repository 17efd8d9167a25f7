"""Which parts of a file are there and which are not. Pure arithmetic."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Bytes from `offset` up to, not including, `end`."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sorted, without overlaps, neighbours joined."""
    joined: list[Span] = []
    for span in sorted(span for span in spans if span.length > 0):
        if joined and span.offset <= joined[-1].end:
            joined[-1] = Span(joined[-1].offset, max(joined[-1].end, span.end) - joined[-1].offset)
        else:
            joined.append(span)
    return tuple(joined)


def missing(done: Iterable[Span], size_bytes: int, step_bytes: int) -> tuple[Span, ...]:
    """The gaps in `done`, in order, none longer than `step_bytes`."""
    gaps: list[Span] = []
    position = 0
    for span in (*merged(done), Span(size_bytes, 0)):
        gaps += _cut(position, min(span.offset, size_bytes), step_bytes)
        position = max(position, span.end)
    return tuple(gaps)


def covered(done: Iterable[Span]) -> int:
    """Bytes that are there."""
    return sum(span.length for span in merged(done))


def _cut(start: int, end: int, step_bytes: int) -> list[Span]:
    return [Span(offset, min(step_bytes, end - offset)) for offset in range(start, end, step_bytes)]
