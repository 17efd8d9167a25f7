"""Through a real gateway process: what the client sent reaches the engine, what the engine sent reaches the client."""

import asyncio
from pathlib import Path

from support.fake_engine import Call, FakeEngine, chat_event, echo
from support.gateway import Gateway, endpoint, request, served

CHAT = "/v1/chat/completions"
BODY = b'{"model": "m", "messages": []}'


async def test_body_and_answer_pass_byte_for_byte(tmp_path: Path) -> None:
    body = b'{ "model" : "m",\n "x": "\\u00e9\\ud83d\\ude00", "n": 1e5, "model":"m" }'
    async with FakeEngine(echo) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        answer = await gateway.ask(CHAT, body)
    assert (answer.status, answer.body) == (200, body)
    assert engine.received[0].body == body
    assert engine.received[0].target == CHAT


async def test_the_engine_sees_only_allow_listed_headers(tmp_path: Path) -> None:
    sent = "authorization: Bearer sk-1\r\ncookie: a=b\r\nx-smg-target-worker: 3\r\naccept: */*\r\nx-request-id: abc\r\n"
    async with FakeEngine(echo) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        answer = await gateway.ask(CHAT, BODY, sent)
    headers = engine.received[0].headers
    assert set(headers) == {"host", "content-type", "accept", "content-length", "x-request-id"}
    assert headers["host"] == f"127.0.0.1:{engine.port}"
    assert headers["x-request-id"].startswith("abc.")
    assert answer.headers["x-request-id"] == "abc"


async def test_a_stream_arrives_event_by_event(tmp_path: Path) -> None:
    proceed = asyncio.Event()

    async def script(call: Call) -> None:
        await call.begin_stream()
        for number in range(3):
            await call.send_chunk(chat_event(f"{number}"))
            await proceed.wait()
            proceed.clear()
        await call.send_chunk(b"data: [DONE]\n\n")
        await call.end_stream()

    async with FakeEngine(script) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        client = await gateway.connect()
        await client.send(request(CHAT, BODY))
        head = await client.read_head()
        assert head.headers["content-type"] == "text/event-stream"
        assert head.headers["x-accel-buffering"] == "no"
        for number in range(3):
            # The next event is only sent once this one has arrived.
            assert await client.read_chunk() == chat_event(f"{number}")
            proceed.set()
        assert await client.read_chunk() == b"data: [DONE]\n\n"
        assert await client.read_chunk() == b""
        assert await gateway.in_flight() == {f"replica-{engine.port}": 0}
        client.close()


async def test_large_bodies_pass_both_ways(tmp_path: Path) -> None:
    body = b'{"model":"m","text":"' + b"0123456789abcdef" * 500_000 + b'"}'
    async with FakeEngine(echo) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        answer = await gateway.ask(CHAT, body)
        assert answer.body == body
        too_large = await gateway.ask(CHAT, b"x" * (32 * 1024 * 1024 + 1))
    assert (too_large.status, too_large.error["code"]) == (413, "request_too_large")
    assert len(engine.received) == 1


async def test_an_http_1_0_engine_that_ends_by_closing(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for number in range(3):
            await call.send(chat_event(f"{number}"))
        call.writer.close()

    async with FakeEngine(script) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        for _ in range(2):
            answer = await gateway.ask(CHAT, BODY)
            assert answer.headers["transfer-encoding"] == "chunked"
            assert answer.body == b"".join(chat_event(f"{number}") for number in range(3))
    assert engine.connections == 2


async def test_connections_to_engines_are_reused(tmp_path: Path) -> None:
    async with FakeEngine(echo) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        for _ in range(5):
            assert (await gateway.ask(CHAT, BODY)).status == 200
    assert (len(engine.received), engine.connections) == (5, 1)


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    bodies = [b'{"model":"m","n":%d}' % number for number in range(50)]
    async with FakeEngine(echo) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        client = await gateway.connect()
        await client.send(b"".join(request(CHAT, body) for body in bodies))
        assert [(await client.read_answer()).body for _ in bodies] == bodies
        client.close()
    assert [received.body for received in engine.received] == bodies


async def test_inference_and_the_rest_share_a_connection(tmp_path: Path) -> None:
    async with FakeEngine(echo) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        client = await gateway.connect()
        expected = [
            (request(CHAT, BODY), 200),
            (request("/v1/models", b"", method="GET"), 200),
            (request("/v1/models/m", b"", method="GET"), 200),
            (request("/v1/models/org%2Fnone", b"", method="GET"), 404),
            (request("/v1/nothing", BODY), 404),
            (request(CHAT, b"", method="GET"), 405),
            (request("/v1/models", b"", method="DELETE"), 405),
            (request(CHAT, b"nonsense"), 400),
            (request("/healthz", b"", method="GET"), 200),
            (request("/readyz", b"", method="GET"), 200),
            (request("/metrics", b"", method="GET"), 200),
            (request("/docs", b"", method="GET"), 200),
            (request("/openapi.json", b"", method="GET"), 200),
            (request(CHAT, BODY), 200),
        ]
        for _ in range(2):
            await client.send(b"".join(message for message, _ in expected))
            for message, status in expected:
                answer = await client.read_answer()
                assert (message, answer.status) == (message, status)
                assert answer.headers["x-request-id"]
                if status >= 400:
                    assert set(answer.error) == {"message", "type", "param", "code"}
        client.close()


async def test_two_engines_share_the_work(tmp_path: Path) -> None:
    async with (
        FakeEngine(echo) as one,
        FakeEngine(echo) as two,
        Gateway(tmp_path, served(endpoint(one.port), endpoint(two.port))) as gateway,
    ):
        for _ in range(10):
            await gateway.ask(CHAT, BODY)
    assert (len(one.received), len(two.received)) == (5, 5)
