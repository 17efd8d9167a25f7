"""Files that are whole or absent: written beside and renamed; what cannot be read is set aside, never deleted."""

import contextlib
import os
import secrets
import time
from pathlib import Path

from inferry.local.home import Home

_TEMPORARY_SUFFIX = ".part"


def write_whole(path: Path, content: bytes, *, durable: bool) -> None:
    """Readers see the old content or the new one. `durable` survives a power cut, at the price of a disk flush."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}{_TEMPORARY_SUFFIX}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        _flush_folder(path.parent)


def set_aside(home: Home, path: Path) -> Path:
    """Move `path` where nothing reads it; returns where it is now."""
    home.set_aside.mkdir(parents=True, exist_ok=True, mode=0o700)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    target = home.set_aside / f"{stamp}-{secrets.token_hex(2)}-{path.parent.name[:20]}-{path.name}"
    path.rename(target)
    return target


def remove_leftovers(folder: Path) -> None:
    """Temporary files of a writer that was killed."""
    for path in folder.glob(f".*{_TEMPORARY_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _flush_folder(folder: Path) -> None:
    """A rename is on disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
