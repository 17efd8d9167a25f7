"""One connection to an engine: a request goes out, the answer's bytes come back as the client can take them.

The answer's head is parsed once; after that bytes are only counted. A connection carries one request at a time and is
kept only when there is no doubt about its state.
"""

import asyncio
import logging
from enum import Enum
from typing import Protocol

from inferry.gateway.backend import Backend
from inferry.gateway.chunks import LAST_CHUNK, ChunkError, ChunkWalker
from inferry.gateway.deadlines import NEVER, Wheel, ticks
from inferry.gateway.limits import KIB, Limits
from inferry.gateway.responses import BadResponse, Framing, ResponseHead, read_response_head
from inferry.gateway.sockets import keep_watch

logger = logging.getLogger(__name__)

JOINED_BYTES = 64 * KIB
"""Up to here one copy is cheaper than a second entry in the write queue."""
LONGEST_LINE_END = 6
"""`CR LF CR LF` of an event and the `CR LF` of its chunk."""


class Loss(Enum):
    """Why an answer will not be completed."""

    DISCONNECTED = "upstream_disconnected"
    INVALID = "upstream_invalid_response"
    SILENT = "upstream_timeout"
    INTERNAL = "internal_error"


class Receiver(Protocol):
    """Who asked. Gets `on_head`, any number of `on_data`, then `on_complete`; or `on_lost` at any point, once.

    `on_head` may wait for what follows it; an `on_data` without bytes says that nothing does for now.
    """

    def on_head(self, head: ResponseHead) -> None: ...
    def on_data(self, data: bytes) -> None: ...
    def on_complete(self, data: bytes) -> None: ...
    def on_lost(self, loss: Loss) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    __slots__ = (
        "_closed",
        "_head",
        "_held",
        "_left",
        "_limits",
        "_paused",
        "_plain",
        "_receiver",
        "_silence_ticks",
        "_tail",
        "_transport",
        "_walker",
        "_wheel",
        "answered",
        "backend",
        "due",
        "filed",
        "requests",
    )

    def __init__(self, backend: Backend, wheel: Wheel, limits: Limits) -> None:
        self.backend = backend
        self.requests = 0
        self.answered = False
        """A byte of the current answer has arrived."""
        self.due = NEVER
        self.filed = NEVER
        self._wheel = wheel
        self._limits = limits
        # The one deadline that moves with every read is moved by hand.
        self._silence_ticks = ticks(limits.silence_seconds)
        self._transport: asyncio.Transport
        self._closed = False
        self._receiver: Receiver | None = None
        self._plain = False
        self._head: ResponseHead | None = None
        self._held = b""
        self._left = 0
        self._walker: ChunkWalker | None = None
        self._tail = b""
        self._paused = False

    @property
    def usable(self) -> bool:
        return not self._closed and not self._transport.is_closing()

    @property
    def reused(self) -> bool:
        """The engine may have closed it while it was idle."""
        return self.requests > 1

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it always is one
        self._transport = transport
        keep_watch(transport)

    def ask(self, receiver: Receiver, head: bytes, body: bytes, *, plain: bool) -> None:
        """Send a request. `plain`: the client takes no chunks, so the answer's payload is handed over bare."""
        self._receiver = receiver
        self._plain = plain
        self._head = None
        self._tail = b""
        self.answered = False
        self.requests += 1
        self._wheel.arm(self, self._limits.silence_seconds)
        if len(body) <= JOINED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    def abandon(self) -> None:
        """The answer is not wanted any more: the engine sees the close at once and stops generating."""
        self._receiver = None
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    def pause(self) -> None:
        if not self._paused and self.usable:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            if self.usable:
                self._transport.resume_reading()

    def at_event_end(self) -> bool:
        """What was handed over ends with a whole event, and another chunk may follow."""
        if self._head is None or self._head.framing not in (Framing.CHUNKED, Framing.CLOSE):
            return False
        if not self._tail:
            return True
        if self._walker is not None and not self._walker.between_chunks:
            return False
        ends = (b"\n\n", b"\r\n\r\n") if self._plain else (b"\n\n\r\n", b"\r\n\r\n\r\n")
        return self._tail.endswith(ends)

    def data_received(self, data: bytes) -> None:
        try:
            self.due = self._wheel.tick + self._silence_ticks
            self.answered = True
            while data:
                data = self._read(data)
        except (BadResponse, ChunkError) as error:
            logger.warning("bad response from an engine", extra={"endpoint": self.backend.id, "error": str(error)})
            self._lose(Loss.INVALID)
        except Exception:
            # Nothing above a protocol callback can answer the client; here it still can.
            logger.exception("relaying an answer failed", extra={"endpoint": self.backend.id})
            self._lose(Loss.INTERNAL)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._wheel.disarm(self)
        if self in self.backend.idle:
            self.backend.idle.remove(self)
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        if exc is None and self._head is not None and self._head.framing is Framing.CLOSE:
            receiver.on_complete(b"" if self._plain else LAST_CHUNK)
        else:
            receiver.on_lost(Loss.DISCONNECTED)

    def expired(self) -> None:
        if self._receiver is None:
            self.close()
        elif self._paused:
            # It is the client that does not read; the engine is not at fault.
            self._wheel.arm(self, self._limits.silence_seconds)
        else:
            self._lose(Loss.SILENT)

    def _lose(self, loss: Loss) -> None:
        receiver = self._receiver
        self.abandon()
        if receiver is not None:
            receiver.on_lost(loss)

    def _read(self, data: bytes) -> bytes:
        """What is left of `data`."""
        if self._receiver is None:
            # Bytes that nobody asked for: the connection's state is unknown.
            self.abandon()
            return b""
        if self._head is None:
            return self._read_head(data, self._receiver)
        if self._head.framing is Framing.CHUNKED:
            return self._read_chunks(data, self._receiver)
        if self._head.framing is Framing.LENGTH:
            return self._read_counted(data, self._receiver)
        return self._read_until_close(data, self._receiver)

    def _read_head(self, data: bytes, receiver: Receiver) -> bytes:
        if self._held:
            data, self._held = self._held + data, b""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(data) > self._limits.upstream_head_bytes:
                raise BadResponse("the head is too long")
            self._held = data
            return b""
        head = read_response_head(data[:end])
        rest = data[end:]
        if head.status >= 200:
            self._begin(head, receiver, surplus=bool(rest))
            if not rest and self._receiver is receiver:
                receiver.on_data(b"")
        return rest

    def _begin(self, head: ResponseHead, receiver: Receiver, *, surplus: bool) -> None:
        self._head = head
        self._left = head.length
        self._walker = ChunkWalker(collect=self._plain) if head.framing is Framing.CHUNKED else None
        receiver.on_head(head)
        # The receiver may have gone elsewhere on seeing the head.
        if self._receiver is receiver and not head.length and head.framing in (Framing.LENGTH, Framing.NONE):
            self._complete(b"", receiver, surplus=surplus)

    def _read_counted(self, data: bytes, receiver: Receiver) -> bytes:
        left = self._left - len(data)
        if left > 0:
            self._left = left
            receiver.on_data(data)
            return b""
        if left == 0:
            self._complete(data, receiver, surplus=False)
            return b""
        self._complete(data[:left], receiver, surplus=True)
        return data[left:]

    def _read_chunks(self, data: bytes, receiver: Receiver) -> bytes:
        walker = self._walker
        assert walker is not None
        piece = walker.feed(data)
        if self._plain:
            piece = walker.take_payload()
        if walker.done:
            self._complete(piece if self._plain else piece + LAST_CHUNK, receiver, surplus=bool(walker.surplus))
            return walker.surplus
        if piece:
            self._hand_over(piece, receiver)
        return b""

    def _read_until_close(self, data: bytes, receiver: Receiver) -> bytes:
        self._hand_over(data if self._plain else b"%x\r\n%b\r\n" % (len(data), data), receiver)
        return b""

    def _hand_over(self, piece: bytes, receiver: Receiver) -> None:
        long_enough = len(piece) >= LONGEST_LINE_END
        self._tail = piece[-LONGEST_LINE_END:] if long_enough else (self._tail + piece)[-LONGEST_LINE_END:]
        receiver.on_data(piece)

    def _complete(self, data: bytes, receiver: Receiver, *, surplus: bool) -> None:
        self._receiver = None
        self.due = NEVER
        if self._paused:
            self.resume()
        # Before the receiver learns of the end: its next request may want this connection.
        self._keep_or_close(surplus)
        receiver.on_complete(data)

    def _keep_or_close(self, surplus: bool) -> None:
        """Kept only when the head allowed it, the request is fully written and not a byte came too many."""
        head = self._head
        assert head is not None
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        elif head.reusable and not surplus and self.usable and self.backend.park(self):
            longest = self._limits.upstream_idle_seconds
            self._wheel.arm(self, longest if head.idle_seconds is None else min(longest, head.idle_seconds))
        else:
            self._transport.close()
