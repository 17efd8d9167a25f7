"""Request heads: what is let in, and what an engine gets to see of it. Pure.

The parser (llhttp) is strict about line ends and lengths, but accepts a good deal that a relay must not: see `judge`.
No byte of a client's head is forwarded as it came; the head for the engine is built from an allow-list.
"""

import re
from collections.abc import Sequence

import msgspec

from inferry.gateway import errors
from inferry.gateway.errors import Refusal
from inferry.gateway.limits import Limits
from inferry.gateway.routes import RULES, Rule

Header = tuple[bytes, bytes]

CHUNKED = -1
"""Length of a body that is not known beforehand."""

# Everything the gateway reads. A header that is not here has no effect and goes nowhere.
READ = frozenset(
    {
        b"accept",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"traceparent",
        b"tracestate",
        b"transfer-encoding",
        b"x-request-id",
    }
)
# May legally come in several lines; joined by a comma they mean the same.
LISTS = frozenset({b"accept", b"connection", b"tracestate"})
BODILESS_METHODS = frozenset({b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE"})

# Ids end up in logs and headers of others: no spaces, no quotes, bounded.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:\-]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_PLAIN_CONNECTION = frozenset({b"", b"keep-alive", b"close", b"Keep-Alive", b"Close"})


class RequestHead(msgspec.Struct, frozen=True):
    """What is left of a head once it is judged."""

    method: bytes
    target: bytes
    rule: Rule | None
    """None: not an inference request, the slow path answers."""
    legacy: bool
    """HTTP/1.0: no chunks, no keep-alive."""
    keep_alive: bool
    length: int
    """Bytes of body, or CHUNKED."""
    expects_continue: bool
    request_id: bytes
    """The client's, when it is a usable one; else empty."""
    forward: bytes
    """Header lines for the engine."""


def judge(
    method: bytes, target: bytes, version: str, headers: Sequence[Header], *, keep_alive: bool, limits: Limits
) -> RequestHead:
    """Let a parsed head in, or raise Refusal. `keep_alive` is what the parser makes of version and Connection."""
    if version not in ("1.1", "1.0"):
        raise Refusal(errors.BAD_FRAMING, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    if len(headers) > limits.headers:
        raise Refusal(errors.HEADER_TOO_LARGE, f"The request has more than {limits.headers} headers.")
    # A target that is a route needs no further look at its shape.
    rule = RULES.get(target) or RULES.get(_path(method, target, limits))
    if method != b"POST":
        rule = None
    seen = {name.lower(): value for name, value in headers}
    if len(seen) != len(headers):
        seen = _merged(headers)
    legacy = version == "1.0"
    if b"host" not in seen and not legacy:
        raise Refusal(errors.BAD_FRAMING, "HTTP/1.1 needs exactly one Host header.")
    length = _length(seen, legacy, limits)
    if length and method in BODILESS_METHODS:
        raise Refusal(errors.BAD_FRAMING, f"A {method.decode()} request has no body here.")
    expects = b"expect" in seen and _expects_continue(seen[b"expect"], rule)
    if b"content-encoding" in seen and rule is not None and seen[b"content-encoding"].lower() != b"identity":
        raise Refusal(errors.CONTENT_ENCODING, "Request bodies are not decompressed here; send it without encoding.")
    return RequestHead(
        method=method,
        target=target,
        rule=rule,
        legacy=legacy,
        keep_alive=keep_alive and not legacy,
        length=length,
        expects_continue=expects,
        request_id=_request_id(seen[b"x-request-id"]) if b"x-request-id" in seen else b"",
        forward=_forward(seen) if rule is not None else b"",
    )


def _path(method: bytes, target: bytes, limits: Limits) -> bytes:
    if method == b"CONNECT":
        raise Refusal(errors.TUNNEL, "This is not a forward proxy.", (("allow", "GET, POST"),))
    if len(target) > limits.target_bytes:
        raise Refusal(errors.TARGET_TOO_LONG, f"The URL is longer than {limits.target_bytes} bytes.")
    if not target.startswith(b"/") or target.startswith(b"//") or b"#" in target:
        raise Refusal(errors.BAD_FRAMING, "The request target must be a path.")
    return target.partition(b"?")[0]


def _merged(headers: Sequence[Header]) -> dict[bytes, bytes]:
    """Headers of which some come twice: lists are joined, of what nobody reads the last one stays."""
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        lower = name.lower()
        seen[lower] = _joined(lower, seen[lower], value) if lower in seen and lower in READ else value
    return seen


def _joined(name: bytes, first: bytes, second: bytes) -> bytes:
    if name not in LISTS:
        raise Refusal(errors.BAD_FRAMING, f"The header {name.decode()} is there twice.")
    return first + b", " + second


def _length(seen: dict[bytes, bytes], legacy: bool, limits: Limits) -> int:
    coding = seen.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked" or legacy or b"content-length" in seen:
            raise Refusal(errors.BAD_FRAMING, "The only transfer encoding is `chunked`, alone and in HTTP/1.1.")
        return CHUNKED
    stated = seen.get(b"content-length", b"0").strip(b" \t")
    if not stated.isdigit():
        raise Refusal(errors.BAD_FRAMING, "Content-Length is not a number.")
    # A length of thousands of digits would cost time to convert and cannot be meant.
    length = int(stated) if len(stated) <= 19 else limits.body_bytes + 1
    if length > limits.body_bytes:
        raise Refusal(errors.BODY_TOO_LARGE, f"The body is larger than {limits.body_bytes} bytes.")
    return length


def _expects_continue(expectation: bytes, rule: Rule | None) -> bool:
    if expectation.lower() != b"100-continue":
        raise Refusal(errors.EXPECTATION_FAILED, "The only expectation met here is 100-continue.")
    if rule is None:
        # Saying no before the body is what the client asked for.
        raise Refusal(errors.EXPECTATION_FAILED, "No body is taken on this path.")
    return True


def _request_id(given: bytes) -> bytes:
    return given if _REQUEST_ID.fullmatch(given) else b""


def _forward(seen: dict[bytes, bytes]) -> bytes:
    """Lines for the engine: never Connection-listed ones, never bytes beyond ASCII, never a malformed trace."""
    connection = seen.get(b"connection", b"")
    if connection not in _PLAIN_CONNECTION:
        for token in connection.lower().split(b","):
            seen.pop(token.strip(), None)
    content_type = seen.get(b"content-type", b"application/json")
    lines = b"content-type: %b\r\n" % (content_type if content_type.isascii() else b"application/json")
    accept = seen.get(b"accept")
    if accept is not None and accept.isascii():
        lines += b"accept: %b\r\n" % accept
    parent = seen.get(b"traceparent")
    return lines + _trace(parent, seen.get(b"tracestate", b"")) if parent is not None else lines


def _trace(parent: bytes, state: bytes) -> bytes:
    if not _TRACEPARENT.fullmatch(parent):
        return b""
    lines = b"traceparent: %b\r\n" % parent
    # 512 characters is what the W3C recommendation asks every hop to carry at least.
    return lines + b"tracestate: %b\r\n" % state if state and state.isascii() and len(state) <= 512 else lines


def request_for_engine(path: str, authority: bytes, head: RequestHead, length: int, request_id: bytes) -> bytes:
    """The head an engine gets: one Host, one Content-Length, no transfer encoding."""
    return b"POST %b HTTP/1.1\r\nhost: %b\r\n%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n" % (
        path.encode(),
        authority,
        head.forward,
        length,
        request_id,
    )
