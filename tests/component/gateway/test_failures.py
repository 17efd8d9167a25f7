"""Clients that leave, engines that die, slow readers: through real sockets, seen from both ends."""

import asyncio
from pathlib import Path

import pytest

from support.fake_engine import Call, FakeEngine, chat_event, echo
from support.gateway import Gateway, endpoint, request, served

CHAT = "/v1/chat/completions"
BODY = b'{"model":"m"}'


async def silence(call: Call) -> None:
    await asyncio.Event().wait()


async def one_event_then_silence(call: Call) -> None:
    await call.begin_stream()
    await call.send_chunk(chat_event("first"))
    await asyncio.Event().wait()


@pytest.mark.parametrize("abort", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("script", [silence, one_event_then_silence])
async def test_a_client_that_leaves_stops_its_engine(tmp_path: Path, script: object, abort: bool) -> None:
    async with FakeEngine(script) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:  # type: ignore[arg-type]
        client = await gateway.connect()
        await client.send(request(CHAT, BODY))
        if script is one_event_then_silence:
            await client.read_head()
            await client.read_chunk()
        await engine.until(lambda: len(engine.received) == 1)
        if abort:
            client.abort()
        else:
            client.close()
        await engine.until(lambda: engine.abandoned == 1)
        await gateway.until_idle()


async def test_a_dead_engine_s_requests_go_to_the_living_one(tmp_path: Path) -> None:
    async with (
        FakeEngine(echo) as living,
        FakeEngine(echo) as dying,
        Gateway(tmp_path, served(endpoint(living.port), endpoint(dying.port))) as gateway,
    ):
        for _ in range(4):
            assert (await gateway.ask(CHAT, BODY)).status == 200
        await dying.close()
        for _ in range(20):
            assert (await gateway.ask(CHAT, BODY)).status == 200
        await gateway.until_idle()


async def test_an_engine_that_closes_idle_connections_at_any_moment_loses_no_request(tmp_path: Path) -> None:
    async def answer_and_close(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        call.writer.close()

    async with FakeEngine(answer_and_close) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        client = await gateway.connect()
        for _ in range(200):
            await client.send(request(CHAT, BODY))
            assert (await client.read_answer()).body == b"ok"
        client.close()
    assert len(engine.received) == 200


async def test_a_busy_engine_s_request_goes_to_the_other(tmp_path: Path) -> None:
    async def busy(call: Call) -> None:
        await call.send_json({"error": "Loading model"}, "503 Service Unavailable")

    async with (
        FakeEngine(busy) as loading,
        FakeEngine(echo) as ready,
        Gateway(tmp_path, served(endpoint(loading.port), endpoint(ready.port))) as gateway,
    ):
        for _ in range(3):
            assert (await gateway.ask(CHAT, BODY)).status == 200
        assert loading.received


async def test_a_client_that_does_not_read_holds_its_engine_and_no_memory(tmp_path: Path) -> None:
    megabytes = 64
    sent = 0

    async def flood(call: Call) -> None:
        nonlocal sent
        await call.begin_stream()
        for _ in range(megabytes):
            await call.send_chunk(b"x" * 1_000_000)
            sent += 1
        await call.end_stream()

    async with FakeEngine(flood) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        before = resident_bytes(gateway.process.pid)
        client = await gateway.connect()
        await client.send(request(CHAT, BODY))
        await client.read_head()
        for _ in range(20):
            # Other requests pass meanwhile, and give the flood the time to go as far as it can.
            assert (await gateway.ask(CHAT, b"{}")).status == 400
        assert sent < megabytes
        assert resident_bytes(gateway.process.pid) - before < 8_000_000
        received = 0
        while chunk := await client.read_chunk():
            received += len(chunk)
        assert received == megabytes * 1_000_000
        client.close()


def resident_bytes(pid: int) -> int:
    import psutil

    resident: int = psutil.Process(pid).memory_info().rss
    return resident
