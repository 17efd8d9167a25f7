"""One request on its way: chosen endpoint, attempts, the answer's head, and exactly one end.

Retries by what can be known: nothing was sent (connecting failed), nothing came back on a connection that had been idle
(the engine closed it meanwhile), or the engine itself said that it did nothing (503, 429). Never after a byte of the
answer was relayed.
"""

from time import perf_counter
from typing import Protocol

from inferry.gateway import errors
from inferry.gateway.backend import Backend
from inferry.gateway.balance import pick
from inferry.gateway.errors import Dialect, Problem, Refusal
from inferry.gateway.heads import RequestHead, request_for_engine
from inferry.gateway.health import HEALTHY
from inferry.gateway.responses import ResponseHead
from inferry.gateway.routes import Rule
from inferry.gateway.table import Target
from inferry.gateway.upstream import Loss, UpstreamConnection
from inferry.gateway.worker import Worker

MOST_ATTEMPTS = 3
REFUSED_WORK = frozenset({429, 503})
"""The engine did nothing: it is loading, or its queue is full."""

LOSSES = {
    Loss.DISCONNECTED: (
        errors.UPSTREAM_DISCONNECTED,
        "The engine closed the connection before the answer was complete.",
    ),
    Loss.INVALID: (errors.UPSTREAM_INVALID, "The engine's answer is not valid HTTP."),
    Loss.SILENT: (errors.UPSTREAM_TIMEOUT, "The engine sent nothing for too long."),
    Loss.INTERNAL: (errors.INTERNAL, "The gateway failed to relay the answer."),
}


class Client(Protocol):
    """Who waits for the answer."""

    def write(self, data: bytes) -> None: ...
    def body_sent(self) -> None:
        """The request's body will not be needed again."""

    def answer(self, refusal: Refusal) -> None:
        """Instead of a relayed answer; ends the exchange."""

    def finished(self, keep: bool) -> None:
        """The answer is complete, or broken off (`keep` is False then)."""


