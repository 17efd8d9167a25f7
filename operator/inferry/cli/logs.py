"""`inferry logs`: what the engines of one deployment print, from all its replicas."""

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from inferry.cli.homes import found, here
from inferry.cli.output import note, say
from inferry.local import records
from inferry.local.home import Home

# A person follows with the eye; five looks a second feel immediate.
LOOK_EVERY_SECONDS = 0.2


def print_logs(name: str, *, follow: bool, lines: int) -> None:
    """The last lines of each replica, then, when asked to, whatever comes."""
    found(name)
    followed: dict[Path, TextIO] = {}
    try:
        shown = _print_new(name, followed, lines)
        if not shown and not follow:
            note(f"{name} has no replica that printed anything yet")
        while follow:
            time.sleep(LOOK_EVERY_SECONDS)
            _print_new(name, followed, lines)
    finally:
        for stream in followed.values():
            stream.close()


def log_files(home: Home, deployment: str) -> tuple[tuple[str, Path], ...]:
    """Replica name and log of every replica of the deployment, sorted by name."""
    found_files = []
    for folder in records.folders(home.replicas):
        try:
            record, _ = records.read(folder)
        except records.RecordError:
            continue
        if record.deployment == deployment:
            found_files.append((record.name, folder.log))
    return tuple(found_files)


def _print_new(name: str, followed: dict[Path, TextIO], lines: int) -> bool:
    files = log_files(here(), name)
    shown = False
    for replica, path in files:
        prefix = f"{replica} | " if len(files) > 1 else ""
        for line in _new_lines(path, followed, lines):
            say(prefix + line.rstrip("\n"))
            shown = True
    return shown


def _new_lines(path: Path, followed: dict[Path, TextIO], lines: int) -> Iterator[str]:
    stream = followed.get(path)
    if stream is None:
        try:
            stream = followed[path] = path.open(errors="replace")
        except FileNotFoundError:
            return
        yield from deque(stream, maxlen=lines)
        return
    if path.exists() and path.stat().st_size < stream.tell():
        # The log was rotated: what is there now is all new.
        stream.seek(0)
    yield from stream
