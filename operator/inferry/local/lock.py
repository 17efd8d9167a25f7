"""One `inferry local` per home. The lock is the kernel's: it ends with its holder, however that ends.

Engines and the gateway take the same file as their lease: they look now and then whether it is still held, and end
themselves when it has not been for a while. Such a look takes the lock for an instant, so taking it for good is tried
several times before somebody else is said to have it.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from inferry.local.errors import AlreadyRunning

_TRIES = 20
_BETWEEN_TRIES_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    pid: int
    address: str
    """Base URL of the gateway, without a path; "" until it answers."""


_UNKNOWN = Holder(pid=0, address="")


@contextlib.contextmanager
def held(path: Path) -> Iterator[Callable[[str], None]]:
    """Hold the home; call what it yields with the address once it answers there. Raises AlreadyRunning."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _taken(descriptor):
            raise _already_running(path)
        _write(descriptor, "")
        yield lambda address: _write(descriptor, address)
    finally:
        os.close(descriptor)


def holder(path: Path) -> Holder | None:
    """Who holds the home; None when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path)
    finally:
        os.close(descriptor)
    return None


def _already_running(path: Path) -> AlreadyRunning:
    other = _read(path)
    where = other.address or "it is still starting"
    return AlreadyRunning(
        f"inferry is already running here: pid {other.pid}, {where}",
        hint=f"Use it, end it with `inferry stop`, or set INFERRY_HOME to another folder than {path.parent}.",
    )


def _write(descriptor: int, address: str) -> None:
    content = msgspec.json.encode(Holder(pid=os.getpid(), address=address))
    os.pwrite(descriptor, content, 0)
    os.ftruncate(descriptor, len(content))


def _taken(descriptor: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_BETWEEN_TRIES_SECONDS)
        else:
            return True
    return False


def _read(path: Path) -> Holder:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return _UNKNOWN
