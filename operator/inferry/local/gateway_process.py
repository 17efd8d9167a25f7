"""The gateway as a process: taken over when one runs already, started, started again when it dies, asked, stopped."""

import asyncio
import errno
import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from inferry.local import ask, endings, ports, proc, processes
from inferry.local.errors import GatewayFailed, LocalError, PortInUse
from inferry.local.files import write_whole
from inferry.local.home import Home
from inferry.local.processes import ProcessIdentity

logger = logging.getLogger(__name__)

STARTING_POLL_SECONDS = 0.02
# Python and the web framework need half a second; this is for machines under heavy load.
START_SECONDS = 30.0
STATE_TIMEOUT_SECONDS = 2.0
FIRST_RESTART_SECONDS = 0.1
LONGEST_RESTART_SECONDS = 5.0
# One that ran this long died of something else than its start.
STABLE_SECONDS = 5.0
# Streams end when their replicas have drained; after that only idle connections are left.
STOP_GRACE_SECONDS = 40.0
# Of its log, in an error message.
LAST_LINES = 5


class GatewayState(msgspec.Struct, frozen=True, rename="camel"):
    """What the gateway says of itself."""

    snapshot_version: int
    """Of the snapshot it routes by now."""
    pid: int
    in_flight: dict[str, int]
    """Endpoint -> requests running there; absent means none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    process: ProcessIdentity
    argv: tuple[str, ...]


class GatewayProcess:
    """`process` is the one that runs, None between two."""

    def __init__(self, home: Home, host: str, port: int, environment: Mapping[str, str]) -> None:
        self._home = home
        self._host = host
        self._port = port
        self._environment = environment
        self.process: ProcessIdentity | None = None

    async def take_over(self) -> None:
        """Keep the gateway an earlier owner left when it is the one we would start, else end it."""
        record = self._record()
        if record is None:
            return
        if record.argv == self._argv() and processes.is_alive(record.process) and await self.state() is not None:
            self.process = record.process
        else:
            await processes.stop(record.process, grace_seconds=STOP_GRACE_SECONDS)
            await processes.sweep(record.process)

    def launch(self) -> None:
        """Start it unless it was taken over. Raises PortInUse, or GatewayFailed for an address that is not ours."""
        if self.process is not None:
            return
        obstacle = ports.obstacle(self._host, self._port)
        if obstacle is not None:
            raise self._refused(obstacle)
        argv = self._argv()
        self.process = processes.spawn(argv, self._environment, self._home.gateway_log)
        record = msgspec.json.encode(_Record(process=self.process, argv=argv))
        write_whole(self._home.gateway_record, record, durable=False)

    async def answering(self) -> None:
        """Returns when it answers. Raises GatewayFailed when it ends before, or takes too long."""
        process = self.process
        if process is None:
            raise GatewayFailed("the gateway was not started")
        try:
            async with asyncio.timeout(START_SECONDS):
                while await self.state() is None:
                    if not processes.is_alive(process):
                        raise await self._failed(process, "ended while it started")
                    await asyncio.sleep(STARTING_POLL_SECONDS)
        except TimeoutError:
            raise await self._failed(process, f"did not answer within {START_SECONDS:.0f} s") from None
        logger.info("gateway answers", extra={"pid": process.pid, "port": self._port})

    async def keep(self, changed: Callable[[], None]) -> None:
        """Start it again whenever it dies, at once after a good run; `changed` is called after each death and start."""
        delay, started_at = 0.0, time.monotonic()
        while True:
            if self.process is not None:
                await self._until_dead(self.process)
                changed()
            delay = 0.0 if time.monotonic() - started_at >= STABLE_SECONDS else _longer(delay)
            await asyncio.sleep(delay)
            started_at = time.monotonic()
            await self._started_again()
            changed()

    async def stop(self) -> None:
        """Readiness off, running answers finished, ended; nothing of it is left."""
        process, self.process = self.process, None
        if process is not None:
            await processes.stop(process, grace_seconds=STOP_GRACE_SECONDS)
            await processes.sweep(process)
        self._home.gateway_record.unlink(missing_ok=True)

    async def state(self) -> GatewayState | None:
        """None when it does not answer."""
        address = ask.Address(socket=self._home.gateway_socket)
        try:
            body = await ask.get(address, "/state", timeout_seconds=STATE_TIMEOUT_SECONDS)
            return msgspec.json.decode(body, type=GatewayState)
        except (ask.NoAnswer, msgspec.DecodeError):
            return None

    async def _started_again(self) -> None:
        try:
            self.launch()
            await self.answering()
        except LocalError as error:
            logger.error("gateway does not start", extra={"reason": error.message, "hint": error.hint})

    async def _until_dead(self, process: ProcessIdentity) -> None:
        ending = await processes.wait(process)
        self.process = None
        logger.warning("gateway died", extra={"pid": process.pid, "ending": str(ending)})
        await processes.sweep(process)

    async def _failed(self, process: ProcessIdentity, what: str) -> GatewayFailed:
        self.process = None
        await processes.sweep(process)
        ending = await processes.wait(process)
        last = "\n".join(endings.tail(self._home.gateway_log)[-LAST_LINES:])
        return GatewayFailed(f"the gateway {what} ({ending})\n{last}", hint=f"Its log is {self._home.gateway_log}.")

    def _refused(self, obstacle: OSError) -> LocalError:
        place = f"port {self._port} on {self._host}"
        if obstacle.errno != errno.EADDRINUSE:
            return GatewayFailed(
                f"{place} cannot be listened on: {obstacle.strerror}", hint="Check `--host`, `--port`."
            )
        pid = proc.listener_on(self._port)
        whose = f"process {pid}: {' '.join(proc.command_lines().get(pid, ()))}" if pid else "another process"
        return PortInUse(f"{place} is in use by {whose}", hint="Stop it, or choose another port with `--port`.")

    def _record(self) -> _Record | None:
        """An unreadable one is as good as none: the sweep of processes without a record finds what it spoke of."""
        try:
            return msgspec.json.decode(self._home.gateway_record.read_bytes(), type=_Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _argv(self) -> tuple[str, ...]:
        home = self._home
        options = {
            "--snapshot": home.snapshot,
            "--host": self._host,
            "--port": self._port,
            "--admin": f"unix:{home.gateway_socket}",
            "--lease": home.lock,
        }
        words = (str(word) for pair in options.items() for word in pair)
        return (sys.executable, "-P", "-m", "inferry.gateway", *words)


def _longer(delay: float) -> float:
    return min(max(2 * delay, FIRST_RESTART_SECONDS), LONGEST_RESTART_SECONDS)
