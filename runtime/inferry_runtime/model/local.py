"""A model in a folder, or one file, of this machine. Read where it lies; never copied."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from inferry_runtime.model.errors import InvalidSource, MalformedFile, ModelError, ModelNotFound, Unauthorized
from inferry_runtime.model.listing import ListedFile

# A model folder has tens of files. A hundred thousand means that someone named a home folder or "/".
MAX_FILES = 100_000
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    size_bytes: int
    modified_ns: int


class LocalBytes:
    """Ranges of one local file, by its own descriptor."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open_regular(path)
        self.size_bytes = os.fstat(self._file).st_size

    @property
    def ranged(self) -> bool:
        return True

    def read_at(self, offset: int, length: int) -> bytes:
        try:
            return b"".join(self.chunks(offset, length))
        except OSError as error:
            raise _explained(self._path, error) from error

    def chunks(self, offset: int, length: int) -> Iterator[bytes]:
        end = min(offset + length, self.size_bytes)
        while offset < end:
            chunk = os.pread(self._file, min(CHUNK_BYTES, end - offset), offset)
            if not chunk:
                return
            yield chunk
            offset += len(chunk)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.close()


class LocalRepository:
    """A folder with everything below it, or the one file the path names."""

    license = ""

    def __init__(self, path: str) -> None:
        self.path = Path(os.path.abspath(os.path.expanduser(path)))
        self._entries = _scan(self.path)

    @property
    def revision(self) -> str:
        """Changes when a file is added, removed, resized or touched."""
        lines = (f"{entry.path}\0{entry.size_bytes}\0{entry.modified_ns}\n" for entry in self._entries)
        return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()[:40]

    @property
    def root(self) -> Path:
        """The folder that paths of the listing are relative to."""
        return self.path if self.path.is_dir() else self.path.parent

    def files(self) -> tuple[ListedFile, ...]:
        return tuple(ListedFile(path=entry.path, size_bytes=entry.size_bytes) for entry in self._entries)

    def open(self, path: str) -> LocalBytes:
        if all(entry.path != path for entry in self._entries):
            raise ModelNotFound(f"{self.path} has no file {path}")
        return LocalBytes(self.root / path)

    def close(self) -> None:
        """Nothing is kept open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _scan(path: Path) -> tuple[_Entry, ...]:
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            return (_Entry(path.name, found.st_size, found.st_mtime_ns),)
        if not stat.S_ISDIR(found.st_mode):
            raise InvalidSource(f"{path} is neither a file nor a folder", hint="name a model file or its folder")
        return tuple(sorted(_walk(path), key=lambda entry: entry.path))
    except OSError as error:
        raise _explained(path, error) from error


def _walk(root: Path) -> Iterator[_Entry]:
    """Every regular file below, through symbolic links too: hub caches are made of them."""
    pending: list[tuple[Path, str, frozenset[tuple[int, int]]]] = [(root, "", frozenset({_identity(root.stat())}))]
    count = 0
    while pending:
        folder, prefix, ancestors = pending.pop()
        for name, found in _visible(folder):
            count += 1
            if count > MAX_FILES:
                raise InvalidSource(f"{root} has more than {MAX_FILES} files", hint="name the model's own folder")
            path = prefix + name
            if stat.S_ISREG(found.st_mode):
                yield _Entry(path, found.st_size, found.st_mtime_ns)
                continue
            _refuse_unless_folder(root, path, found, ancestors)
            pending.append((folder / name, f"{path}/", ancestors | {_identity(found)}))


def _visible(folder: Path) -> list[tuple[str, os.stat_result]]:
    """Hidden entries (`.git`, `.cache`) are no part of a model."""
    with os.scandir(folder) as items:
        return [(item.name, item.stat()) for item in items if not item.name.startswith(".")]


def _refuse_unless_folder(root: Path, path: str, found: os.stat_result, ancestors: frozenset[tuple[int, int]]) -> None:
    if not stat.S_ISDIR(found.st_mode):
        raise MalformedFile(f"{path} in {root} is a pipe, socket or device", hint="remove it from the folder")
    if _identity(found) in ancestors:
        raise MalformedFile(f"{path} in {root} is a symbolic link to a folder it lies in", hint="remove it")


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _open_regular(path: Path) -> int:
    try:
        # O_NONBLOCK: opening a pipe that took the file's place would otherwise wait for a writer.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(path, error) from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise MalformedFile(f"{path} is not a regular file")
    return file


def _explained(root: Path, error: OSError) -> ModelError:
    path = error.filename or root
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return ModelNotFound(f"there is no file or folder {path}", hint="check the path; a link may point nowhere")
        case PermissionError():
            return Unauthorized(f"{path} may not be read by this user", hint="change its permissions")
        case _:
            return ModelError(f"{path} cannot be read: {error.strerror}")
