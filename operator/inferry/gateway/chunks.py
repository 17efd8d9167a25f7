"""Finds where a chunked message ends while its bytes pass by unchanged. Sans-I/O.

Stricter than RFC 9112: no chunk extensions and no leniency about line ends, since each of them has been used to
make two parsers disagree about where a message stops.
"""

import re

LAST_CHUNK = b"0\r\n\r\n"
TRAILER_BYTES = 8 * 1024
"""Trailers are read over, never relayed; nobody sends more than a checksum."""

_SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,15})\r\n")
_PART_OF_SIZE_LINE = re.compile(rb"[0-9a-fA-F]{1,15}\r?\Z")
_END = b"\r\n"


class ChunkError(ValueError):
    """The bytes are not a chunked message."""


class ChunkWalker:
    """Walks one chunked message. `feed` until `done`; what followed the message is in `surplus`."""

    __slots__ = ("_after_payload", "_held", "_in_trailer", "_left", "_payload", "done", "surplus")

    def __init__(self, *, collect: bool = False) -> None:
        """`collect` also keeps the payload, for a reader that cannot take chunks."""
        self._left = 0
        self._after_payload = False
        self._held = b""
        self._in_trailer = False
        self._payload: list[bytes] | None = [] if collect else None
        self.done = False
        self.surplus = b""

    @property
    def between_chunks(self) -> bool:
        """Another chunk could follow what was relayed: a size line that is held back was not."""
        return not (self._left or self._after_payload or self.done)

    def take_payload(self) -> bytes:
        """Payload seen since the last call. Needs `collect`."""
        payload, self._payload = self._payload, []
        return b"".join(payload or ())

    def feed(self, data: bytes) -> bytes:
        """Bytes to relay as they are. The last chunk is not among them: whoever relays ends the message itself.

        An incomplete size line is held back, because it could turn out to be the last chunk. Raises ChunkError.
        """
        if self._held:
            data, self._held = self._held + data, b""
        if self._in_trailer:
            return self._read_trailer(data, 0, 0)
        position, end = self._read_payload(data, 0), len(data)
        while position < end and not self._after_payload:
            line = _SIZE_LINE.match(data, position)
            if line is None:
                return self._hold_size(data, position)
            size = int(line[1], 16)
            if not size:
                return self._read_trailer(data, position, line.end())
            self._left = size
            position = self._read_payload(data, line.end())
        return data if position == end else self._hold(data, position)

    def _read_payload(self, data: bytes, position: int) -> int:
        """Position after the payload and its line end, as far as they are here."""
        if self._left:
            stop = min(position + self._left, len(data))
            self._left -= stop - position
            if self._payload is not None:
                self._payload.append(data[position:stop])
            position = stop
            self._after_payload = not self._left
        if self._after_payload:
            found = data[position : position + 2]
            if found == _END:
                self._after_payload = False
                return position + 2
            if found and found != b"\r":
                raise ChunkError("a chunk is longer than its size says")
        return position

    def _hold_size(self, data: bytes, position: int) -> bytes:
        if not _PART_OF_SIZE_LINE.match(data, position):
            raise ChunkError("a chunk size is not a plain hexadecimal number")
        return self._hold(data, position)

    def _hold(self, data: bytes, position: int) -> bytes:
        self._held = data[position:]
        return data[:position]

    def _read_trailer(self, data: bytes, start: int, position: int) -> bytes:
        """`start` is where the last chunk begins: relaying stops there."""
        self._in_trailer = True
        if data.startswith(_END, position):
            return self._finish(data, start, position + 2)
        end = data.find(b"\r\n\r\n", position)
        if end >= 0:
            return self._finish(data, start, end + 4)
        if len(data) - position > TRAILER_BYTES:
            raise ChunkError("the trailer is too long")
        self._held = data[position:]
        return data[:start]

    def _finish(self, data: bytes, start: int, end: int) -> bytes:
        self.done = True
        self.surplus = data[end:]
        return data[:start]
