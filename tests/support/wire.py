"""The gateway's own connections without sockets: bytes go in by hand, come out in order, nothing waits for a clock."""

import asyncio
from collections.abc import Callable

from uvicorn.config import Config
from uvicorn.server import ServerState

from inferry.api.snapshot import ServedModel, Snapshot
from inferry.gateway.backend import Backend
from inferry.gateway.limits import Limits
from inferry.gateway.protocol import ClientConnection
from inferry.gateway.slow_path import Message, Receive, Send
from inferry.gateway.upstream import UpstreamConnection
from inferry.gateway.worker import Worker
from support.gateway import endpoint, served


class _Socket:
    def setsockopt(self, level: int, option: int, value: int) -> None: ...

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 1

    getpeername = getsockname


class Transport(asyncio.Transport):
    """Collects what is written. Closing is told to the protocol by `settle`, as an event loop would do later."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"socket": _Socket()})
        self.protocol = protocol
        self.written = bytearray()
        self.reading = True
        self.closed = False
        self.aborted = False
        self.ended = False
        self.unread = 0
        self._told = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        assert not self.closed, "written after the close"
        assert not self.ended, "written after the end"
        self.written += data

    def writelines(self, pieces: object) -> None:
        for piece in pieces:  # type: ignore[attr-defined]
            self.write(piece)

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True
        self.aborted = True

    def pause_reading(self) -> None:
        assert not self.closed
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.closed
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return self.unread

    def take(self) -> bytes:
        taken = bytes(self.written)
        self.written.clear()
        return taken

    def lose(self, error: Exception | None = None) -> None:
        """The connection is gone."""
        if not self._told:
            self._told = True
            self.closed = True
            self.protocol.connection_lost(error)

    def settle(self) -> None:
        if self.closed:
            self.lose()


class Engine:
    """The far end of one upstream connection."""

    def __init__(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        self.transport = Transport(connection)
        connection.connection_made(self.transport)

    def answer(self, data: bytes) -> None:
        self.connection.data_received(data)


class Client:
    """The far end of one client connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.transport = Transport(connection)
        connection.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        if not self.transport.closed:
            self.connection.data_received(data)

    @property
    def received(self) -> bytes:
        return bytes(self.transport.written)


class Wire:
    """A worker whose engines are in memory. Use as `async with asyncio.TaskGroup() as tasks: Wire(tasks)`."""

    def __init__(self, tasks: asyncio.TaskGroup, *models: ServedModel, limits: Limits | None = None) -> None:
        self.engines: list[Engine] = []
        self.refusing: set[int] = set()
        """Ports where nothing listens."""
        self.worker = Worker(limits or Limits(), tasks, asyncio.Event(), self._dial)
        self.worker.adopt(Snapshot(version=1, models=models or (served(endpoint(1)),)))
        self._state = ServerState()
        self._config = Config(
            _nothing_else, interface="asgi3", loop="none", ws="none", lifespan="off", log_config=None, access_log=False
        )
        self._config.load()

    def client(self) -> Client:
        return Client(ClientConnection(self.worker, self._config, self._state, asyncio.get_running_loop()))

    def in_flight(self) -> int:
        return sum(self.worker.backends.in_flight().values())

    async def _dial(self, make: Callable[[], UpstreamConnection], backend: Backend) -> UpstreamConnection:
        if backend.port in self.refusing:
            raise ConnectionRefusedError(backend.port)
        engine = Engine(make())
        self.engines.append(engine)
        return engine.connection


async def _nothing_else(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def turns(count: int = 3) -> None:
    """Let tasks that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)
