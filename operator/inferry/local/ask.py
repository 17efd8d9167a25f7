"""One HTTP GET to a process of ours on this machine: fresh connection, small JSON answer, nothing else understood."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

# Reports and gateway states are a few kilobytes; more than this is not one of them.
_LIMIT_BYTES = 4 * 1024 * 1024


class NoAnswer(Exception):
    """Nothing listens, it does not answer in time, or not with HTTP and 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A TCP port of the loopback interface, or a Unix socket."""

    port: int = 0
    socket: Path | None = None


async def get(address: Address, path: str, *, timeout_seconds: float) -> bytes:
    """The body of the answer. Raises NoAnswer."""
    try:
        async with asyncio.timeout(timeout_seconds):
            answer = await _exchange(address, path)
    except (OSError, TimeoutError) as error:
        raise NoAnswer(f"{path}: {str(error) or 'no answer in time'}") from error
    head, separator, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not separator or status != [b"200"]:
        raise NoAnswer(f"{path}: answered {head[:40]!r}")
    return body


async def _exchange(address: Address, path: str) -> bytes:
    if address.socket is not None:
        reader, writer = await asyncio.open_unix_connection(address.socket)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
    try:
        # HTTP/1.0 asks for an answer without chunks that ends with the connection.
        writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return await _everything(reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _everything(reader: asyncio.StreamReader) -> bytes:
    parts, size = [], 0
    while part := await reader.read(65536):
        size += len(part)
        if size > _LIMIT_BYTES:
            raise OSError("answer is too long")
        parts.append(part)
    return b"".join(parts)
