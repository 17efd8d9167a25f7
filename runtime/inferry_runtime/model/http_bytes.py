"""A file on a web server or hub as ranges."""

from collections.abc import Iterator

from inferry_runtime.model.errors import MalformedFile
from inferry_runtime.model.refusals import bare
from inferry_runtime.model.transport import Transport


class HttpBytes:
    """Ranges of one remote file."""

    def __init__(
        self, transport: Transport, url: str, *, size_bytes: int | None, ranged: bool = True, tag: str = ""
    ) -> None:
        self._transport = transport
        self._url = url
        self._size_bytes = size_bytes
        self.ranged = ranged
        self._tag = tag

    @property
    def size_bytes(self) -> int:
        """Asked of the server when nobody said it before. Raises ModelError."""
        if self._size_bytes is None:
            self._size_bytes = self._transport.probe(self._url).size_bytes
        if self._size_bytes is None:
            raise MalformedFile(f"{bare(self._url)} has no known length", hint="use a server that sends Content-Length")
        return self._size_bytes

    def read_at(self, offset: int, length: int) -> bytes:
        return b"".join(self.chunks(offset, min(length, self.size_bytes - offset)))

    def chunks(self, offset: int, length: int) -> Iterator[bytes]:
        """Exactly these bytes; the file must have them. Raises ModelError."""
        return self._transport.chunks(self._url, offset, max(0, length), total=self._size_bytes, tag=self._tag)

    def close(self) -> None:
        """Connections belong to the transport."""
