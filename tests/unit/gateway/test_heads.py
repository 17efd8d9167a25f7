"""What an engine gets to see of a client's head, and a client of an engine's."""

import pytest

from inferry.gateway.heads import CHUNKED, Header, RequestHead, judge, request_for_engine
from inferry.gateway.limits import Limits
from inferry.gateway.responses import BadResponse, Framing, read_response_head

CHAT = b"/v1/chat/completions"
HOST = (b"Host", b"gateway")
LENGTH = (b"Content-Length", b"2")
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def judged(*headers: Header, target: bytes = CHAT, method: bytes = b"POST", version: str = "1.1") -> RequestHead:
    return judge(method, target, version, [HOST, LENGTH, *headers], keep_alive=True, limits=Limits())


@pytest.mark.parametrize(
    ("header", "forwarded"),
    [
        pytest.param((b"Accept", b"text/event-stream"), b"accept: text/event-stream\r\n", id="accept"),
        pytest.param((b"traceparent", TRACE), b"traceparent: " + TRACE + b"\r\n", id="a valid trace"),
        pytest.param((b"traceparent", b"00-xyz"), b"", id="a malformed trace"),
        pytest.param((b"tracestate", b"a=b"), b"", id="trace state without a trace"),
        pytest.param((b"Accept", b"\xff"), b"", id="bytes beyond ASCII"),
        pytest.param((b"Authorization", b"Bearer key"), b"", id="the client's key"),
        pytest.param((b"x-api-key", b"key"), b"", id="the other client's key"),
        pytest.param((b"Cookie", b"a=b"), b"", id="cookies"),
        pytest.param((b"X-Forwarded-For", b"1.2.3.4"), b"", id="forwarding"),
        pytest.param((b"x-gateway-destination-endpoint", b"10.0.0.1:80"), b"", id="a wish for an address"),
        pytest.param((b"x-data-parallel-rank", b"3"), b"", id="a wish for a rank"),
        pytest.param((b"Proxy-Connection", b"keep-alive"), b"", id="hop by hop"),
        pytest.param((b"Accept-Encoding", b"gzip"), b"", id="compression"),
    ],
)
def test_only_what_is_allow_listed_reaches_the_engine(header: Header, forwarded: bytes) -> None:
    assert judged(header).forward == b"content-type: application/json\r\n" + forwarded


def test_what_connection_names_is_not_forwarded() -> None:
    head = judged((b"Connection", b"close, Accept"), (b"Accept", b"a/b"), (b"Content-Type", b"c/d"))
    assert head.forward == b"content-type: c/d\r\n"


def test_lists_in_several_lines_are_one_list() -> None:
    assert b"accept: a/b, c/d\r\n" in judged((b"Accept", b"a/b"), (b"accept", b"c/d")).forward


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"abc-1_2.3:4", b"abc-1_2.3:4"),
        (b"a" * 128, b"a" * 128),
        (b"a" * 129, b""),
        (b"", b""),
        (b"a b", b""),
        (b'a"b', b""),
        (b"\xc3\xa9", b""),
    ],
)
def test_a_request_id_is_kept_when_it_is_harmless(given: bytes, kept: bytes) -> None:
    assert judged((b"X-Request-Id", given)).request_id == kept


@pytest.mark.parametrize(
    ("method", "target", "path"),
    [
        (b"POST", b"/v1/embeddings", "/v1/embeddings"),
        (b"POST", b"/v1/embeddings?api-version=1", "/v1/embeddings"),
        (b"GET", b"/v1/embeddings", None),
        (b"POST", b"/v1/embeddings/", None),
        (b"POST", b"/V1/embeddings", None),
        (b"POST", b"/v1%2Fembeddings", None),
        (b"POST", b"/x/../v1/embeddings", None),
        (b"POST", b"/v1/load_lora_adapter", None),
        (b"POST", b"/sleep", None),
        (b"POST", b"/cors-proxy", None),
        (b"POST", b"/slots", None),
    ],
)
def test_a_route_is_an_exact_path(method: bytes, target: bytes, path: str | None) -> None:
    headers = [HOST] if method == b"GET" else [HOST, LENGTH]
    rule = judge(method, target, "1.1", headers, keep_alive=True, limits=Limits()).rule
    assert (rule.path if rule else None) == path


def test_http_1_0_is_never_kept_alive() -> None:
    head = judged(version="1.0")
    assert (head.legacy, head.keep_alive) == (True, False)


def test_a_chunked_body_has_no_length_beforehand() -> None:
    headers = [HOST, (b"Transfer-Encoding", b"chunked")]
    assert judge(b"POST", CHAT, "1.1", headers, keep_alive=True, limits=Limits()).length == CHUNKED


