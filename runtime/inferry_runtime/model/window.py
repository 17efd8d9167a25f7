"""Sequential reading of a header that may be far away: few requests, little memory, never past its end."""

import re
import struct

from inferry_runtime.model.bytes import ByteSource
from inferry_runtime.model.errors import MalformedFile

# Read-ahead grows from small (a shard's header is a few KiB) to large (a GGUF with its tokenizer is 5 to 15 MiB),
# and stops where one window wasted behind the header still costs less than 1 MiB.
FIRST_WINDOW_BYTES = 256 << 10
LAST_WINDOW_BYTES = 1 << 20
# One token or string that has to be held whole. The longest real ones are chat templates, below 100 KiB.
MAX_ITEM_BYTES = 1 << 20

_LENGTH = struct.Struct("<Q")


class Window:
    """A moving view of `source` from `start` to `end`. Every failure is a MalformedFile that names the file.

    `limit_bytes` is how far the position may go: beyond it the header is called too large, whatever the file says.
    """

    def __init__(
        self,
        source: ByteSource,
        name: str,
        *,
        limit_bytes: int,
        end: int | None = None,
        first_bytes: int = FIRST_WINDOW_BYTES,
    ) -> None:
        self.name = name
        self._source = source
        self._end = source.size_bytes if end is None else min(end, source.size_bytes)
        self._limit = limit_bytes
        self._window = first_bytes
        self._buffer = b""
        self._start = 0
        self._at = 0

    @property
    def position(self) -> int:
        return self._start + self._at

    @property
    def remaining(self) -> int:
        """Bytes between the position and the end; negative when more was skipped than there is."""
        return self._end - self.position

    def narrow(self, end: int) -> None:
        """Nothing at or behind `end` belongs to the header: read no further."""
        self._end = min(self._end, end)
        self._buffer = self._buffer[: max(self._at, self._end - self._start)]

    def take(self, length: int) -> bytes:
        """Exactly `length` bytes, at most MAX_ITEM_BYTES of them."""
        if length > MAX_ITEM_BYTES:
            raise self.malformed(f"a value of {length} bytes")
        self._need(length)
        start, self._at = self._at, self._at + length
        return self._buffer[start : self._at]

    def skip(self, length: int) -> None:
        """Moves on without reading what lies between."""
        self._at += length
        self._check()

    def skip_prefixed(self, count: int) -> None:
        """Skips `count` items, each a little-endian 64-bit length and that many bytes."""
        for _ in range(count):
            if self._at + 8 > len(self._buffer):
                self._need(8)
            (length,) = _LENGTH.unpack_from(self._buffer, self._at)
            self._at += 8 + length
        self._check()

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Matches at the position and moves behind it, reading on while more bytes could change the match."""
        found = pattern.match(self._buffer, self._at)
        while (found is None or found.end() == len(self._buffer)) and self._more():
            found = pattern.match(self._buffer, self._at)
        if found is not None:
            self._at += found.end() - found.start()
        return found

    def malformed(self, what: str) -> MalformedFile:
        """The error for this file at this position, to be raised."""
        return MalformedFile(
            f"{self.name}: {what} at byte {self.position}", hint="download it again or use another copy"
        )

    def _need(self, length: int) -> None:
        self._check()
        while len(self._buffer) - self._at < length:
            if not self._more():
                raise self.malformed(f"cut short, {length} bytes expected")

    def _check(self) -> None:
        if self.position > self._limit:
            raise self.malformed(f"a header of more than {self._limit >> 20} MiB")
        if self.remaining < 0:
            raise self.malformed(f"cut short, {-self.remaining} bytes missing")

    def _more(self) -> bool:
        """Reads the next window behind what is buffered. False at the end."""
        self._check()
        kept = self._buffer[self._at :]
        if len(kept) > MAX_ITEM_BYTES:
            raise self.malformed(f"a value of more than {MAX_ITEM_BYTES >> 20} MiB")
        self._start, self._at = self.position, 0
        offset = self._start + len(kept)
        chunk = self._source.read_at(offset, min(self._window, self._end - offset)) if offset < self._end else b""
        self._window = min(self._window * 2, LAST_WINDOW_BYTES)
        self._buffer = kept + chunk
        return bool(chunk)
