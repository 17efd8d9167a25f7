"""Digests of files, remembered for as long as the file looks untouched, so that a restart does not read 40 GB again.

A file is untouched while inode, size, modification and change time are. Any write through the file system moves the
change time, which no program can set back; decay of the disk itself is only seen by `sha256_of`. The device is left
out: its number differs from mount to mount.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from inferry_runtime.model.durable import write_whole
from inferry_runtime.model.errors import MalformedFile

READ_BYTES = 4 << 20


class HashCancelled(Exception):
    """The caller asked to stop before the end of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    path: str
    fingerprint: Fingerprint
    sha256: str


class DigestCache:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def known(self, path: Path) -> str | None:
        """The digest, if the file has been hashed and not been touched since."""
        try:
            remembered = msgspec.json.decode(self._record(path).read_bytes(), type=_Remembered)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        untouched = remembered.path == str(path) and remembered.fingerprint == fingerprint_of(path)
        return remembered.sha256 if untouched else None

    def digest(self, path: Path, on_bytes: Callable[[int], None], cancelled: threading.Event | None = None) -> str:
        """Reads the file unless it is known; `on_bytes` gets every number of bytes read."""
        if (known := self.known(path)) is not None:
            return known
        before = fingerprint_of(path)
        sha256 = sha256_of(path, on_bytes, cancelled)
        if fingerprint_of(path) != before:
            raise MalformedFile(f"{path} was written to while it was read", hint="try again once it is complete")
        self.remember(path, sha256)
        return sha256

    def remember(self, path: Path, sha256: str) -> None:
        record = _Remembered(path=str(path), fingerprint=fingerprint_of(path), sha256=sha256)
        write_whole(self._record(path), msgspec.json.encode(asdict(record)))

    def forget(self, path: Path) -> None:
        self._record(path).unlink(missing_ok=True)

    def _record(self, path: Path) -> Path:
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:40]
        return self._folder / name[:2] / f"{name}.json"


def fingerprint_of(path: Path) -> Fingerprint:
    """Of the file itself where `path` is a link to it. Raises MalformedFile for anything but a regular file."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise MalformedFile(f"{path} is not a regular file")
    return Fingerprint(
        inode=found.st_ino,
        size_bytes=found.st_size,
        modified_ns=found.st_mtime_ns,
        changed_ns=found.st_ctime_ns,
    )


def sha256_of(path: Path, on_bytes: Callable[[int], None], cancelled: threading.Event | None = None) -> str:
    """Reads all of it, whatever is remembered. Raises HashCancelled."""
    hasher = hashlib.sha256()
    buffer = memoryview(bytearray(READ_BYTES))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            hasher.update(buffer[:count])
            on_bytes(count)
            if cancelled is not None and cancelled.is_set():
                raise HashCancelled
    return hasher.hexdigest()
