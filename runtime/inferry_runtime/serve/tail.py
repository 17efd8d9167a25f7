"""The last lines of a process, whatever it writes: half lines, progress bars, bytes that are no text."""

import re
from collections import deque

LINES = 400
"""Enough to reach from a Python traceback's end back to the line that names the cause."""
LINE_CHARACTERS = 2000
"""Longer lines are cut; no signature looks further."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Tail:
    """Feed it chunks as they come; `lines` are what a person would have seen last."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LINES)
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        *whole, rest = _LINE_END.split(self._rest + chunk)
        # Only the start of a line is kept, so that output without line ends cannot fill the memory.
        self._rest = rest[: 4 * LINE_CHARACTERS]
        self._lines.extend(line for line in map(_text, whole) if line)

    @property
    def lines(self) -> tuple[str, ...]:
        unfinished = _text(self._rest)
        return (*self._lines, unfinished) if unfinished else tuple(self._lines)

    @property
    def last(self) -> str:
        return self._lines[-1] if self._lines else ""


def _text(line: bytes) -> str:
    return _COLOUR.sub("", line.decode("utf-8", errors="replace")).rstrip()[:LINE_CHARACTERS]
