"""Follows the snapshot file: a new one is adopted whole, a bad one is reported and changes nothing."""

import asyncio
import logging
from pathlib import Path

from inferry.api.snapshot import SnapshotError, decode
from inferry.gateway.worker import Worker

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.05
"""A stat costs a microsecond; a draining endpoint must not get requests much longer than this."""

Stamp = tuple[int, int, int]


class SnapshotFile:
    """The writer replaces the file by renaming; a half-written one is rejected and read again when it changes."""

    def __init__(self, path: Path, worker: Worker) -> None:
        self._path = path
        self._worker = worker
        self._stamp: Stamp | None = None

    def look(self) -> None:
        """Read the file when it has changed since the last look."""
        stamp = self._stamp_of_file()
        if stamp is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._worker.adopt(decode(self._path.read_bytes()))
        except (SnapshotError, OSError) as error:
            self._worker.snapshot_error = str(error)
            logger.error("snapshot rejected", extra={"path": str(self._path), "error": str(error)})
        else:
            self._worker.snapshot_error = ""

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def _stamp_of_file(self) -> Stamp | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