def test_the_engine_s_head_has_one_host_and_one_length() -> None:
    built = request_for_engine("/v1/embeddings", b"10.0.0.1:8000", judged(), 2, b"id")
    assert built == (
        b"POST /v1/embeddings HTTP/1.1\r\nhost: 10.0.0.1:8000\r\ncontent-type: application/json\r\n"
        b"content-length: 2\r\nx-request-id: id\r\n\r\n"
    )


def response(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join((status, *lines)) + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "framing", "length", "reusable"),
    [
        (response(b"Content-Length: 5"), Framing.LENGTH, 5, True),
        (response(b"Content-Length: 5", b"Connection: close"), Framing.LENGTH, 5, False),
        (response(b"Transfer-Encoding: chunked"), Framing.CHUNKED, 0, True),
        (response(), Framing.CLOSE, 0, False),
        (response(status=b"HTTP/1.0 200 OK"), Framing.CLOSE, 0, False),
        (response(b"Content-Length: 5", status=b"HTTP/1.0 200 OK"), Framing.LENGTH, 5, False),
        (response(status=b"HTTP/1.1 204 No Content"), Framing.NONE, 0, True),
        (response(b"Content-Length: 3", status=b"HTTP/1.1 204 No Content"), Framing.NONE, 0, False),
        (response(status=b"HTTP/1.1 100 Continue"), Framing.NONE, 0, True),
    ],
)
def test_how_an_answer_ends(raw: bytes, framing: Framing, length: int, reusable: bool) -> None:
    head = read_response_head(raw)
    assert (head.framing, head.length, head.reusable) == (framing, length, reusable)


@pytest.mark.parametrize(
    "raw",
    [
        response(status=b"HTTP/1.1 99 Low"),
        response(status=b"HTTP/2.0 200 OK"),
        response(status=b"ICY 200 OK"),
        response(b"Transfer-Encoding: gzip, chunked"),
        response(b"Transfer-Encoding: chunked", status=b"HTTP/1.0 200 OK"),
        response(b"Content-Length: 5", b"Content-Length: 5"),
        response(b"Content-Length: -5"),
        response(b"a b: c"),
        b"HTTP/1.1 200 OK\r\na: b\n\r\n",
    ],
)
def test_an_answer_that_could_be_read_in_two_ways_is_none(raw: bytes) -> None:
    with pytest.raises(BadResponse):
        read_response_head(raw)


def test_only_what_is_allow_listed_reaches_the_client() -> None:
    raw = response(
        b"Content-Type: application/json",
        b"Server: llama.cpp",
        b"Set-Cookie: a=b",
        b"X-RateLimit-Remaining-Tokens: 5",
        b"Retry-After: 3",
        b"Keep-Alive: timeout=5, max=100",
        b"endpoint-load-metrics: x",
        b"target-pod: 10.0.0.1",
        b"Content-Length: 5",
        status=b"HTTP/1.1 429 Whatever",
    )
    assert read_response_head(raw).lines == (
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n"
        b"x-ratelimit-remaining-tokens: 5\r\nretry-after: 3\r\ncontent-length: 5\r\n"
    )


def test_an_event_stream_is_not_to_be_collected_on_its_way() -> None:
    head = read_response_head(response(b"Content-Type: text/event-stream; charset=utf-8"))
    assert head.event_stream
    assert b"cache-control: no-cache\r\nx-accel-buffering: no\r\n" in head.lines


@pytest.mark.parametrize(
    ("raw", "modern", "legacy"),
    [
        (response(b"Content-Length: 5"), b"content-length: 5\r\n", b"content-length: 5\r\n"),
        (response(b"Transfer-Encoding: chunked"), b"transfer-encoding: chunked\r\n", b""),
        (response(), b"transfer-encoding: chunked\r\n", b""),
        (response(status=b"HTTP/1.1 204 No Content"), b"", b""),
    ],
)
def test_how_the_client_sees_the_end(raw: bytes, modern: bytes, legacy: bytes) -> None:
    head = read_response_head(raw)
    _, end_of_status, lines = head.lines.partition(b"\r\n")
    assert (end_of_status, lines) == (b"\r\n", modern)
    assert head.legacy_lines.partition(b"\r\n")[2] == legacy


def test_the_engine_s_own_patience_is_learned() -> None:
    assert read_response_head(response(b"Keep-Alive: timeout=5, max=100")).idle_seconds == 4
    assert read_response_head(response(b"Keep-Alive: max=100")).idle_seconds is None
