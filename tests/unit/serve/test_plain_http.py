"""What a listener can do to someone who asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from inferry_runtime.serve.plain_http import Answer, NoAnswer, ask


@asynccontextmanager
async def listener(reply: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((line.split()[1] for line in head.split(b"\r\n") if line.startswith(b"content-length")), b"0")
        seen.append(head + await reader.readexactly(int(length)))
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def test_an_answer_ends_where_the_connection_does() -> None:
    async with listener(b"HTTP/1.1 200 OK\r\nserver: x\r\n\r\nhello\r\n\r\nworld") as (port, seen):
        assert await ask("127.0.0.1", port, "/health") == Answer(status=200, body=b"hello\r\n\r\nworld")
    assert seen == [b"GET /health HTTP/1.0\r\nhost: localhost\r\n\r\n"]


async def test_a_body_makes_it_a_post_of_json() -> None:
    async with listener(b"HTTP/1.0 404 Not Found\r\n\r\n") as (port, seen):
        assert await ask("0.0.0.0", port, "/v1/x", b"{}") == Answer(status=404, body=b"")
    assert seen[0].startswith(b"POST /v1/x HTTP/1.0\r\n")
    assert seen[0].endswith(b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}")


@pytest.mark.parametrize(
    "reply",
    [b"", b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"],
    ids=["nothing", "half a head", "another protocol", "no status", "no number"],
)
async def test_what_is_not_http_is_no_answer(reply: bytes) -> None:
    async with listener(reply) as (port, _):
        with pytest.raises(NoAnswer):
            await ask("127.0.0.1", port, "/health")


async def test_nobody_there_is_no_answer() -> None:
    async with listener(b"") as (port, _):
        """Its port is free afterwards."""
    with pytest.raises(NoAnswer):
        await ask("127.0.0.1", port, "/health")
