"""`inferry local`: control loop, gateway and replicas of one machine under one roof, until it is asked to stop.

Up: lock, gateway started, replicas of a dead owner taken over, objects read, gateway answers. Down, in this order: the
loops, then the gateway, which lets running answers finish, then the replicas; no process is left.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inferry.catalog.load import load_catalog
from inferry.local import lock
from inferry.local.environments import EnvironmentStore
from inferry.local.gateway_process import GatewayProcess
from inferry.local.home import Home
from inferry.local.machine import Machine
from inferry.local.processes import ProcessIdentity
from inferry.local.publisher import SnapshotPublisher
from inferry.local.replicas import Found, end_strangers, left_by_earlier_owner
from inferry.local.restarts import RestartPolicy
from inferry.local.workshop import Workshop

logger = logging.getLogger(__name__)

DEFAULT_PORT = 9997
# Asked to, by Ctrl-C, by a terminal that is closed.
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    home: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    restarts: RestartPolicy = field(default_factory=RestartPolicy)
    catalog_overrides: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    """Given to the gateway and the replicas; tokens for hubs are taken from it."""

    @property
    def address(self) -> str:
        """Base URL of the gateway."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Signals:
    """The first one asks to end, the next one insists."""

    stop: asyncio.Event
    insist: asyncio.Event = field(default_factory=asyncio.Event)

    def received(self) -> None:
        (self.insist if self.stop.is_set() else self.stop).set()


async def run_local(
    options: LocalOptions,
    on_ready: Callable[[str], None] = lambda address: None,
    stop: asyncio.Event | None = None,
) -> None:
    """Until a signal of `ENDING` or `stop`; a second signal cuts running answers. `on_ready` gets the gateway's URL.

    Raises AlreadyRunning, PortInUse, GatewayFailed or CatalogFileError; nothing of it is left running then.
    """
    workshop = _workshop(options)
    home = workshop.home
    with lock.held(home.lock) as tell_address, _handled(stop or asyncio.Event()) as signals:
        for folder in home.folders():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        gateway = GatewayProcess(home, options.host, options.port, options.environment)
        await gateway.take_over()
        left = left_by_earlier_owner(home)
        await end_strangers(home, spared=_spared(gateway, left))
        publisher = SnapshotPublisher(home)
        gateway.launch()

        def up() -> None:
            address = options.address
            tell_address(address)
            logger.info("inferry is up", extra={"address": address, "home": str(home.root)})
            on_ready(address)

        try:
            catalog = load_catalog(*options.catalog_overrides)
            async with asyncio.TaskGroup() as group:
                machine = Machine(workshop, gateway, publisher, catalog, group)
                await _run(machine, left, signals, up)
        except ExceptionGroup as errors:
            raise _cause(errors) from errors
        finally:
            await gateway.stop()
            await end_strangers(home, spared=())


def _spared(gateway: GatewayProcess, left: Sequence[Found]) -> tuple[ProcessIdentity, ...]:
    runs = (record.run.process for _, record, _ in left if record.run is not None)
    return (*runs, gateway.process) if gateway.process is not None else tuple(runs)


async def _run(machine: Machine, left: Sequence[Found], signals: _Signals, up: Callable[[], None]) -> None:
    async with asyncio.TaskGroup() as group:
        insisting = group.create_task(_insist(signals, machine.home))
        await _unless_stopped(signals, _start(machine, left))
        loops = [] if signals.stop.is_set() else [group.create_task(loop) for loop in machine.loops()]
        if loops:
            up()
        await signals.stop.wait()
        for loop in loops:
            loop.cancel()
        await machine.gateway.stop()
        await machine.replicas.remove_all()
        insisting.cancel()


async def _start(machine: Machine, left: Sequence[Found]) -> None:
    await machine.open(left)
    await machine.answering()


async def _unless_stopped(signals: _Signals, work: Coroutine[None, None, None]) -> None:
    """Give the work up when the end is asked for."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work)
        watching = group.create_task(signals.stop.wait())
        working.add_done_callback(lambda _: watching.cancel())
        watching.add_done_callback(lambda _: working.cancel())


def _cause(errors: ExceptionGroup[Exception]) -> Exception:
    """What was raised first, without the groups it came through."""
    first = errors.exceptions[0]
    return _cause(first) if isinstance(first, ExceptionGroup) else first


async def _insist(signals: _Signals, home: Home) -> None:
    await signals.insist.wait()
    await end_strangers(home, spared=())


def _workshop(options: LocalOptions) -> Workshop:
    home = Home(options.home.absolute())
    return Workshop(
        home=home,
        environments=EnvironmentStore(home.environments),
        policy=options.restarts,
        clock=time.time,
        environment=options.environment,
    )


@contextlib.contextmanager
def _handled(stop: asyncio.Event) -> Iterator[_Signals]:
    signals = _Signals(stop)
    loop = asyncio.get_running_loop()
    # `nohup` asks to outlive the terminal.
    numbers = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    for number in numbers:
        loop.add_signal_handler(number, signals.received)
    try:
        yield signals
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
