"""Blobs: bytes named by their digest. A blob that is there has been verified, or is before it is used."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from inferry_runtime.model.clock import Clock
from inferry_runtime.model.durable import move, write_whole
from inferry_runtime.model.errors import DigestMismatch
from inferry_runtime.model.fingerprints import DigestCache, sha256_of
from inferry_runtime.model.layout import Layout

READ_ONLY = 0o444


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file that is to become a blob."""

    path: str
    size_bytes: int
    sha256: str | None
    """None where the source tells none; the first digest seen is then recorded."""
    file_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSeen:
    sha256: str


class Blobs:
    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        self._digests = DigestCache(layout.fingerprints)

    @property
    def digests(self) -> DigestCache:
        return self._digests

    def untouched(self, sha256: str, size_bytes: int) -> bool:
        """It is there and has been verified since it was last written to. Reads nothing but names."""
        path = self._layout.blob(sha256)
        return _size(path) == size_bytes and self._digests.known(path) == sha256

    def there(self, sha256: str, size_bytes: int) -> bool:
        """It is there, verified or not."""
        return _size(self._layout.blob(sha256)) == size_bytes

    def sound(
        self, sha256: str, size_bytes: int, on_bytes: Callable[[int], None], cancelled: threading.Event | None
    ) -> bool:
        """It is there and right. What is there and wrong goes to quarantine."""
        path = self._layout.blob(sha256)
        if not path.exists():
            return False
        if path.stat().st_size == size_bytes and self._digests.digest(path, on_bytes, cancelled) == sha256:
            return True
        self.quarantine(path, sha256)
        return False

    def publish(
        self, data: Path, wanted: Wanted, *, verify: bool, hashing: Callable[[int], None], cancelled: threading.Event
    ) -> str:
        """Moves complete data in. Returns its digest; wrong data go to quarantine and raise DigestMismatch."""
        expected = wanted.sha256 or self.first_seen(wanted.file_key)
        if expected is None or verify:
            sha256 = sha256_of(data, hashing, cancelled)
            self._expect(data, wanted.path, sha256, expected)
        else:
            sha256 = expected
        self._remember_first(wanted.file_key, sha256)
        os.chmod(data, READ_ONLY)
        blob = self._layout.blob(sha256)
        move(data, blob)
        if verify:
            self._digests.remember(blob, sha256)
        else:
            self._digests.forget(blob)
        return sha256

    def first_seen(self, file_key: str) -> str | None:
        """The digest a file had when it was first fetched; for sources that tell none."""
        try:
            return msgspec.json.decode(self._layout.first_seen(file_key).read_bytes(), type=FirstSeen).sha256
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def record_first(self, file_key: str, sha256: str) -> None:
        write_whole(self._layout.first_seen(file_key), msgspec.json.encode(FirstSeen(sha256=sha256)))

    def quarantine(self, path: Path, name: str) -> Path:
        """Out of the way, kept for a look. Not found by any digest."""
        target = self._layout.quarantine / f"{name[:80]}-{int(self._clock.wall() * 1000)}"
        self._digests.forget(path)
        move(path, target)
        return target

    def _remember_first(self, file_key: str, sha256: str) -> None:
        if file_key.startswith("path-") and self.first_seen(file_key) is None:
            self.record_first(file_key, sha256)

    def _expect(self, data: Path, path: str, sha256: str, expected: str | None) -> None:
        if expected is None or sha256 == expected:
            return
        kept = self.quarantine(data, expected)
        raise DigestMismatch(
            f"{path} has sha256 {sha256}, not {expected}",
            hint=f"they are kept in {kept}; fetch again, and if it stays so distrust the source",
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
