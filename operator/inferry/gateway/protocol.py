"""One client connection: requests in order, each judged, read to its end, and answered exactly once.

IDLE -> HEAD -> BODY -> BUSY -> IDLE      keep-alive
                          `-> CLOSING     after the last answer; what is written still goes out
any  -> LINGER                            refused: the answer is out, the rest of the request is read over
"""

import asyncio
import logging

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from inferry.gateway import errors
from inferry.gateway.chunks import ChunkError
from inferry.gateway.deadlines import NEVER
from inferry.gateway.errors import Dialect, Refusal
from inferry.gateway.exchange import Exchange
from inferry.gateway.heads import RequestHead
from inferry.gateway.reading import BODY, BUSY, CLOSING, IDLE, LINGER, RequestReader
from inferry.gateway.table import model_named_in
from inferry.gateway.worker import Worker

logger = logging.getLogger(__name__)

DRAINING_IDLE_SECONDS = 1.0
"""A connection that was idle so long while the gateway drains has no request on its way."""


class ClientConnection(RequestReader):
    """Inference requests are relayed; all others go to the ASGI application through uvicorn's own cycle."""

    __slots__ = ("_backlog", "_exchange", "_unread_bytes", "_write_paused")

    def __init__(self, worker: Worker, config: Config, state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(worker, config, state, loop)
        self._backlog = b""
        self._write_paused = False
        self._unread_bytes = 0
        self._exchange: Exchange | None = None

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
        # What RequestReader overrides is what uvicorn expects to have happened.
        HttpToolsProtocol.on_message_begin(self)
        self.url = head.target
        self.headers.extend(headers)
        self.scope["state"]["request_id"] = head.request_id or self.worker.new_request_id()
        HttpToolsProtocol.on_headers_complete(self)
        self.cycle.keep_alive = head.keep_alive and not self.worker.draining
        HttpToolsProtocol.on_message_complete(self)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.finished(self.cycle.keep_alive)


def _cause(error: Exception) -> Refusal:
    """Refusals raised in the parser's callbacks come out wrapped."""
    inner = error.__context__
    if isinstance(inner, Refusal):
        return inner
    if inner is not None:
        logger.error("judging a request failed", exc_info=inner)
        return Refusal(errors.INTERNAL, "The gateway failed to handle the request.")
    return Refusal(errors.BAD_FRAMING, f"The request is not valid HTTP: {error}.")
