"""Response heads: read from an engine strictly, rebuilt for the client from an allow-list. Pure."""

import re
from enum import Enum
from functools import lru_cache

import httptools
import msgspec

from inferry.gateway.errors import status_line

RELAYED = frozenset(
    {
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-type",
        b"openai-processing-ms",
        b"openai-version",
        b"retry-after",
        b"retry-after-ms",
    }
)
RELAYED_PREFIX = b"x-ratelimit-"
# Enough for the few heads an engine alternates between; those of streams hardly ever differ.
CACHED_HEADS = 256
CACHED_HEAD_BYTES = 1024

_KEEP_ALIVE_TIMEOUT = re.compile(rb"timeout\s*=\s*(\d{1,6})")


class BadResponse(ValueError):
    """The engine's bytes are not a response that can be relayed."""


class Framing(Enum):
    """How the end of an answer is recognised."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class ResponseHead(msgspec.Struct, frozen=True):
    status: int
    framing: Framing
    length: int
    reusable: bool
    """The connection may carry another request afterwards."""
    idle_seconds: float | None
    """How long to keep the connection idle: a second less than the engine says it will, when it says so."""
    event_stream: bool
    lines: bytes
    """Status line, relayed headers, and how the end is recognised."""
    legacy_lines: bytes
    """The same for an HTTP/1.0 client, who gets what is not counted until the close."""


def read_response_head(raw: bytes) -> ResponseHead:
    """`raw` ends with the blank line. Raises BadResponse."""
    return _read_cached(raw) if len(raw) <= CACHED_HEAD_BYTES else _read(raw)


class _Collector:
    """What the parser calls."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.complete = True


def _read(raw: bytes) -> ResponseHead:
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise BadResponse(f"not an HTTP response: {error}") from error
    version = parser.get_http_version()
    if not collector.complete or version not in ("1.1", "1.0"):
        raise BadResponse("not an HTTP/1 response head")
    return _described(parser.get_status_code(), version == "1.0", collector.headers)


_read_cached = lru_cache(maxsize=CACHED_HEADS)(_read)


def _described(status: int, legacy: bool, headers: list[tuple[bytes, bytes]]) -> ResponseHead:
    if not 100 <= status <= 599 or status == 101:
        raise BadResponse(f"status {status}")
    first: dict[bytes, bytes] = {}
    for name, value in headers:
        first.setdefault(name, value)
    framing, length = _framing(status, legacy, headers, first)
    connection = first.get(b"connection", b"").lower()
    lasting = not legacy and b"close" not in connection and framing is not Framing.CLOSE
    content_type = first.get(b"content-type", b"").lower()
    lines = status_line(status) + _relayed(headers, content_type.startswith(b"text/event-stream"))
    return ResponseHead(
        status=status,
        framing=framing,
        length=length,
        # A 204 or 304 with a length leaves it open whether bytes follow.
        reusable=lasting and not (framing is Framing.NONE and first.get(b"content-length", b"0") != b"0"),
        idle_seconds=_idle_seconds(first.get(b"keep-alive", b"")),
        event_stream=content_type.startswith(b"text/event-stream"),
        lines=lines + _framing_line(framing, length, legacy_client=False),
        legacy_lines=lines + _framing_line(framing, length, legacy_client=True),
    )


def _framing(
    status: int, legacy: bool, headers: list[tuple[bytes, bytes]], first: dict[bytes, bytes]
) -> tuple[Framing, int]:
    if status < 200 or status in (204, 304):
        return Framing.NONE, 0
    codings = [value.lower().strip() for name, value in headers if name == b"transfer-encoding"]
    if codings:
        if codings != [b"chunked"] or legacy:
            raise BadResponse("a transfer encoding other than `chunked`")
        return Framing.CHUNKED, 0
    if b"content-length" in first:
        stated = first[b"content-length"].strip(b" \t")
        if not stated.isdigit() or len(stated) > 19:
            raise BadResponse("a content length that is not a number")
        return Framing.LENGTH, int(stated)
    return Framing.CLOSE, 0


def _idle_seconds(keep_alive: bytes) -> float | None:
    stated = _KEEP_ALIVE_TIMEOUT.search(keep_alive.lower())
    # A second less, so that a request does not cross the engine's close.
    return max(0.1, float(stated[1]) - 1) if stated else None


def _relayed(headers: list[tuple[bytes, bytes]], event_stream: bool) -> bytes:
    lines = [
        b"%b: %b\r\n" % (name, value)
        for name, value in headers
        if (name in RELAYED or name.startswith(RELAYED_PREFIX)) and value.isascii()
    ]
    if event_stream:
        # Proxies in front must not collect events; those that would are told in both dialects.
        if not any(name == b"cache-control" for name, _ in headers):
            lines.append(b"cache-control: no-cache\r\n")
        lines.append(b"x-accel-buffering: no\r\n")
    return b"".join(lines)


def _framing_line(framing: Framing, length: int, *, legacy_client: bool) -> bytes:
    if framing is Framing.LENGTH:
        return b"content-length: %d\r\n" % length
    if framing is Framing.NONE or legacy_client:
        return b""
    return b"transfer-encoding: chunked\r\n"
