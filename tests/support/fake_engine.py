"""An engine made of raw sockets: it answers by script, records what it received, and notices when it is left alone.

No framework, so that it can also do what no engine should: cut, trickle, lie about lengths, speak HTTP/1.0.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        decoded: dict[str, object] = json.loads(self.body)
        return decoded


@dataclass
class Call:
    """One request being answered."""

    request: Received
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send_chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def send_json(self, value: object, status: str = "200 OK", headers: str = "") -> None:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        await self.send(head.encode() + body)

    async def begin_stream(self) -> None:
        await self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    async def end_stream(self) -> None:
        await self.send(b"0\r\n\r\n")

    def cut(self) -> None:
        """Reset the connection: no end of the answer."""
        self.writer.transport.abort()


Script = Callable[[Call], Awaitable[None]]


def chat_answer(text: str) -> dict[str, object]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def chat_event(text: str) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


async def echo(call: Call) -> None:
    """Say what arrived, byte for byte."""
    body = call.request.body
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    await call.send(head.encode() + body)


class FakeEngine:
    """`async with FakeEngine(script) as engine`: listens on `engine.port` until left."""

    def __init__(self, script: Script = echo) -> None:
        self.script = script
        self.received: list[Received] = []
        self.open_connections = 0
        self.connections = 0
        self.abandoned = 0
        """Requests whose client left before the answer was complete."""
        self.port = 0
        self._server: asyncio.Server
        self._changed = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "FakeEngine":
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def listen(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """As if killed: no connection survives."""
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        await self.until(lambda: not self._writers)

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for something that a request, an end of one, or a close brings about."""
        async with self._changed:
            await self._changed.wait_for(happened)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.open_connections += 1
        self.connections += 1
        ahead = b""
        try:
            while (request := await _read_request(reader, ahead)) is not None:
                self.received.append(request)
                await self._notify()
                ahead = await self._answer(Call(request, reader, writer))
        except ConnectionError:
            pass
        finally:
            self.open_connections -= 1
            self._writers.discard(writer)
            writer.transport.abort()
            await self._notify()

    async def _answer(self, call: Call) -> bytes:
        """Run the script; a client that leaves meanwhile is noticed at once. Returns bytes of the next request."""
        script = asyncio.ensure_future(self.script(call))
        watch = asyncio.ensure_future(call.reader.read(1))
        await asyncio.wait({script, watch}, return_when=asyncio.FIRST_COMPLETED)
        left = watch.done() and not watch.cancelled() and (watch.exception() is not None or not watch.result())
        if left:
            self.abandoned += 1
            script.cancel()
        await asyncio.wait({script})
        watch.cancel()
        await asyncio.wait({watch})
        if script.cancelled():
            raise ConnectionResetError
        if (error := script.exception()) is not None:
            raise error
        return b"" if watch.cancelled() or watch.exception() else watch.result()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def _read_request(reader: asyncio.StreamReader, ahead: bytes) -> Received | None:
    try:
        head = ahead + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body)
