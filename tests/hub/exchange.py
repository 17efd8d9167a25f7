"""One request to a test hub and its answer: heads, ranges, bodies, counted byte by byte as they leave."""

import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hub.faults import Fault

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
SEND_BYTES = 64 << 10


@dataclass(slots=True)
class Request:
    """As it came in; `status` and `sent_bytes` grow with the answer."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    server: str
    """"hub" or "cdn"."""
    status: int = 0
    sent_bytes: int = 0
    """Of the body, as handed to the kernel."""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def asked_range(self) -> tuple[int, int | None] | None:
        """First and last byte, both inclusive."""
        match = _RANGE.fullmatch(self.headers.get("range", ""))
        return (int(match.group(1)), int(match.group(2)) if match.group(2) else None) if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    ranged: bool = False
    """The body is a file that may be asked for in parts."""


Route = Callable[[Request], Answer]
TakeFault = Callable[[str], Fault | None]
OnSent = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Cut:
    """The part of a body that an answer sends."""

    status: int
    start: int
    end: int
    size: int
    headers: tuple[tuple[str, str], ...] = field(default=())


class Listener(ThreadingHTTPServer):
    """One port. Every connection is a thread; `stop` closes them all."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, route: Route, take_fault: TakeFault, log: list[Request], on_sent: OnSent) -> None:
        self.name = name
        self.route = route
        self.take_fault = take_fault
        self.log = log
        self.on_sent = on_sent
        # Filled by `get_request`, emptied by `shutdown_request`: what is open now.
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""

    def close_all(self) -> None:
        for connection in list(self.connections):
            self.shutdown_request(connection)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """The log is `Hub.requests`."""

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.server.name)
        self.server.log.append(request)
        fault = self.server.take_fault(self.path) or Fault(match="")
        answer = _faulty(self.server.route(request), fault)
        cut = _cut(request, answer, fault)
        request.status = cut.status
        self._send_head(answer, cut, fault)
        if request.method != "HEAD":
            self._send_body(request, memoryview(answer.body)[cut.start : cut.end], fault)

    def _send_head(self, answer: Answer, cut: _Cut, fault: Fault) -> None:
        self.send_response(cut.status)
        for name, value in (*answer.headers, *cut.headers, *fault.headers):
            self.send_header(name, value)
        if fault.encoding:
            self.send_header("Content-Encoding", fault.encoding)
        self.send_header("Content-Length", str(cut.end - cut.start + fault.extra_length))
        self.end_headers()

    def _send_body(self, request: Request, body: memoryview, fault: Fault) -> None:
        limit = len(body) if fault.cut_after is None else min(fault.cut_after, len(body))
        half = limit // 2 if fault.gate is not None else limit
        self._send(request, body[:half])
        if fault.gate is not None:
            fault.gate.wait()
            self._send(request, body[half:limit])
        if limit < len(body) or fault.extra_length:
            self.close_connection = True

    def _send(self, request: Request, body: memoryview) -> None:
        for start in range(0, len(body), SEND_BYTES):
            part = body[start : start + SEND_BYTES]
            # Counted first: whoever has received it must find it counted.
            request.sent_bytes += len(part)
            self.server.on_sent()
            self.wfile.write(part)


def _faulty(answer: Answer, fault: Fault) -> Answer:
    if fault.status:
        return Answer(status=fault.status, body=b"no", headers=())
    if fault.body is not None:
        return Answer(body=fault.body)
    if fault.flip_byte is not None and fault.flip_byte < len(answer.body):
        at = fault.flip_byte
        flipped = answer.body[:at] + bytes([answer.body[at] ^ 1]) + answer.body[at + 1 :]
        return Answer(status=answer.status, body=flipped, headers=answer.headers, ranged=answer.ranged)
    return answer


def _cut(request: Request, answer: Answer, fault: Fault) -> _Cut:
    size, asked = len(answer.body), request.asked_range
    if not answer.ranged or asked is None or fault.ignore_range:
        return _Cut(answer.status, 0, size, size)
    start = asked[0] + fault.shift_range
    end = size if asked[1] is None else min(size, asked[1] + 1 + fault.shift_range)
    if start >= size:
        return _Cut(416, 0, 0, size, (("Content-Range", f"bytes */{size}"),))
    told = f"bytes {start}-{end - 1}/{size + fault.extra_size}"
    return _Cut(206, start, end, size, (("Content-Range", told), ("Accept-Ranges", "bytes")))
