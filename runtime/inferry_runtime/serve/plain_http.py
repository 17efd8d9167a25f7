"""One HTTP request, one answer, to an engine on the same machine. HTTP/1.0: a body ends where the connection does."""

import asyncio
from dataclasses import dataclass

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
"""Far above any first answer; a rerank or embedding answer of a large model has some hundred kilobytes."""

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


class NoAnswer(Exception):
    """Refused, cut off, or not HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


async def ask(host: str, port: int, path: str, body: bytes | None = None) -> Answer:
    """GET without a body, POST of JSON with one. Raises NoAnswer."""
    try:
        reader, writer = await asyncio.open_connection(ANY_ADDRESS.get(host, host), port)
    except OSError as error:
        raise NoAnswer(str(error)) from error
    try:
        writer.write(_request(path, body))
        return _parsed(await _read_all(reader))
    except OSError as error:
        raise NoAnswer(str(error)) from error
    finally:
        writer.close()


def _request(path: str, body: bytes | None) -> bytes:
    if body is None:
        return f"GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n".encode("ascii")
    length = f"content-type: application/json\r\ncontent-length: {len(body)}"
    return f"POST {path} HTTP/1.0\r\nhost: localhost\r\n{length}\r\n\r\n".encode("ascii") + body


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    received = bytearray()
    while chunk := await reader.read(65536):
        received += chunk
        if len(received) > ANSWER_LIMIT_BYTES:
            raise NoAnswer(f"the answer is longer than {ANSWER_LIMIT_BYTES} bytes")
    return bytes(received)


def _parsed(received: bytes) -> Answer:
    head, separator, body = received.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    status = rest[:3]
    if not separator or not version.startswith(b"HTTP/1.") or not status.isdigit():
        raise NoAnswer("the connection was closed without an HTTP answer")
    return Answer(status=int(status), body=body)
