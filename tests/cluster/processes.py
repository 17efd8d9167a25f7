"""The processes of one cluster: started, waited for, stopped, and found again by whoever comes after a crash."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from pathlib import Path

from inferry.local import proc

LOOK_SECONDS = 0.02
# Seconds on an idle machine; two loaded cores need more.
PATIENCE_SECONDS = 90.0
TAIL_CHARACTERS = 3000


class ProcessError(Exception):
    """A process of the cluster ended or did not become ready; with the end of its log."""


def free_ports(count: int) -> tuple[int, ...]:
    """Different ones, free a moment ago."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(probe.getsockname()[1] for probe in probes)


class Processes:
    """Each has the folder in its command line, so that it can be found without any record of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, words: Sequence[str | Path]) -> None:
        assert any(str(self.folder) in str(word) for word in words[1:]), f"{name} could not be found again"
        with self.log(name).open("ab") as log:
            # A session of its own: Ctrl-C is for whoever started the cluster, who then stops it in order.
            self._running[name] = subprocess.Popen(
                [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def wait_until(self, name: str, ready: Callable[[], bool]) -> None:
        """Raises ProcessError when it ends or takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not ready():
            if self._running[name].poll() is not None:
                raise ProcessError(f"{name} ended: {self._tail(name)}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{name} is not ready after {PATIENCE_SECONDS:.0f} s: {self._tail(name)}")
            time.sleep(LOOK_SECONDS)

    def kill(self, name: str) -> None:
        """At once; what it holds in memory is gone."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        self._running[name].send_signal(number)

    def kill_all(self) -> None:
        for name in reversed(tuple(self._running)):
            self.kill(name)
        kill_leftovers(self.folder)

    def _tail(self, name: str) -> str:
        return self.log(name).read_text(errors="replace")[-TAIL_CHARACTERS:]


def living(folder: Path, programs: Collection[str] = ()) -> tuple[int, ...]:
    """Pids of the processes of the cluster in this folder, whoever started them; of these programs only, if any."""
    mark, own = f"{folder}/", os.getpid()
    lines = proc.command_lines().items()
    # The program comes first and may lie anywhere; what it was told names the folder.
    told = ((pid, Path(words[0]).name) for pid, words in lines if any(mark in word for word in words[1:]))
    return tuple(pid for pid, program in told if pid != own and (not programs or program in programs))


def kill_leftovers(folder: Path, programs: Collection[str] = ()) -> None:
    """Raises ProcessError when one does not go."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found := living(folder, programs):
        for pid in found:
            _kill(pid)
        if time.monotonic() > deadline:
            raise ProcessError(f"These do not go: {found}")
        time.sleep(LOOK_SECONDS)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
