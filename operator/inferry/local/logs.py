"""Log files that processes write themselves, kept to a size from outside: copied away, then cut to nothing.

The writers append, so after the cut they go on at the beginning; they need not know, and go on when we die. What is
written between copy and cut is lost: a few lines, once per `LOG_BYTES`.
"""

import shutil
from pathlib import Path

LOG_BYTES = 10 * 1024 * 1024
"""Size at which a log is rotated; one older generation is kept beside it."""


def older(log: Path) -> Path:
    return log.with_name(f"{log.name}.1")


def rotate(log: Path, limit_bytes: int = LOG_BYTES) -> bool:
    """Whether it was long enough to be rotated."""
    try:
        if log.stat().st_size < limit_bytes:
            return False
        shutil.copyfile(log, older(log))
        with log.open("r+b") as file:
            file.truncate(0)
    except FileNotFoundError:
        return False
    return True
