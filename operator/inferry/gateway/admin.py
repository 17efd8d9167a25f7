"""What the control loop asks a gateway, on a socket of its own: `GET /state`.

It acknowledges a snapshot by its version, and says which endpoints still have requests: together they tell when a
draining replica may go.
"""

import asyncio
import contextlib
import os

import httptools
import msgspec

from inferry.gateway.worker import Worker

REQUEST_BYTES = 8 * 1024
OWNER_ONLY = 0o600


class State(msgspec.Struct, frozen=True, rename="camel"):
    snapshot_version: int
    """0 before the first one."""
    pid: int
    in_flight: dict[str, int]
    """Endpoint id -> requests that are not answered whole."""
    draining: bool
    snapshot_error: str


def state_of(worker: Worker) -> State:
    return State(
        snapshot_version=worker.table.version if worker.table is not None else 0,
        pid=os.getpid(),
        in_flight=worker.backends.in_flight(),
        draining=worker.draining,
        snapshot_error=worker.snapshot_error,
    )


class AdminConnection(asyncio.Protocol):
    """One request per connection; anything but the one question is a 404."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._url = b""
        self._received = 0
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it always is one
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._transport.is_closing():
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._answer(b"400 Bad Request", b"")
        if self._received > REQUEST_BYTES:
            self._transport.abort()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_message_complete(self) -> None:
        if self._url == b"/state" and self._parser.get_method() == b"GET":
            self._answer(b"200 OK", msgspec.json.encode(state_of(self._worker)))
        else:
            self._answer(b"404 Not Found", b"")

    def _answer(self, status: bytes, body: bytes) -> None:
        if self._transport.is_closing():
            return
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self._transport.write(head % (status, len(body)) + body)
        self._transport.close()


async def listen(path: str, worker: Worker) -> asyncio.AbstractServer:
    """Replaces a socket that a killed gateway left behind. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    server = await asyncio.get_running_loop().create_unix_server(lambda: AdminConnection(worker), path)
    os.chmod(path, OWNER_ONLY)
    return server
