"""Child processes without a trace left behind: own group, ended with us, everything reaped, orphans too.

On Linux an engine is killed when this process dies for whatever reason, and the orphans of an engine come to us.
Elsewhere only the group kill at the end of an orderly life remains.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Child:
    """A process that leads its own group. `ended` holds its exit status, or minus the signal that ended it."""

    pid: int
    output: int
    """File descriptor of the pipe its stdout and stderr go to. Never blocks; the starter closes it."""
    ended: asyncio.Future[int]

    def send(self, number: signal.Signals) -> None:
        """To the process itself, if it is still there."""
        if not self.ended.done():
            os.kill(self.pid, number)

    def kill_group(self) -> None:
        """The process and all it has started, as far as they have not left its group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


class Reaper:
    """Waits for every child of this process. There can be one, and nobody else may wait for children."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ended: dict[int, asyncio.Future[int]] = {}
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        _adopt_orphans()

    def start(self, argv: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Raises OSError when the program cannot be started."""
        process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - nothing else runs in this process while it forks
        )
        ended = self._ended[process.pid] = self._loop.create_future()
        assert process.stdout is not None
        output = os.dup(process.stdout.fileno())
        os.set_blocking(output, False)
        process.stdout.close()
        # From here on only _reap asks for its status; subprocess would steal it.
        process.returncode = 0
        return Child(pid=process.pid, output=output, ended=ended)

    def close(self) -> None:
        self._loop.remove_signal_handler(signal.SIGCHLD)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._ended.pop(pid, None)
            if ended is not None and not ended.done():
                ended.set_result(os.waitstatus_to_exitcode(status))


def _die_with(parent: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None

    # Looked up here: between fork and exec nothing may be loaded.
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before it was named.
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _adopt_orphans() -> None:
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
