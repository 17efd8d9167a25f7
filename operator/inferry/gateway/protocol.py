"""One client connection: requests in order, each judged, read to its end, and answered exactly once.

    IDLE -> HEAD -> BODY -> BUSY -> IDLE      keep-alive
                              `-> CLOSING     after the last answer; what is written still goes out
    any  -> LINGER                            refused: the answer is out, the rest of the request is read over

A message's end is found twice, by the parser and by counting, and the two must agree.
"""

import asyncio
import logging
from enum import IntEnum, auto

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from inferry.gateway import errors
from inferry.gateway.chunks import ChunkError, ChunkWalker
from inferry.gateway.deadlines import NEVER
from inferry.gateway.errors import Dialect, Refusal
from inferry.gateway.exchange import Exchange
from inferry.gateway.heads import CHUNKED, Header, RequestHead, judge
from inferry.gateway.table import model_named_in
from inferry.gateway.worker import Worker

logger = logging.getLogger(__name__)

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
DRAINING_IDLE_SECONDS = 1.0
"""A connection that was idle so long while the gateway drains has no request on its way."""


class ClientConnection(HttpToolsProtocol):
    """Inference requests are relayed; all others go to the ASGI application through uvicorn's own cycle."""

    __slots__ = (
        "_backlog",
        "_body_bytes",
        "_body_since",
        "_buffered_bytes",
        "_complete",
        "_exchange",
        "_head",
        "_head_bytes",
        "_head_tail",
        "_headers",
        "_left",
        "_parts",
        "_phase",
        "_raw_body_bytes",
        "_unread_bytes",
        "_url",
        "_walker",
        "_write_paused",
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
        self._backlog = b""
        self._write_paused = False
        self._unread_bytes = 0
        self._buffered_bytes = 0
        self._head_tail = b""
        self._parts: list[bytes] = []
        self._raw_body_bytes = 0
        self._left = 0
        self._body_since = 0
        self._walker: ChunkWalker | None = None
        self._exchange: Exchange | None = None
        self._forget_request()

    def _forget_request(self) -> None:
        self._headers: list[Header] = []
        self._url = b""
        self._head: RequestHead | None = None
        self._head_bytes = 0
        self._complete = False
        self._body_bytes = 0

    # The transport's calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        limits = self.worker.limits
        if len(self.connections) > limits.connections:
            self._refuse(Refusal(errors.OVERLOADED, "Too many connections are open."))
            return
        self.worker.wheel.arm(self, limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.wheel.disarm(self)
        self._phase = CLOSING
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.cancel()
        self._free_body()
        super().connection_lost(exc)
        if self.worker.draining and not self.connections:
            self.worker.drained.set()

    def data_received(self, data: bytes) -> None:
        if self._phase is BUSY or self._backlog:
            self._keep_for_later(data)
        elif self._phase <= BODY:
            self._consume(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_paused = True
        self._unread_bytes = self.transport.get_write_buffer_size()
        self.worker.wheel.arm(self, self.worker.limits.stall_seconds)
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write_paused = False
        if self._exchange is not None:
            self.worker.wheel.disarm(self)
            self._exchange.resume()
        elif self._phase <= BODY:
            self.worker.wheel.arm(self, self.worker.limits.keep_alive_seconds)
            self._go_on()

    def expired(self) -> None:
        """The deadline of the current phase has passed."""
        if self._write_paused or self._phase in (LINGER, CLOSING):
            self._expired_writing()
        elif self._phase is IDLE:
            self._close()
        elif self._phase is not BUSY:
            self._refuse(Refusal(errors.SLOW_CLIENT, "The request did not arrive in time."))

    def _expired_writing(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread and unread < self._unread_bytes:
            self._unread_bytes = unread
            self.worker.wheel.arm(self, self.worker.limits.stall_seconds)
        else:
            self.transport.abort()

    def write(self, data: bytes) -> None:
        # Between the client's close and `connection_lost` an answer may still come in.
        if not self.transport.is_closing():
            self.transport.write(data)

    # Reading requests.

    def _keep_for_later(self, data: bytes) -> None:
        self._backlog += data
        if len(self._backlog) > self.worker.limits.backlog_bytes:
            self.flow.pause_reading()

    def _consume(self, data: bytes) -> None:
        """Read requests until one has to be waited for; the rest is kept."""
        try:
            while data and self._phase <= BODY and not self._write_paused:
                data = self._read_body(data) if self._phase is BODY else self._read_head(data)
                if self._complete:
                    self._dispatch()
            if data and self._phase <= BUSY:
                self._keep_for_later(data)
        except Refusal as refusal:
            self._refuse(refusal)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._refuse(_cause(error))
        except ChunkError as error:
            self._refuse(Refusal(errors.BAD_FRAMING, f"The chunked body is malformed: {error}."))
        except Exception:
            # Nothing above a protocol callback can answer the client; here it still can.
            logger.exception("handling a request failed")
            self.worker.metrics.errors += 1
            self._refuse(Refusal(errors.INTERNAL, "The gateway failed to handle the request."))

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
            self.write(CONTINUE)

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

    # Answering.

    def _dispatch(self) -> None:
        self._phase = BUSY
        worker, head = self.worker, self._head
        assert head is not None
        self.due = NEVER
        if head.rule is None:
            self._hand_to_application(head)
            return
        try:
            if worker.table is None:
                raise Refusal(errors.NOT_CONFIGURED, "The gateway has no routing table yet.", (("retry-after", "1"),))
            body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            target = worker.table.find(model_named_in(body), head.rule)
        except Refusal as refusal:
            self.answer(refusal)
            return
        self._parts = []
        exchange = Exchange(
            worker,
            self,
            target=target,
            rule=head.rule,
            head=head,
            body=body,
            request_id=head.request_id or worker.new_request_id(),
        )
        self._exchange = exchange
        exchange.start()

    def answer(self, refusal: Refusal) -> None:
        """A complete request gets a problem instead of an answer."""
        head = self._head
        assert head is not None
        keep = head.keep_alive and not refusal.problem.closes and not self.worker.draining
        self._write_refusal(refusal, close=not keep)
        self.finished(keep)

    def finished(self, keep: bool) -> None:
        self._exchange = None
        if self._buffered_bytes:
            self._free_body()
        if not keep:
            self._close()
        elif self._phase is BUSY:
            self._await_next()

    def _await_next(self) -> None:
        self._phase = IDLE
        self._forget_request()
        worker = self.worker
        worker.wheel.arm(self, DRAINING_IDLE_SECONDS if worker.draining else worker.limits.keep_alive_seconds)
        if self._backlog:
            self._go_on()

    def _go_on(self) -> None:
        data, self._backlog = self._backlog, b""
        self.flow.resume_reading()
        self._consume(data)

    def _refuse(self, refusal: Refusal) -> None:
        """The request is not even read: answer, stop writing, and read over what is still coming."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.cancel()
        self._free_body()
        self._backlog = b""
        if self._phase in (LINGER, CLOSING) or self.transport.is_closing():
            return
        self._write_refusal(refusal, close=True)
        self._phase = LINGER
        self.transport.write_eof()
        self.worker.wheel.arm(self, self.worker.limits.linger_seconds)

    def _write_refusal(self, refusal: Refusal, *, close: bool) -> None:
        head, problem = self._head, refusal.problem
        dialect = head.rule.dialect if head is not None and head.rule is not None else Dialect.OPENAI
        request_id = (head.request_id if head is not None else b"") or self.worker.new_request_id()
        self.worker.metrics.refusals[problem.status, problem.code or ""] += 1
        self.write(errors.render(refusal, dialect, request_id.decode(), self.worker.date_line, close))

    def _close(self) -> None:
        self._phase = CLOSING
        self._unread_bytes = self.transport.get_write_buffer_size()
        self.transport.close()
        self.worker.wheel.arm(self, self.worker.limits.stall_seconds)

    def body_sent(self) -> None:
        """An answer has begun, so the body will not be needed again."""
        self._free_body()

    def _free_body(self) -> None:
        self.worker.buffered_bytes -= self._buffered_bytes
        self._buffered_bytes = 0
        self._parts = []

    # The gateway's own end.

    def drain(self) -> None:
        """Answers go on; what is idle closes soon."""
        if self._phase is IDLE:
            wheel = self.worker.wheel
            idle = self.worker.limits.keep_alive_seconds - wheel.seconds_left(self)
            wheel.arm(self, max(0.0, DRAINING_IDLE_SECONDS - idle))

    def stop(self) -> None:
        """The grace is over."""
        if self._exchange is not None:
            self._exchange.stop(errors.DRAINING, "The gateway is shutting down.")
        self._close()

    # Requests that are not inference.

    def _hand_to_application(self, head: RequestHead) -> None:
        headers = [(name.lower(), value) for name, value in self._headers]
        super().on_message_begin()
        self.url = head.target
        self.headers.extend(headers)
        self.scope["state"]["request_id"] = head.request_id or self.worker.new_request_id()
        super().on_headers_complete()
        self.cycle.keep_alive = head.keep_alive and not self.worker.draining
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.finished(self.cycle.keep_alive)


def _ambiguous() -> Refusal:
    return Refusal(errors.BAD_FRAMING, "The end of the request is ambiguous.")


def _cause(error: Exception) -> Refusal:
    """Refusals raised in the parser's callbacks come out wrapped."""
    inner = error.__context__
    if isinstance(inner, Refusal):
        return inner
    if inner is not None:
        logger.error("judging a request failed", exc_info=inner)
        return Refusal(errors.INTERNAL, "The gateway failed to handle the request.")
    return Refusal(errors.BAD_FRAMING, f"The request is not valid HTTP: {error}.")
