"""What the gateway itself answers when it does not relay: one table, three dialects."""

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

import msgspec

INVALID = "invalid_request_error"
UNAVAILABLE = "service_unavailable"
SERVER = "server_error"

PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Dialect(Enum):
    """Whose error shape the clients of a route parse."""

    OPENAI = "openai"
    RESPONSES = "responses"
    ANTHROPIC = "anthropic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One row of the table. 429 is the client's limit, 503 our capacity."""

    status: int
    type: str
    code: str | None
    param: str | None = None
    should_retry: bool | None = None
    """Sent as `x-should-retry`, which overrides the SDKs' own rule; None leaves it to them."""
    closes: bool = False
    """The connection cannot be trusted, or is not wanted, after this."""


UNKNOWN_MODEL = Problem(status=404, type=INVALID, code="model_not_found", param="model", should_retry=False)
UNKNOWN_URL = Problem(status=404, type=INVALID, code="unknown_url")
METHOD_NOT_SUPPORTED = Problem(status=405, type=INVALID, code="method_not_supported")
ENDPOINT_NOT_SUPPORTED = Problem(status=404, type=INVALID, code="endpoint_not_supported_by_model", should_retry=False)
BAD_BODY = Problem(status=400, type=INVALID, code=None)
BAD_MODEL = Problem(status=400, type=INVALID, code=None, param="model")
BAD_FRAMING = Problem(status=400, type=INVALID, code="bad_request_framing", closes=True)
EXPECTATION_FAILED = Problem(status=417, type=INVALID, code="expectation_failed", closes=True)
CONTENT_ENCODING = Problem(status=415, type=INVALID, code="unsupported_content_encoding", closes=True)
TUNNEL = Problem(status=405, type=INVALID, code="method_not_supported", closes=True)
HEADER_TOO_LARGE = Problem(status=431, type=INVALID, code="header_too_large", closes=True)
TARGET_TOO_LONG = Problem(status=414, type=INVALID, code="url_too_long", closes=True)
BODY_TOO_LARGE = Problem(status=413, type=INVALID, code="request_too_large", closes=True)
SLOW_CLIENT = Problem(status=408, type=INVALID, code="request_timeout", should_retry=True, closes=True)
OVERLOADED = Problem(status=503, type=UNAVAILABLE, code="overloaded", should_retry=True, closes=True)
MODEL_STARTING = Problem(status=503, type=UNAVAILABLE, code="model_starting")
MODEL_STOPPED = Problem(status=503, type=UNAVAILABLE, code="model_stopped", should_retry=False)
NO_ENDPOINTS = Problem(status=503, type=UNAVAILABLE, code="no_endpoints")
NOT_CONFIGURED = Problem(status=503, type=UNAVAILABLE, code="no_snapshot")
DRAINING = Problem(status=503, type=UNAVAILABLE, code="draining", should_retry=True, closes=True)
UPSTREAM_UNREACHABLE = Problem(status=502, type=SERVER, code="upstream_unreachable", should_retry=True)
# The engine may have run the request already: a retry could generate twice.
UPSTREAM_DISCONNECTED = Problem(status=502, type=SERVER, code="upstream_disconnected", should_retry=False)
UPSTREAM_INVALID = Problem(status=502, type=SERVER, code="upstream_invalid_response", should_retry=False)
UPSTREAM_TIMEOUT = Problem(status=504, type=SERVER, code="upstream_timeout", should_retry=False)
INTERNAL = Problem(status=500, type=SERVER, code="internal_error", closes=True)

ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "request_too_large",
    503: "overloaded_error",
}
"""Status -> type in Anthropic's error objects; every other one is `api_error`."""


class Refusal(Exception):
    """A request that gets one of the problems instead of an answer."""

    def __init__(self, problem: Problem, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.problem = problem
        self.message = message
        self.headers = headers


def status_line(status: int) -> bytes:
    """`HTTP/1.1 404 Not Found`; a status without a registered phrase has an empty one."""
    return b"HTTP/1.1 %d %b\r\n" % (status, PHRASES.get(status, "").encode())


def error_object(problem: Problem, message: str, dialect: Dialect, request_id: str) -> dict[str, object]:
    """The JSON body of `problem`. The OpenAI shape always has all four keys."""
    if dialect is Dialect.ANTHROPIC:
        error = {"type": ANTHROPIC_TYPES.get(problem.status, "api_error"), "message": message}
        return {"type": "error", "error": error, "request_id": request_id}
    fields = {"message": message, "type": problem.type, "param": problem.param, "code": problem.code}
    return {"error": fields}


def render(refusal: Refusal, dialect: Dialect, request_id: str, extra: bytes, close: bool) -> bytes:
    """The whole response. `extra` are header lines every answer carries, each with its line end."""
    problem = refusal.problem
    body = msgspec.json.encode(error_object(problem, refusal.message, dialect, request_id))
    lines = [f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id}\r\n"]
    if dialect is Dialect.ANTHROPIC:
        lines.append(f"request-id: {request_id}\r\n")
    if problem.should_retry is not None:
        lines.append(f"x-should-retry: {str(problem.should_retry).lower()}\r\n")
    lines += [f"{name}: {value}\r\n" for name, value in refusal.headers]
    if close:
        lines.append("connection: close\r\n")
    return b"".join((status_line(problem.status), "".join(lines).encode("latin-1"), extra, b"\r\n", body))


def stream_event(problem: Problem, message: str, dialect: Dialect, request_id: str) -> bytes:
    """The last event of a stream that broke: what each SDK raises as an API error."""
    if dialect is Dialect.RESPONSES:
        fields = {"type": "error", "code": problem.code, "message": message, "param": problem.param}
        return b"event: error\ndata: " + msgspec.json.encode(fields) + b"\n\n"
    data = msgspec.json.encode(error_object(problem, message, dialect, request_id))
    return (b"event: error\n" if dialect is Dialect.ANTHROPIC else b"") + b"data: " + data + b"\n\n"
