"""What two HTTP implementations could understand differently is refused before an engine sees a byte of it."""

import asyncio

import pytest

from inferry.gateway.limits import KIB, Limits
from support.wire import Wire, turns

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\n"
HOST = b"host: gateway\r\n"
BODY = b'{"model":"m"}'
LENGTH = b"content-length: 13\r\n"
END = b"\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNKS = b"d\r\n" + BODY + b"\r\n0\r\n\r\n"
LIMITS = Limits(body_bytes=64 * KIB)


def case(name: str, status: int, *parts: bytes) -> object:
    return pytest.param(b"".join(parts), status, id=name)


REFUSED = [
    # Two ways to say where the body ends.
    case("content-length and chunked", 400, CHAT, HOST, LENGTH, CHUNKED, END, CHUNKS),
    case("chunked and content-length", 400, CHAT, HOST, CHUNKED, LENGTH, END, CHUNKS),
    case("two different content-lengths", 400, CHAT, HOST, LENGTH, b"content-length: 5\r\n", END, BODY),
    case("two equal content-lengths", 400, CHAT, HOST, LENGTH, LENGTH, END, BODY),
    case("a list of content-lengths", 400, CHAT, HOST, b"content-length: 13, 13\r\n", END, BODY),
    case("a signed content-length", 400, CHAT, HOST, b"content-length: +13\r\n", END, BODY),
    case("a negative content-length", 400, CHAT, HOST, b"content-length: -1\r\n", END),
    case("a hexadecimal content-length", 400, CHAT, HOST, b"content-length: 0xd\r\n", END, BODY),
    case("an underscored content-length", 400, CHAT, HOST, b"content-length: 1_3\r\n", END, BODY),
    case("an empty content-length", 400, CHAT, HOST, b"content-length: \r\n", END, BODY),
    case("an overflowing content-length", 400, CHAT, HOST, b"content-length: 18446744073709551617\r\n", END, BODY),
    # Transfer encodings.
    case("identity", 400, CHAT, HOST, b"transfer-encoding: identity\r\n", END, BODY),
    case("gzip then chunked", 400, CHAT, HOST, b"transfer-encoding: gzip, chunked\r\n", END, CHUNKS),
    case("chunked twice in one header", 400, CHAT, HOST, b"transfer-encoding: chunked, chunked\r\n", END, CHUNKS),
    case("chunked twice in two headers", 400, CHAT, HOST, CHUNKED, CHUNKED, END, CHUNKS),
    case("chunked then identity", 400, CHAT, HOST, b"transfer-encoding: chunked, identity\r\n", END, CHUNKS),
    case("xchunked", 400, CHAT, HOST, b"transfer-encoding: xchunked\r\n", END, CHUNKS),
    case("quoted chunked", 400, CHAT, HOST, b'transfer-encoding: "chunked"\r\n', END, CHUNKS),
    case("chunked with a parameter", 400, CHAT, HOST, b"transfer-encoding: chunked;a=b\r\n", END, CHUNKS),
    case("chunked in HTTP/1.0", 400, b"POST /v1/chat/completions HTTP/1.0\r\n", CHUNKED, END, CHUNKS),
    case("chunk extension", 400, CHAT, HOST, CHUNKED, END, b"d;x=y\r\n", BODY, b"\r\n0\r\n\r\n"),
    case("chunk size with a sign", 400, CHAT, HOST, CHUNKED, END, b"+d\r\n", BODY, b"\r\n0\r\n\r\n"),
    case("chunk size with a prefix", 400, CHAT, HOST, CHUNKED, END, b"0xd\r\n", BODY, b"\r\n0\r\n\r\n"),
    case("chunk without its line end", 400, CHAT, HOST, CHUNKED, END, b"d\r\n", BODY, b"0\r\n\r\n"),
    case("chunk line ended by LF", 400, CHAT, HOST, CHUNKED, END, b"d\n", BODY, b"\r\n0\r\n\r\n"),
    case("chunk size beyond 64 bits", 400, CHAT, HOST, CHUNKED, END, b"fffffffffffffffff\r\n"),
    case("content-length as a trailer", 400, CHAT, HOST, CHUNKED, END, CHUNKS[:-2], b"content-length: 3\r\n\r\n"),
    # Lines and names.
    case("space before the colon", 400, CHAT, b"host : gateway\r\n", LENGTH, END, BODY),
    case("folded header", 400, CHAT, HOST, b"a: b\r\n c\r\n", LENGTH, END, BODY),
    case("leading space before the first header", 400, CHAT, b" host: gateway\r\n", LENGTH, END, BODY),
    case("bare LF ends a header", 400, CHAT, b"host: gateway\n", LENGTH, END, BODY),
    case("bare CR in a value", 400, CHAT, HOST, b"a: b\rc\r\n", LENGTH, END, BODY),
    case("NUL in a value", 400, CHAT, HOST, b"a: b\0c\r\n", LENGTH, END, BODY),
    case("control byte in a name", 400, CHAT, HOST, b"a\x01: b\r\n", LENGTH, END, BODY),
    case("empty header name", 400, CHAT, HOST, b": b\r\n", LENGTH, END, BODY),
    case("line without a colon", 400, CHAT, HOST, b"hello\r\n", LENGTH, END, BODY),
    # Request lines.
    case("lower case method", 400, b"post /v1/chat/completions HTTP/1.1\r\n", HOST, LENGTH, END, BODY),
    case("unknown method", 400, b"FETCH /v1/models HTTP/1.1\r\n", HOST, END),
    case("HTTP/0.9", 400, b"GET /v1/models\r\n", END),
    case("HTTP/1.2", 400, b"GET /v1/models HTTP/1.2\r\n", HOST, END),
    case("HTTP/2.0 in a request line", 400, b"GET /v1/models HTTP/2.0\r\n", HOST, END),
    case("HTTP/2 preface", 400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    case("absolute form", 400, b"GET http://other/v1/models HTTP/1.1\r\n", HOST, END),
    case("asterisk form", 400, b"OPTIONS * HTTP/1.1\r\n", HOST, END),
    case("fragment", 400, b"GET /v1/models#x HTTP/1.1\r\n", HOST, END),
    case("two slashes first", 400, b"GET //other/v1/models HTTP/1.1\r\n", HOST, END),
    case("tab in the target", 400, b"GET /v1\t/models HTTP/1.1\r\n", HOST, END),
    case("byte beyond ASCII in the target", 400, b"GET /v1/\xff HTTP/1.1\r\n", HOST, END),
    case("connect", 405, b"CONNECT other:443 HTTP/1.1\r\n", HOST, END),
    case("TLS on a plain port", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    # Hosts, upgrades, expectations, bodies where there are none.
    case("no host", 400, CHAT, LENGTH, END, BODY),
    case("two hosts", 400, CHAT, HOST, HOST, LENGTH, END, BODY),
    case("two content types", 400, CHAT, HOST, b"content-type: a/b\r\ncontent-type: c/d\r\n", LENGTH, END, BODY),
    case("websocket", 400, b"GET /v1/models HTTP/1.1\r\n", HOST, b"connection: upgrade\r\nupgrade: websocket\r\n\r\n"),
    case("upgrade with a body", 400, CHAT, HOST, b"connection: upgrade\r\nupgrade: x\r\n", LENGTH, END, BODY),
    case("h2c upgrade", 400, CHAT, HOST, b"connection: upgrade\r\nupgrade: h2c\r\n", LENGTH, END, BODY),
    case("get with a body", 400, b"GET /v1/models HTTP/1.1\r\n", HOST, LENGTH, END, BODY),
    case("delete with a chunked body", 400, b"DELETE /v1/models/m HTTP/1.1\r\n", HOST, CHUNKED, END, CHUNKS),
    case("unknown expectation", 417, CHAT, HOST, b"expect: 200-ok\r\n", LENGTH, END, BODY),
    case("compressed body", 415, CHAT, HOST, b"content-encoding: gzip\r\n", LENGTH, END, BODY),
    # Sizes.
    case("endless header", 431, CHAT, HOST, b"a: " + b"b" * 70 * KIB, END, END),
    case("too many headers", 431, CHAT, HOST, b"a: b\r\n" * 200, LENGTH, END, BODY),
    case("endless line breaks before the request", 431, b"\r\n" * 40 * KIB),
    case("long target", 414, b"GET /" + b"a" * 9 * KIB + b" HTTP/1.1\r\n", HOST, END),
    case("announced body too large", 413, CHAT, HOST, b"content-length: 65537\r\n", END),
    case("body of absurd length", 413, CHAT, HOST, b"content-length: 9999999999999999\r\n", END),
    case("chunked body too large", 413, CHAT, HOST, CHUNKED, END, b"10001\r\n" + b"x" * 65537 + b"\r\n0\r\n\r\n"),
    case("chunks of one byte", 400, CHAT, HOST, CHUNKED, END, b"1\r\nx\r\n" * 8000),
]

ACCEPTED = [
    case("content-length", 0, CHAT, HOST, LENGTH, END, BODY),
    case("chunked", 0, CHAT, HOST, CHUNKED, END, CHUNKS),
    case("chunked in capitals", 0, CHAT, HOST, b"Transfer-Encoding: Chunked\r\n", END, CHUNKS),
    case(
        "chunked in several chunks",
        0,
        CHAT,
        HOST,
        CHUNKED,
        END,
        b"3\r\n",
        BODY[:3],
        b"\r\nA\r\n",
        BODY[3:],
        END,
        b"0\r\n\r\n",
    ),
    case("a harmless trailer", 0, CHAT, HOST, CHUNKED, END, CHUNKS[:-2], b"x-checksum: 3\r\n\r\n"),
    case("HTTP/1.0", 0, b"POST /v1/chat/completions HTTP/1.0\r\n", LENGTH, END, BODY),
    case("line breaks before the request", 0, b"\r\n\r\n", CHAT, HOST, LENGTH, END, BODY),
    case("leading zeros in the length", 0, CHAT, HOST, b"content-length: 0013\r\n", END, BODY),
    case("blanks around the length", 0, CHAT, HOST, b"content-length:   13  \r\n", END, BODY),
    case("a query", 0, b"POST /v1/chat/completions?api-version=1 HTTP/1.1\r\n", HOST, LENGTH, END, BODY),
    case("an underscored header name", 0, CHAT, HOST, b"content_length: 5\r\n", LENGTH, END, BODY),
    case("bytes beyond ASCII in a header that nobody reads", 0, CHAT, HOST, b"x: \xc3\xa9\r\n", LENGTH, END, BODY),
    case(
        "connection that names forwarded headers",
        0,
        CHAT,
        HOST,
        b"connection: accept\r\naccept: a/b\r\n",
        LENGTH,
        END,
        BODY,
    ),
    case("upgrade that nobody asked to act on", 0, CHAT, HOST, b"upgrade: h2c\r\n", LENGTH, END, BODY),
]


@pytest.mark.parametrize(("data", "status"), REFUSED)
@pytest.mark.parametrize("step", [0, 1], ids=["at once", "byte by byte"])
async def test_refused_with_a_status_and_a_close(data: bytes, status: int, step: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        wire = Wire(tasks, limits=LIMITS)
        client = wire.client()
        for piece in pieces(data, step):
            client.send(piece)
        await turns()
    assert client.received.startswith(b"HTTP/1.1 %d " % status)
    assert client.received.count(b"x-request-id: ") == 1
    assert b"connection: close\r\n" in client.received
    assert b'"error":{"message":' in client.received
    assert client.transport.ended
    assert not wire.engines
    assert not wire.worker.buffered_bytes


@pytest.mark.parametrize(("data", "_"), ACCEPTED)
@pytest.mark.parametrize("step", [0, 1], ids=["at once", "byte by byte"])
async def test_accepted_and_sent_on_in_one_plain_form(data: bytes, _: int, step: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        wire = Wire(tasks, limits=LIMITS)
        client = wire.client()
        for piece in pieces(data, step):
            client.send(piece)
        await turns()
        client.transport.lose()
    head, _blank, body = bytes(wire.engines[0].transport.written).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    names = [line.partition(b":")[0] for line in lines[1:]]
    assert lines[0] == b"POST /v1/chat/completions HTTP/1.1"
    assert body == BODY
    assert names in ([b"host", b"content-type", b"content-length", b"x-request-id"],)
    assert b"content-length: 13" in lines


def pieces(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)] if step else [data]
