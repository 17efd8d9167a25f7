"""Files that are either whole or not there, also after a power cut."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inferry_runtime.model.errors import ModelError, NoSpace

# EFBIG: a limit on the size of one file, of the user or of the file system, is as much in the way as a full disk.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_whole(path: Path, content: bytes) -> None:
    """Replaces `path`; readers see the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{unique_suffix()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def move(source: Path, target: Path) -> None:
    """Within one file system; durable when it returns."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def unique_suffix() -> str:
    """For temporary names. Random: in containers that share a folder everyone is process 1."""
    return f"{secrets.token_hex(8)}.tmp"


def sync_folder(folder: Path) -> None:
    """Makes names in `folder` durable; fsync of a file says nothing about its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_data(descriptor: int) -> None:
    """Contents and length, without times."""
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(descriptor)


def free_bytes(folder: Path) -> int:
    """What this user may still write where `folder` is."""
    return shutil.disk_usage(folder).free


@contextmanager
def disk_errors_explained(folder: Path, needed_bytes: int) -> Iterator[None]:
    """Turns the system's ways of saying "full" into NoSpace, and all it else says into ModelError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise no_space(folder, needed_bytes, free_bytes(folder)) from error
        raise ModelError(
            f"the store in {folder} cannot be used: {error.strerror} ({error.filename})",
            hint="let this user write there, or put the store elsewhere",
        ) from error


def no_space(folder: Path, needed_bytes: int, available_bytes: int) -> NoSpace:
    """Says both numbers; the folder is where to look for something to delete."""
    return NoSpace(
        f"{needed_bytes} bytes are needed in {folder}, {available_bytes} are free",
        hint="free space there, remove cached models, or put the store on a larger disk",
    )
