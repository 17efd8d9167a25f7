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
from inferry_runtime.order import IntegrityPolicy

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
class Seen:
    sha256: str


class Blobs:
    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        self._digests = DigestCache(layout.fingerprints)

    @property
    def digests(self) -> DigestCache:
        return self._digests

    def usable(
        self, wanted: Wanted, integrity: IntegrityPolicy, on_bytes: Callable[[int], None], cancelled: threading.Event
    ) -> str | None:
        """The digest of the blob to serve as this file; None when it has to be fetched. What was verified and not
        touched since is not read again."""
        expected = wanted.sha256 or self.first_seen(wanted.file_key)
        if expected is None:
            return None
        match integrity:
            case IntegrityPolicy.VERIFY:
                return expected if self.sound(expected, wanted.size_bytes, on_bytes, cancelled) else None
            case IntegrityPolicy.OFF:
                return expected if self.there(expected, wanted.size_bytes) else None
            case IntegrityPolicy.RECORD:
                return self._recorded(wanted, expected, on_bytes, cancelled)

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

    def _recorded(
        self, wanted: Wanted, expected: str, on_bytes: Callable[[int], None], cancelled: threading.Event
    ) -> str | None:
        for name in (expected, self.instead(wanted.file_key)):
            if name is not None and (found := self._actual(name, wanted.size_bytes, on_bytes, cancelled)) is not None:
                self._remember(wanted.file_key, found, expected)
                return found
        return None

    def _actual(
        self, sha256: str, size_bytes: int, on_bytes: Callable[[int], None], cancelled: threading.Event
    ) -> str | None:
        """The digest of what lies under this name, which is its name from now on; None when nothing of this size
        does."""
        if not self.there(sha256, size_bytes):
            return None
        path = self._layout.blob(sha256)
        found = self._digests.digest(path, on_bytes, cancelled)
        if found != sha256:
            self._digests.forget(path)
            move(path, self._layout.blob(found))
        return found

    def publish(
        self,
        data: Path,
        wanted: Wanted,
        *,
        integrity: IntegrityPolicy,
        hashing: Callable[[int], None],
        cancelled: threading.Event,
    ) -> str:
        """Moves complete data in. Returns its digest; where the policy is to verify, wrong data go to quarantine and
        raise DigestMismatch."""
        expected = wanted.sha256 or self.first_seen(wanted.file_key)
        looked = expected is None or integrity is not IntegrityPolicy.OFF
        sha256 = sha256_of(data, hashing, cancelled) if looked else expected or ""
        if integrity is IntegrityPolicy.VERIFY:
            self._expect(data, wanted.path, sha256, expected)
        self._remember(wanted.file_key, sha256, expected)
        os.chmod(data, READ_ONLY)
        blob = self._layout.blob(sha256)
        move(data, blob)
        if looked:
            self._digests.remember(blob, sha256)
        else:
            self._digests.forget(blob)
        return sha256

    def first_seen(self, file_key: str) -> str | None:
        """The digest a file had when it was first fetched; for sources that tell none."""
        return _seen(self._layout.first_seen(file_key))

    def record_first(self, file_key: str, sha256: str) -> None:
        write_whole(self._layout.first_seen(file_key), msgspec.json.encode(Seen(sha256=sha256)))

    def instead(self, file_key: str) -> str | None:
        """The digest the file was last found to have, where that is another one than it should have."""
        return _seen(self._layout.instead(file_key))

    def quarantine(self, path: Path, name: str) -> Path:
        """Out of the way, kept for a look. Not found by any digest."""
        target = self._layout.quarantine / f"{name[:80]}-{int(self._clock.wall() * 1000)}"
        self._digests.forget(path)
        move(path, target)
        return target

    def _remember(self, file_key: str, sha256: str, expected: str | None) -> None:
        if expected is None:
            self.record_first(file_key, sha256)
        elif expected != sha256:
            write_whole(self._layout.instead(file_key), msgspec.json.encode(Seen(sha256=sha256)))
        else:
            self._layout.instead(file_key).unlink(missing_ok=True)

    def _expect(self, data: Path, path: str, sha256: str, expected: str | None) -> None:
        if expected is None or sha256 == expected:
            return
        kept = self.quarantine(data, expected)
        raise DigestMismatch(
            f"{path} has sha256 {sha256}, not {expected}",
            hint=f"they are kept in {kept}; fetch again, and if it stays so distrust the source",
        )


def _seen(record: Path) -> str | None:
    try:
        return msgspec.json.decode(record.read_bytes(), type=Seen).sha256
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
