"""A replica on one machine outlives a restart of its owner, but not its absence."""

import asyncio
import fcntl
import time
from collections.abc import Callable
from pathlib import Path

LOOK_SECONDS = 1.0
"""An owner that comes back is noticed within a second; looking costs one open and one flock."""


async def lost(path: Path, grace_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Return when nobody has held the lock on `path` for `grace_seconds`."""
    held_at = clock()
    while clock() - held_at < grace_seconds:
        if is_held(path):
            held_at = clock()
        await asyncio.sleep(min(LOOK_SECONDS, grace_seconds / 4))


def is_held(path: Path) -> bool:
    """Takes a shared lock for a moment: an owner has to wait for its exclusive one, not to try once."""
    try:
        with path.open("rb") as lease:
            fcntl.flock(lease, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