class Exchange:
    """Holds one count of one backend from `start` to its end, whatever the end is."""

    __slots__ = (
        "_attempts",
        "_backend",
        "_body",
        "_client",
        "_first_byte_at",
        "_head",
        "_keep",
        "_over",
        "_paused",
        "_received_at",
        "_refreshed",
        "_request_id",
        "_response",
        "_rule",
        "_sent_at",
        "_target",
        "_tried",
        "_unsent",
        "_upstream",
        "_worker",
    )

    def __init__(
        self,
        worker: Worker,
        client: Client,
        *,
        target: Target,
        rule: Rule,
        head: RequestHead,
        body: bytes,
        request_id: bytes,
    ) -> None:
        self._worker = worker
        self._client = client
        self._target = target
        self._rule = rule
        self._head = head
        self._body = body
        self._request_id = request_id
        self._backend: Backend | None = None
        self._upstream: UpstreamConnection | None = None
        self._response: ResponseHead | None = None
        self._tried: tuple[Backend, ...] = ()
        self._attempts = 0
        self._refreshed = False
        self._keep = False
        self._paused = False
        self._over = False
        self._unsent = b""
        self._sent_at = 0.0
        self._first_byte_at = 0.0
        self._received_at = perf_counter()

    def start(self) -> None:
        worker, ready = self._worker, self._target.ready
        if len(ready) == 1 and not self._tried:
            backend: Backend | None = ready[0]
        else:
            backend = pick(ready, self._tried, perf_counter(), worker.next_turn())
        if backend is None:
            self._end(errors.NO_ENDPOINTS)
            self._client.answer(Refusal(errors.NO_ENDPOINTS, "No endpoint of the model is left to try."))
            return
        self._hold(backend)
        connection = backend.take_idle()
        if connection is None:
            worker.connect(backend, self)
        else:
            self._ask(connection, backend)

    def connected(self, connection: UpstreamConnection) -> None:
        if self._over:
            connection.abandon()
        elif connection.usable:
            self._ask(connection, connection.backend)
        else:
            self.connect_failed(connection.backend)

    def _ask(self, connection: UpstreamConnection, backend: Backend) -> None:
        self._upstream = connection
        if self._paused:
            connection.pause()
        request_id = self._request_id
        if self._head.request_id:
            # Engines key running requests by it, and clients repeat theirs.
            request_id = b"%b.%b" % (request_id, self._worker.new_request_id())
        head = request_for_engine(self._rule.path, backend.authority, self._head, len(self._body), request_id)
        connection.ask(self, head, self._body, plain=self._head.legacy)
        self._sent_at = perf_counter()

    def connect_failed(self, backend: Backend) -> None:
        """Nothing was sent, so another endpoint may be asked."""
        if self._over:
            return
        if not self._try_elsewhere(backend, "connect", paid=False):
            message = "The engine could not be reached."
            self._end(errors.UPSTREAM_UNREACHABLE)
            self._client.answer(Refusal(errors.UPSTREAM_UNREACHABLE, message))

    def on_head(self, head: ResponseHead) -> None:
        backend = self._backend
        assert backend is not None
        if backend.health is not HEALTHY:
            backend.health = HEALTHY
        if head.status >= 429 and self._is_tried_elsewhere(backend, head.status):
            return
        self._first_byte_at = perf_counter()
        self._response = head
        self._keep = keep = self._head.keep_alive and not self._worker.draining
        # Goes out with the first piece of the body: one system call less.
        self._unsent = b"".join(
            (
                head.legacy_lines if self._head.legacy else head.lines,
                b"x-request-id: %b\r\n" % self._request_id,
                self._further_lines() if self._attempts > 1 or self._rule.dialect is Dialect.ANTHROPIC else b"",
                self._worker.date_line,
                b"\r\n" if keep else b"connection: close\r\n\r\n",
            )
        )

    def on_data(self, data: bytes) -> None:
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
            # A stream may last for long, and the request will not be sent again.
            self._body = b""
            self._client.body_sent()
        self._client.write(data)

    def on_complete(self, data: bytes) -> None:
        if data or self._unsent:
            self._client.write(self._unsent + data)
        self._end(None)
        self._client.finished(self._keep)

    def on_lost(self, loss: Loss) -> None:
        upstream, backend = self._upstream, self._backend
        assert upstream is not None and backend is not None
        if self._answer_begun():
            self._break(upstream, *LOSSES[loss])
        elif loss is Loss.DISCONNECTED and self._ask_again(upstream, backend):
            return
        else:
            problem, message = LOSSES[loss]
            self._end(problem)
            self._client.answer(Refusal(problem, message))

    def cancel(self) -> None:
        """The client is gone: the engine must stop at once."""
        if self._over:
            return
        phase = "answering" if self._response else "waiting" if self._upstream else "connecting"
        self._worker.metrics.disconnects[phase] += 1
        upstream = self._upstream
        self._release()
        if upstream is not None:
            upstream.abandon()

    def stop(self, problem: Problem, message: str) -> None:
        """End it from our side: with the problem, or as a broken stream when the answer has begun."""
        if self._over:
            return
        upstream = self._upstream
        if upstream is not None:
            upstream.abandon()
        if upstream is not None and self._answer_begun():
            self._break(upstream, problem, message)
            return
        self._end(problem)
        self._client.answer(Refusal(problem, message))

    def pause(self) -> None:
        """The client does not read: stop reading from the engine, which then feels it too."""
        self._paused = True
        if self._upstream is not None:
            self._upstream.pause()

    def resume(self) -> None:
        self._paused = False
        if self._upstream is not None:
            self._upstream.resume()

    def _answer_begun(self) -> bool:
        """The client has seen a byte of it. A head that was not sent yet is forgotten."""
        if self._unsent:
            self._response, self._unsent = None, b""
        return self._response is not None

    def _further_lines(self) -> bytes:
        lines = b"request-id: %b\r\n" % self._request_id if self._rule.dialect is Dialect.ANTHROPIC else b""
        if self._attempts > 1:
            lines += b"x-inferry-attempts: %d\r\n" % self._attempts
        return lines

    def _is_tried_elsewhere(self, backend: Backend, status: int) -> bool:
        refused = status in REFUSED_WORK or (self._rule.repeatable and status >= 500)
        return refused and self._try_elsewhere(backend, f"status_{status}", paid=True)

    def _try_elsewhere(self, backend: Backend, reason: str, *, paid: bool) -> bool:
        """`paid`: the engine did something for it, so the model's retry budget must allow it."""
        self._target = self._worker.current(self._target)
        others = any(other is not backend and other not in self._tried for other in self._target.ready)
        if not others or self._attempts >= MOST_ATTEMPTS:
            return False
        if paid and not self._worker.may_retry(self._target.name):
            return False
        self._worker.metrics.retries[self._target.name, reason] += 1
        self._tried = (*self._tried, backend)
        self._leave(backend)
        self.start()
        return True

    def _ask_again(self, upstream: UpstreamConnection, backend: Backend) -> bool:
        """A kept connection that ends without one byte was closed before the request reached the engine."""
        if upstream.answered or not upstream.reused or self._refreshed or self._attempts >= MOST_ATTEMPTS:
            return False
        self._refreshed = True
        self._target = self._worker.current(self._target)
        if backend not in self._target.ready:
            return self._try_elsewhere(backend, "stale_connection", paid=False)
        self._worker.metrics.retries[self._target.name, "stale_connection"] += 1
        self._leave(backend)
        self._hold(backend)
        self._worker.connect(backend, self)
        return True

    def _hold(self, backend: Backend) -> None:
        self._backend = backend
        backend.in_flight += 1
        self._attempts += 1
        if backend.health is not HEALTHY:
            backend.health = backend.health.probing(perf_counter())

    def _leave(self, backend: Backend) -> None:
        upstream, self._upstream = self._upstream, None
        self._backend = None
        backend.in_flight -= 1
        if upstream is not None:
            upstream.abandon()

    def _break(self, upstream: UpstreamConnection, problem: Problem, message: str) -> None:
        """Mid-answer: an event that tells, where one fits, and never a proper end of the message."""
        response = self._response
        if response is not None and response.event_stream and upstream.at_event_end():
            event = errors.stream_event(problem, message, self._rule.dialect, self._request_id.decode())
            self._client.write(event if self._head.legacy else b"%x\r\n%b\r\n" % (len(event), event))
        self._end(problem)
        self._client.finished(keep=False)

    def _end(self, problem: Problem | None) -> None:
        self._release()
        route = self._worker.metrics.routes[self._target.name, self._rule.path]
        response = self._response
        if problem is None:
            assert response is not None
            since = self._received_at
            route.answered(response.status, perf_counter() - since, self._first_byte_at - since, self._sent_at - since)
        else:
            route.requests[response.status if response else problem.status, problem.code or ""] += 1

    def _release(self) -> None:
        self._over = True
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.in_flight -= 1
