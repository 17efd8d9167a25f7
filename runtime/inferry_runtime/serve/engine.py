"""The engine as a process: started, listened to, ended."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from inferry_runtime.engines.base import Command
from inferry_runtime.serve.children import Child, Reaper
from inferry_runtime.serve.cpu import group_seconds
from inferry_runtime.serve.failures import ServeError, failure, of_port
from inferry_runtime.serve.tail import Tail

INHERITED = (
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "TMPDIR",
    "TZ",
)
"""Where things are on this machine. Never tokens: the files are here before the engine starts."""

OUTPUT_CHUNK_BYTES = 64 * 1024


class Engine:
    """A running engine and the end of its log."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.tail = Tail()

    @property
    def pid(self) -> int:
        return self._child.pid

    async def end(self) -> int:
        """Exit status, or minus the signal. Waiting again gives the same."""
        return await asyncio.shield(self._child.ended)

    def cpu_seconds(self) -> float:
        """Processor time of everything it consists of."""
        return group_seconds(self._child.pid)

    def send(self, number: signal.Signals) -> None:
        self._child.send(number)

    def forward_output(self) -> bool:
        """Pass on what it has written since, unchanged. False when there will be no more."""
        while True:
            try:
                chunk = os.read(self._child.output, OUTPUT_CHUNK_BYTES)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self.tail.feed(chunk)
            _write_on(chunk)


@asynccontextmanager
async def started(reaper: Reaper, command: Command, environment: Mapping[str, str]) -> AsyncIterator[Engine]:
    """Leaving it leaves nothing of the engine behind, and all it wrote in its tail. Raises ServeError."""
    chosen = {name: environment[name] for name in INHERITED if name in environment}
    try:
        child = reaper.start(command.argv, {**chosen, **command.environment})
    except OSError as error:
        raise _cannot_start(error) from error
    engine = Engine(child)
    loop = asyncio.get_running_loop()

    def on_output() -> None:
        if not engine.forward_output():
            loop.remove_reader(child.output)

    loop.add_reader(child.output, on_output)
    try:
        yield engine
    finally:
        child.kill_group()
        await engine.end()
        engine.forward_output()
        loop.remove_reader(child.output)
        os.close(child.output)


def require_free(host: str, port: int) -> None:
    """A stranger on the engine's port would answer in its place. Raises ServeError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServeError(of_port(host, port, error)) from error


def out_of_memory_kills() -> int:
    """Processes the kernel has killed for memory since the machine started; 0 where it does not tell."""
    try:
        counters = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in counters if line.startswith("oom_kill "))


def _cannot_start(error: OSError) -> ServeError:
    message = f"the engine cannot be started: {error}"
    return ServeError(failure("EnvironmentFailed", message, hint="The environment of the engine is incomplete."))


def _write_on(chunk: bytes) -> None:
    try:
        while chunk:
            chunk = chunk[os.write(sys.stdout.fileno(), chunk) :]
    except BrokenPipeError:
        # Nobody reads our log any more; that is no reason to stop answering.
        return
