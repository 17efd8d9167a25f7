"""Which ranges of a partial file are on disk: fixed-size records, appended, each safe before the next."""

import os
import zlib
from pathlib import Path

from inferry_runtime.model.durable import sync_data
from inferry_runtime.model.ranges import Span, merged

# 16 + 16 hexadecimal digits, a checksum of 8, three separators.
RECORD_BYTES = 43


def read_journal(path: Path) -> tuple[Span, ...]:
    """Merged. Whatever follows a torn or damaged record is not believed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    return merged(_records(content))


class Journal:
    """One writer; the file's lock is the caller's."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes() if path.exists() else b""
        records = _records(content)
        self.done = merged(records)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        # A torn record at the end would hide everything appended behind it.
        os.ftruncate(self._file, len(records) * RECORD_BYTES)
        os.lseek(self._file, 0, os.SEEK_END)

    def append(self, span: Span) -> None:
        """The bytes of `span` must be durable before; the record is when this returns."""
        os.write(self._file, _encoded(span))
        sync_data(self._file)

    def close(self) -> None:
        os.close(self._file)


def _encoded(span: Span) -> bytes:
    numbers = f"{span.offset:016x} {span.length:016x}".encode()
    return numbers + f" {zlib.crc32(numbers):08x}\n".encode()


def _records(content: bytes) -> list[Span]:
    spans = []
    for start in range(0, len(content), RECORD_BYTES):
        span = _decoded(content[start : start + RECORD_BYTES])
        if span is None:
            break
        spans.append(span)
    return spans


def _decoded(record: bytes) -> Span | None:
    numbers = record[:33]
    if len(record) != RECORD_BYTES or record[33:] != f" {zlib.crc32(numbers):08x}\n".encode():
        return None
    offset, length = numbers.split(b" ")
    return Span(int(offset, 16), int(length, 16))
