"""One gateway process from its first breath to its last: listen, serve, drain, stop."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from uvicorn.config import Config
from uvicorn.server import ServerState

from inferry.gateway import admin
from inferry.gateway.limits import Limits
from inferry.gateway.protocol import ClientConnection
from inferry.gateway.slow_path import SlowPath
from inferry.gateway.snapshot_file import SnapshotFile
from inferry.gateway.sockets import BACKLOG
from inferry.gateway.worker import Worker
from inferry_runtime.serve import lease
from inferry_runtime.serve.options import LEASE_GRACE_SECONDS

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
"""For the last events to leave the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    snapshot: Path
    grace_seconds: float
    """For answers that are being sent when the gateway is told to stop."""
    settle_seconds: float = 0.0
    """Between saying not ready and refusing connections, for load balancers to notice."""
    admin: str | None = None
    """Path of the admin socket."""
    lease: Path | None = None
    """Exit when nobody has held this file's lock for `lease_grace_seconds`."""
    lease_grace_seconds: float = LEASE_GRACE_SECONDS
    limits: Limits = field(default_factory=Limits)


class _Stopped(Exception):
    """Ends the task group: everything else in it runs for ever."""


class Server:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._state = ServerState()
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._drained = asyncio.Event()

    async def serve(self, listener: socket.socket) -> None:
        """Until SIGTERM or SIGINT, a second one of which ends the grace, or until the lease is lost.

        Raises OSError when the admin socket cannot be made.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                with self._signals():
                    await self._run(tasks, listener)
                raise _Stopped
        except* _Stopped:
            logger.info("gateway stopped")

    async def _run(self, tasks: asyncio.TaskGroup, listener: socket.socket) -> None:
        worker = Worker(self._options.limits, tasks, self._drained)
        snapshots = SnapshotFile(self._options.snapshot, worker)
        snapshots.look()
        application = SlowPath(worker)
        async with AsyncExitStack() as open_servers:
            if self._options.admin is not None:
                await open_servers.enter_async_context(await admin.listen(self._options.admin, worker))
            server = await self._listen(worker, application, listener)
            logger.info("gateway listens", extra={"address": "{}:{}".format(*listener.getsockname()[:2])})
            tasks.create_task(worker.keep_time())
            tasks.create_task(snapshots.follow())
            tasks.create_task(application.load())
            if self._options.lease is not None:
                tasks.create_task(self._watch(self._options.lease))
            await self._stopping.wait()
            await self._drain(worker, server)

    async def _listen(self, worker: Worker, application: SlowPath, listener: socket.socket) -> asyncio.AbstractServer:
        # None of uvicorn's lifecycle is used, only its protocol: it would close idle connections under a request.
        config = Config(
            application, interface="asgi3", loop="none", ws="none", lifespan="off", log_config=None, access_log=False
        )
        config.load()
        loop = asyncio.get_running_loop()

        def accept() -> ClientConnection:
            return ClientConnection(worker, config, self._state, loop)

        return await loop.create_server(accept, sock=listener, backlog=BACKLOG)

    async def _drain(self, worker: Worker, server: asyncio.AbstractServer) -> None:
        logger.info("gateway drains", extra={"connections": len(self._state.connections)})
        worker.draining = True
        await _at_most(self._options.settle_seconds, self._hurry)
        server.close()
        self._each_connection(ClientConnection.drain)
        await self._until_closed(0.0 if self._hurry.is_set() else self._options.grace_seconds)
        if self._state.connections:
            logger.warning("answers are cut short", extra={"connections": len(self._state.connections)})
            self._each_connection(ClientConnection.stop)
            await self._until_closed(FLUSH_SECONDS)

    async def _until_closed(self, seconds: float) -> None:
        self._drained.clear()
        if self._state.connections:
            await _at_most(seconds, self._drained)

    def _each_connection(self, act: Callable[[ClientConnection], None]) -> None:
        for connection in list(self._state.connections):
            if isinstance(connection, ClientConnection):
                act(connection)

    async def _watch(self, path: Path) -> None:
        await lease.lost(path, self._options.lease_grace_seconds)
        logger.warning("nobody owns this gateway any more", extra={"lease": str(path)})
        self._stop()

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._hurry.set()
            self._drained.set()
        self._stopping.set()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def _at_most(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
