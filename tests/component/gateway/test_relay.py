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
