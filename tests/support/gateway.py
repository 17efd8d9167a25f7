"""A real gateway process for tests, and a client that sends and reads exact bytes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from inferry.api.snapshot import Endpoint, EndpointState, ServedModel, Snapshot, encode

ROUTES = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages", "/v1/responses")
START_SECONDS = 20.0
POLL_SECONDS = 0.01


def endpoint(port: int, name: str = "", state: EndpointState = EndpointState.READY) -> Endpoint:
    return Endpoint(id=name or f"replica-{port}", host="127.0.0.1", port=port, state=state)


def served(
    *endpoints: Endpoint,
    names: tuple[str, ...] = ("m",),
    routes: tuple[str, ...] = ROUTES,
    reason: str = "",
    message: str = "",
) -> ServedModel:
    return ServedModel(
        deployment=f"default/{names[0]}",
        names=names,
        engine="llama.cpp",
        routes=routes,
        created=1_700_000_000,
        endpoints=endpoints,
        waiting_reason=reason,
        waiting_message=message,
        retry_after_seconds=3,
    )


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
    """Asks another process until it says so."""
    async with asyncio.timeout(seconds):
        while True:
            if await holds():
                return
            await asyncio.sleep(POLL_SECONDS)


class Gateway:
    """`async with Gateway(folder, model) as gateway`: a process that routes by what `publish` was last given."""

    def __init__(self, folder: Path, *models: ServedModel, arguments: Sequence[str] = ()) -> None:
        self.snapshot = folder / "snapshot.json"
        self.log = folder / "gateway.log"
        self.port = 0
        self.process: subprocess.Popen[bytes]
        self._socket = folder / "admin.sock"
        self._arguments = arguments
        self._version = 0
        self._clients: list[RawClient] = []
        if models:
            self.write(*models)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Gateway":
        listener = _listener()
        self.port = listener.getsockname()[1]
        argv = [sys.executable, "-P", "-m", "inferry.gateway", "--snapshot", str(self.snapshot)]
        argv += ["--fd", str(listener.fileno()), "--admin", f"unix:{self._socket}", *self._arguments]
        with self.log.open("wb") as log, listener:
            self.process = self._start(argv, listener.fileno(), log)
        await eventually(self._listens, START_SECONDS)
        return self

    def _start(self, argv: list[str], descriptor: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(argv, pass_fds=[descriptor], stderr=log, stdout=log)

    async def _listens(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return self._socket.exists()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.abort()
        if self.process.poll() is None:
            self.process.kill()
        await asyncio.to_thread(self.process.wait)

    def write(self, *models: ServedModel) -> int:
        """Replace the snapshot file, as the control loop does. Returns the version."""
        self._version += 1
        fresh = self.snapshot.with_suffix(".new")
        fresh.write_bytes(encode(Snapshot(version=self._version, models=models)))
        fresh.replace(self.snapshot)
        return self._version

    async def publish(self, *models: ServedModel) -> None:
        """Replace the snapshot and wait until the gateway says that it routes by it."""
        version = self.write(*models)

        async def adopted() -> bool:
            return (await self.state())["snapshotVersion"] == version

        await eventually(adopted)

    async def state(self) -> dict[str, object]:
        reader, writer = await asyncio.open_unix_connection(self._socket)
        writer.write(b"GET /state HTTP/1.1\r\nhost: admin\r\n\r\n")
        answer = await reader.read()
        writer.close()
        decoded: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return decoded

    async def until_idle(self) -> None:
        """Returns when no endpoint has a request in flight."""

        async def idle() -> bool:
            return not any((await self.in_flight()).values())

        await eventually(idle)

    async def in_flight(self) -> dict[str, int]:
        counts = (await self.state())["inFlight"]
        assert isinstance(counts, dict)
        return counts

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def exit_status(self) -> int:
        async with asyncio.timeout(30):
            return await asyncio.to_thread(self.process.wait)

    async def connect(self) -> "RawClient":
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    async def ask(self, path: str, body: bytes, headers: str = "") -> "RawAnswer":
        """One request on a connection of its own."""
        client = await self.connect()
        try:
            await client.send(request(path, body, headers))
            return await client.read_answer()
        finally:
            client.close()


class RawAnswer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def error(self) -> dict[str, object]:
        error = json.loads(self.body)["error"]
        assert isinstance(error, dict)
        return error


class RawClient:
    """Sends what it is told and reads answers strictly by their framing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read_head(self) -> RawAnswer:
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return RawAnswer(int(first.split(" ")[1]), headers, b"")

    async def read_chunk(self) -> bytes:
        """One chunk's payload; b"" for the last one."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        payload = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return payload

    async def read_answer(self) -> RawAnswer:
        answer = await self.read_head()
        if "content-length" in answer.headers:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        elif answer.headers.get("transfer-encoding") == "chunked":
            while chunk := await self.read_chunk():
                answer.body += chunk
        elif answer.status not in (204, 304):
            answer.body = await self.reader.read()
        return answer

    async def is_closed(self) -> bool:
        """True once the gateway has closed, whatever it sent before."""
        try:
            await self.reader.read()
        except ConnectionError:
            return True
        return self.reader.at_eof()

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        self.writer.transport.abort()


def request(path: str, body: bytes, headers: str = "", method: str = "POST") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n{headers}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    os.set_inheritable(listener.fileno(), True)
    return listener
