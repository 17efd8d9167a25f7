"""Processes that outlive us: started in sessions of their own, known by pid and start time, watched by pidfd.

A pid alone names whatever runs under it now. A `ProcessIdentity` names one process for ever: it also holds when the
process began, in the clock of one boot. Signals go through a pidfd that was checked against it, so that none can hit a
stranger.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inferry.local import proc

# Without pidfds (macOS) processes are looked at this often.
POLL_SECONDS = 0.1
# After SIGKILL the kernel needs a moment to take a process down, longer when it is writing a core or freeing a GPU.
KILL_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    pid: int
    started: str
    """Opaque; equal only for the same process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended. `code` is negative for a signal and None for a process that was not our child."""

    code: int | None

    def __str__(self) -> str:
        if self.code is None:
            return "ended"
        if self.code < 0:
            return f"killed by {signal.Signals(-self.code).name}"
        return f"exited with code {self.code}"


def identify(pid: int) -> ProcessIdentity | None:
    """None when nothing runs under this pid."""
    started = proc.started(pid)
    return None if started is None else ProcessIdentity(pid=pid, started=started)


def is_alive(identity: ProcessIdentity) -> bool:
    """A zombie is not alive."""
    return proc.started(identity.pid) == identity.started


def spawn(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> ProcessIdentity:
    """Start in a new session, without input, output appended to `log`. The caller owes a `wait`. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.posix_spawn(
        argv[0],
        list(argv),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
    )
    # Not reaped before we wait for it, so the pid is still its own.
    return identify(pid) or ProcessIdentity(pid=pid, started="")


async def wait(identity: ProcessIdentity) -> Exit:
    """Return when the process has ended; a child is reaped. At once when it is not there any more."""
    with _pidfd(identity.pid) as descriptor:
        if descriptor is None:
            await _poll_until_gone(identity)
        elif is_alive(identity):
            await _readable(descriptor)
    return _reap(identity.pid)


async def stop(identity: ProcessIdentity, *, grace_seconds: float) -> None:
    """SIGTERM, `grace_seconds` for it to end, then SIGKILL for the whole session. Nothing of it is left afterwards."""
    send(identity, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace_seconds):
            await wait(identity)
    await sweep(identity)


async def sweep(identity: ProcessIdentity) -> None:
    """Kill whatever is left of the session `identity` leads or led."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KILL_SECONDS):
            while members := session_members(identity):
                for member in members:
                    send(member, signal.SIGKILL)
                for member in members:
                    await wait(member)


def session_members(leader: ProcessIdentity) -> tuple[ProcessIdentity, ...]:
    """Living processes of the session, the leader among them; empty when its pid belongs to somebody else by now."""
    now_there = identify(leader.pid)
    if now_there is not None and now_there != leader:
        return ()
    found = (identify(pid) for pid in proc.session(leader.pid))
    return tuple(member for member in found if member is not None)


def send(identity: ProcessIdentity, number: signal.Signals) -> bool:
    """Whether the process was still there to be signalled."""
    with _pidfd(identity.pid) as descriptor:
        if not is_alive(identity):
            return False
        try:
            if descriptor is None:
                os.kill(identity.pid, number)
            else:
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
    return True


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int | None]:
    """Opened before the identity is checked, so that what was checked is what is meant."""
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)


async def _poll_until_gone(identity: ProcessIdentity) -> None:
    while is_alive(identity):  # noqa: ASYNC110 - nobody but the kernel knows, and here it does not tell
        await asyncio.sleep(POLL_SECONDS)


def _reap(pid: int) -> Exit:
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return Exit(code=None)
    return Exit(code=os.waitstatus_to_exitcode(status) if reaped == pid else None)
