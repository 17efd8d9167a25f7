"""Reads one request after the other from a client's bytes, strictly and within bounds.

A message's end is found twice, by the parser and by counting, and the two must agree. So what belongs to the next
request is known exactly, and stays unread until its turn.
"""

import asyncio
from enum import IntEnum, auto

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from inferry.gateway import errors
from inferry.gateway.chunks import ChunkWalker
from inferry.gateway.deadlines import NEVER
from inferry.gateway.errors import Refusal
from inferry.gateway.heads import CHUNKED, Header, RequestHead, judge
from inferry.gateway.worker import Worker

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BLANK_LINE = b"\r\n\r\n"


class Phase(IntEnum):
    """Up to BODY, bytes are read as a request."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    BUSY = auto()
    LINGER = auto()
    CLOSING = auto()


IDLE, HEAD, BODY, BUSY, LINGER, CLOSING = Phase


class RequestReader(HttpToolsProtocol):
    """The reading half of a client connection. Every way in which a request can be wrong is a Refusal.

    uvicorn's protocol is what requests are handed to that are not inference; its parser and flow control are used.
    """

    # On top of what uvicorn keeps in a dictionary: these are read many times per request.
    __slots__ = (
        "_body_bytes",
        "_body_since",
        "_buffered_bytes",
        "_complete",
        "_head",
        "_head_bytes",
        "_head_tail",
        "_headers",
        "_left",
        "_parts",
        "_phase",
        "_raw_body_bytes",
        "_url",
        "_walker",
        "due",
        "filed",
        "worker",
    )

    def __init__(self, worker: Worker, config: Config, state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, state, {}, loop)
        # uvicorn lets data after `connection: close` pass; here it is refused.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self.worker = worker
        self.due = NEVER
        self.filed = NEVER
        self._phase = IDLE
        self._buffered_bytes = 0
        self._head_tail = b""
        self._parts: list[bytes] = []
        self._raw_body_bytes = 0
        self._left = 0
        self._body_since = 0
        self._walker: ChunkWalker | None = None
        self._forget_request()

    def expired(self) -> None:
        raise NotImplementedError

    def _forget_request(self) -> None:
        self._headers: list[Header] = []
        self._url = b""
        self._head: RequestHead | None = None
        self._head_bytes = 0
        self._complete = False
        self._body_bytes = 0

    def _read_head(self, data: bytes) -> bytes:
        end = self._end_of_head(data)
        piece = data[:end] if end else data
        limits = self.worker.limits
        self._head_bytes += len(piece)
        if self._head_bytes > limits.head_bytes:
            raise Refusal(errors.HEADER_TOO_LARGE, f"The request head is larger than {limits.head_bytes} bytes.")
        self.parser.feed_data(piece)
        head = self._head
        if head is not None:
            self._begin_body(head)
            rest = data[end:]
            if not rest and self._phase is BODY:
                self._expect_more()
            return rest
        if self._phase is IDLE:
            self._phase = HEAD
            self.worker.wheel.arm(self, limits.head_seconds)
        self._head_tail = (self._head_tail + piece)[-3:]
        return data[end:] if end else b""

    def _end_of_head(self, data: bytes) -> int:
        """Position after the blank line; 0 when it is not here yet."""
        tail = self._head_tail
        if tail:
            split = (tail + data[:3]).find(BLANK_LINE)
            if split >= 0:
                return split + 4 - len(tail)
        at = data.find(BLANK_LINE)
        return at + 4 if at >= 0 else 0

    def _begin_body(self, head: RequestHead) -> None:
        self._head_tail = b""
        if head.length == 0:
            if not self._complete:
                raise _ambiguous()
            return
        if self.worker.buffered_bytes + head.length > self.worker.limits.buffered_bytes:
            raise Refusal(errors.OVERLOADED, "Too much is waiting to be sent to engines.")
        self._phase = BODY
        self._left = head.length
        self._raw_body_bytes = 0
        self._body_since = 0
        self._walker = ChunkWalker() if head.length == CHUNKED else None
        if head.expects_continue:
            self.transport.write(CONTINUE)

    def _expect_more(self) -> None:
        """One deadline for the body as a whole, from its first piece on; a longer one is given more time."""
        limits, wheel = self.worker.limits, self.worker.wheel
        head = self._head
        assert head is not None
        length = max(head.length, self._body_bytes)
        seconds = max(limits.body_seconds, length / limits.body_bytes_per_second)
        if not self._body_since:
            self._body_since = wheel.tick
        wheel.arm(self, max(0.0, seconds - wheel.seconds_since(self._body_since)))

    def _read_body(self, data: bytes) -> bytes:
        walker = self._walker
        if walker is None:
            piece = data if len(data) <= self._left else data[: self._left]
            self._left -= len(piece)
            done, rest = not self._left, data[len(piece) :]
        else:
            walker.feed(data)
            done, rest = walker.done, walker.surplus
            piece = data[: len(data) - len(rest)] if rest else data
        self._raw_body_bytes += len(piece)
        self.parser.feed_data(piece)
        if done != self._complete:
            raise _ambiguous()
        if walker is not None:
            self._check_chunks()
        if not done:
            self._expect_more()
        return rest

    def _check_chunks(self) -> None:
        overhead = self._raw_body_bytes - self._body_bytes
        if overhead > self.worker.limits.chunk_overhead_bytes + self._body_bytes // 4:
            raise Refusal(errors.BAD_FRAMING, "The body comes in too many small chunks.")

    def _free_body(self) -> None:
        self.worker.buffered_bytes -= self._buffered_bytes
        self._buffered_bytes = 0
        self._parts = []

    # The parser's calls.

    def on_message_begin(self) -> None:
        pass

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head these are trailers, which mean nothing here.
        if self._head is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self.parser
        if parser.should_upgrade() and parser.get_method() != b"CONNECT":
            raise Refusal(errors.BAD_FRAMING, "No upgrade is offered here.")
        self._head = judge(
            parser.get_method(),
            self._url,
            parser.get_http_version(),
            self._headers,
            keep_alive=parser.should_keep_alive(),
            limits=self.worker.limits,
        )

    def on_body(self, body: bytes) -> None:
        limits = self.worker.limits
        self._body_bytes += len(body)
        self._buffered_bytes += len(body)
        self.worker.buffered_bytes += len(body)
        if self._body_bytes > limits.body_bytes:
            raise Refusal(errors.BODY_TOO_LARGE, f"The body is larger than {limits.body_bytes} bytes.")
        if self.worker.buffered_bytes > limits.buffered_bytes:
            raise Refusal(errors.OVERLOADED, "Too much is waiting to be sent to engines.")
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._complete = True


def _ambiguous() -> Refusal:
    return Refusal(errors.BAD_FRAMING, "The end of the request is ambiguous.")
