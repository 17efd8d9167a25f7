"""Where running clusters keep what they need, and how leftovers of crashed test runs are found and taken away."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.build import cache_folder
from cluster.processes import kill_leftovers

OWNER_LOCK = "owner.lock"


@contextmanager
def session_folder() -> Iterator[Path]:
    """A folder for one test run. No process that was told of it and no file in it is left afterwards."""
    sessions = cache_folder() / "sessions"
    sessions.mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "sessions.lock").open("ab") as coming_and_going:
        # A folder that is being made has no owner yet: nobody may look at it.
        fcntl.flock(coming_and_going, fcntl.LOCK_EX)
        _remove_abandoned(sessions)
        folder = Path(tempfile.mkdtemp(dir=sessions))
        owner = (folder / OWNER_LOCK).open("ab")
        fcntl.flock(owner, fcntl.LOCK_EX)
    with owner:
        try:
            yield folder
        finally:
            remove(folder)


def remove(folder: Path) -> None:
    kill_leftovers(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(sessions: Path) -> None:
    """The system lets go of a dead owner's lock, however it died."""
    for folder in sessions.iterdir():
        with (folder / OWNER_LOCK).open("ab") as owner:
            try:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            remove(folder)
