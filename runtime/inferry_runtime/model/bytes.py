"""Random access to a file that may be far away. Header readers ask for ranges, never for the whole."""

from typing import Protocol


class ByteSource(Protocol):
    """Not thread-safe; reads past the end are short, like a file's."""

    @property
    def size_bytes(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Raises ModelError when the bytes cannot be had."""
        ...
