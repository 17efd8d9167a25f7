"""`/readyz`, `/healthz`, `/progress` and `/metrics`, for kubelets, supervisors and scrapers. Read only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inferry_runtime import report
from inferry_runtime.report import Stage
from inferry_runtime.serve.board import Board
from inferry_runtime.serve.failures import ServeError, of_port
from inferry_runtime.serve.metrics import metrics_text

REQUEST_SECONDS = 5.0
"""A probe sends its few bytes at once; whoever takes longer is cut off."""
HEAD_BYTES = 16 * 1024

TEXT = "text/plain; charset=utf-8"
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@asynccontextmanager
async def status_server(board: Board, host: str, port: int) -> AsyncIterator[int]:
    """Yields the port it listens on. Raises ServeError when it cannot."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                writer.write(answer(board, await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(handle, host or None, port, limit=HEAD_BYTES)
    except OSError as error:
        raise ServeError(of_port(host, port, error)) from error
    async with server:
        yield server.sockets[0].getsockname()[1]


def answer(board: Board, head: bytes) -> bytes:
    """A whole HTTP answer to a request head."""
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3:
        return _http(400, "bad request\n")
    method, path = words[0], words[1].split(b"?")[0]
    if method not in (b"GET", b"HEAD"):
        return _http(405, "only GET\n")
    return _page(board, path)


def _page(board: Board, path: bytes) -> bytes:
    match path:
        case b"/readyz":
            return _readiness(board)
        case b"/healthz":
            return _http(200, "ok\n")
        case b"/progress":
            return _http(200, report.encode(board.report).decode(), "application/json")
        case b"/metrics":
            return _http(200, metrics_text(board), "text/plain; version=0.0.4; charset=utf-8")
        case _:
            return _http(404, "not found: try /readyz, /healthz, /progress or /metrics\n")


def _readiness(board: Board) -> bytes:
    if board.report.ready and board.report.stage is Stage.READY:
        return _http(200, "ready\n")
    return _http(503, f"{board.report.stage}: {board.report.message}\n")


def _http(status: int, text: str, content_type: str = TEXT) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: {content_type}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
