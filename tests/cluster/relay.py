"""A bad line to the API server: it passes bytes on, slowly, not at all, or until it is cut.

It knows nothing of what it passes: TLS is between the client and the server, so everybody keeps their identity.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65536
PATIENCE_SECONDS = 10.0

Result = TypeVar("Result")


class Relay:
    """It runs in a thread of its own, so that a test may do as it likes meanwhile."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._delay_seconds = 0.0
        self._refuses = False
        self._lines: set[asyncio.WriteTransport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay")
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._accept, LOOPBACK, 0))
        self.url = f"https://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Every connection is gone at once, on both sides; new ones are welcome."""
        self._call(self._cut())

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Everything the server says takes so much longer."""
        self._delay_seconds = seconds
        try:
            yield
        finally:
            self._delay_seconds = 0.0

    @contextmanager
    def down(self) -> Iterator[None]:
        """Every connection is cut, and new ones are as soon as they come."""
        self._refuses = True
        self.cut()
        try:
            yield
        finally:
            self._refuses = False

    def close(self) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _cut(self) -> None:
        for line in self._lines:
            line.abort()

    async def _end(self) -> None:
        self._server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            there, to_server = await asyncio.open_connection(LOOPBACK, self._target)
        except ConnectionError:
            writer.transport.abort()
            return
        ends = {writer.transport, to_server.transport}
        self._lines |= ends
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pass_on(reader, to_server, writer, slowly=False))
            both.create_task(self._pass_on(there, writer, to_server, slowly=True))
        self._lines -= ends

    async def _pass_on(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, back: asyncio.StreamWriter, *, slowly: bool
    ) -> None:
        """Until one of them ends it; then it is over for both."""
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                if slowly and self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                to.write(chunk)
                await to.drain()
        except ConnectionError:
            return
        finally:
            to.transport.abort()
            back.transport.abort()
