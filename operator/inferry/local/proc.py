"""What the system knows of processes: /proc on Linux, `ps` elsewhere."""

import contextlib
import functools
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

_PROC = Path("/proc")
# Fields of /proc/PID/stat after the parenthesised command, which may itself hold spaces and parentheses: proc(5).
_STATE, _SESSION, _START_TICKS = 0, 3, 19


def started(pid: int) -> str | None:
    """When the living process began, as one word of an unspoken clock; None when there is none, or only its zombie."""
    if sys.platform != "linux":
        return _ps(pid)
    fields = _stat(pid)
    if fields is None or fields[_STATE] in ("Z", "X"):
        return None
    return f"{_boot()}:{fields[_START_TICKS]}"


def session(leader: int) -> tuple[int, ...]:
    """Pids of all members of a session, zombies left out."""
    if sys.platform != "linux":
        # Other systems print no usable session, but every leader of one leads a process group of the same number.
        pairs = (line.split() for line in _run_ps("-axo", "pid=,pgid=").splitlines())
        return tuple(int(pid) for pid, leading in pairs if leading == str(leader))
    found = ((pid, _stat(pid)) for pid in _pids())
    return tuple(
        pid for pid, fields in found if fields and fields[_SESSION] == str(leader) and fields[_STATE] not in ("Z", "X")
    )


def command_lines() -> Mapping[int, tuple[str, ...]]:
    """Arguments of every process we may look at."""
    if sys.platform != "linux":
        pairs = (line.split(maxsplit=1) for line in _run_ps("-axo", "pid=,command=").splitlines())
        return {int(pair[0]): tuple(pair[1].split()) for pair in pairs if len(pair) == 2}
    found = {}
    for pid in _pids():
        try:
            raw = (_PROC / str(pid) / "cmdline").read_bytes()
        except OSError:
            continue
        found[pid] = tuple(raw.decode(errors="surrogateescape").rstrip("\0").split("\0"))
    return found


def listener_on(port: int) -> int | None:
    """Pid of the process that listens on a TCP port, when the system lets us see it."""
    inodes = _listening_inodes(port)
    found = (pid for pid in _pids() if inodes and not inodes.isdisjoint(_open_files(pid)))
    return next(found, None)


def _open_files(pid: int) -> Iterator[str]:
    """What a process has open, as far as it is ours to see and stays open while we look."""
    with contextlib.suppress(OSError):
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(descriptor.readlink())


def _listening_inodes(port: int) -> frozenset[str]:
    listening, local_address, state, inode = "0A", 1, 3, 9
    found = set()
    for table in (_PROC / "net" / "tcp", _PROC / "net" / "tcp6"):
        rows = table.read_text().splitlines()[1:] if table.exists() else []
        for row in (line.split() for line in rows):
            if row[state] == listening and int(row[local_address].rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{row[inode]}]")
    return frozenset(found)


def _pids() -> Iterator[int]:
    if _PROC.is_dir():
        yield from (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _stat(pid: int) -> list[str] | None:
    try:
        content = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return content.rsplit(")", 1)[1].split()


@functools.cache
def _boot() -> str:
    """Start times count from boot, so they mean something only together with which boot it was."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]


def _ps(pid: int) -> str | None:
    return "-".join(_run_ps("-o", "lstart=", "-p", str(pid)).split()) or None


def _run_ps(*arguments: str) -> str:
    return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False).stdout
