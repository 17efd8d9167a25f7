"""One file on its way into the store: a sparse data file, and a journal of what is in it."""

import os
import threading

from inferry_runtime.model.durable import sync_data, sync_folder
from inferry_runtime.model.journal import Journal, read_journal
from inferry_runtime.model.layout import Layout
from inferry_runtime.model.ranges import Span, covered


class Partial:
    """Opened by whoever holds the file's lock. Threads may write different ranges at once."""

    def __init__(self, layout: Layout, file_key: str, size_bytes: int) -> None:
        self.path = layout.data(file_key)
        self._journal_path = layout.journal(file_key)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            self._journal_path.unlink(missing_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._file, size_bytes)
        self._journal = Journal(self._journal_path)
        self._lock = threading.Lock()
        sync_folder(self.path.parent)

    @property
    def done(self) -> tuple[Span, ...]:
        """What an earlier attempt left, and may be relied on."""
        return self._journal.done

    def write(self, offset: int, chunk: bytes) -> None:
        """Not safe before `settle`."""
        view = memoryview(chunk)
        while view:
            count = os.pwrite(self._file, view, offset)
            offset, view = offset + count, view[count:]

    def settle(self, span: Span) -> None:
        """From here on not even a power cut loses the bytes of `span`."""
        sync_data(self._file)
        with self._lock:
            self._journal.append(span)

    def close(self) -> None:
        os.close(self._file)
        self._journal.close()

    def drop_journal(self) -> None:
        """The data have been moved to where they belong."""
        self._journal_path.unlink(missing_ok=True)


def arrived_bytes(layout: Layout, file_key: str) -> int:
    """How much of a file some process has on disk; its lock is not needed."""
    if not layout.data(file_key).exists():
        return 0
    return covered(read_journal(layout.journal(file_key)))
