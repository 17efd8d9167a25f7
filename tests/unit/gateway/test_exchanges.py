"""How a request ends when engines fail: what is tried again, what the client is told, what is counted."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from inferry.api.snapshot import EndpointState, Snapshot
from inferry.gateway.chunks import ChunkWalker
from inferry.gateway.limits import Limits
from support.gateway import endpoint, request, served
from support.wire import Client, Engine, Wire, turns

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
BODY = b'{"model":"m"}'
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b"data: {}\n\n"
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


@asynccontextmanager
async def wired(*ports: int, limits: Limits | None = None, refusing: tuple[int, ...] = ()) -> AsyncIterator[Wire]:
    """Checks on the way out that no count is left."""
    async with asyncio.TaskGroup() as tasks:
        wire = Wire(tasks, served(*(endpoint(port) for port in ports)), limits=limits)
        wire.refusing.update(refusing)
        yield wire
    assert wire.in_flight() == 0
    assert wire.worker.buffered_bytes == 0


async def ask(wire: Wire, path: str = CHAT, headers: str = "", client: Client | None = None) -> tuple[Client, Engine]:
    client = client or wire.client()
    client.send(request(path, BODY, headers))
    await turns()
    return client, wire.engines[-1]


def status(client: Client) -> int:
    return int(client.received.split(b" ", 2)[1])


def error(client: Client) -> dict[str, object]:
    decoded: dict[str, object] = json.loads(client.received.partition(b"\r\n\r\n")[2])["error"]
    return decoded


def headers(client: Client) -> bytes:
    return client.received.partition(b"\r\n\r\n")[0].lower()


class TestConnecting:
    async def test_a_refused_connection_means_another_endpoint(self) -> None:
        for dead in (1, 2):
            async with wired(1, 2, refusing=(dead,)) as wire:
                for _ in range(2):
                    client, engine = await ask(wire)
                    assert engine.connection.backend.port == 3 - dead
                    engine.answer(OK)
                    assert status(client) == 200

    async def test_nobody_there_is_a_502_that_may_be_retried(self) -> None:
        async with wired(1, 2, refusing=(1, 2)) as wire:
            client = wire.client()
            client.send(request(CHAT, BODY))
            await turns(6)
        assert (status(client), error(client)["code"]) == (502, "upstream_unreachable")
        assert b"x-should-retry: true" in headers(client)

    async def test_three_failures_set_an_endpoint_aside_but_never_the_last(self) -> None:
        async with wired(1, 2, refusing=(1,)) as wire:
            for _ in range(12):
                _, engine = await ask(wire)
                engine.answer(OK)
            suspected = next(backend for backend in wire.worker.backends if backend.port == 1)
            assert suspected.health.failures == 3
            wire.refusing.add(2)
            for engine in wire.engines:
                engine.transport.lose()
            client = wire.client()
            client.send(request(CHAT, BODY))
            await turns(6)
            assert status(client) == 502
            assert suspected.health.failures == 4

    async def test_a_client_that_leaves_while_connecting_leaves_nothing_behind(self) -> None:
        async with wired(1) as wire:
            client = wire.client()
            client.send(request(CHAT, BODY))
            assert wire.in_flight() == 1
            client.transport.lose()
            assert wire.in_flight() == 0
            await turns()
            assert wire.engines[0].transport.aborted
            assert not wire.engines[0].transport.written


class TestStaleConnections:
    async def test_a_kept_connection_that_ends_without_a_byte_is_replaced_once(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(OK)
            client.transport.take()
            client.send(request(CHAT, BODY))
            assert engine.transport.take().endswith(BODY)
            engine.transport.lose()
            await turns()
            assert wire.engines[1].transport.take().endswith(BODY)
            wire.engines[1].answer(OK)
            assert status(client) == 200
            assert b"x-inferry-attempts: 2" in headers(client)

    async def test_a_fresh_connection_that_ends_without_a_byte_is_not_asked_again(self) -> None:
        async with wired(1, 2) as wire:
            client, engine = await ask(wire)
            engine.transport.lose()
            assert (status(client), error(client)["code"]) == (502, "upstream_disconnected")
            assert b"x-should-retry: false" in headers(client)
            assert len(wire.engines) == 1

    async def test_one_byte_is_enough_not_to_ask_again(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(OK)
            client.transport.take()
            client.send(request(CHAT, BODY))
            engine.answer(b"H")
            engine.transport.lose()
            assert status(client) == 502
            assert len(wire.engines) == 1


class TestRefusedWork:
    async def test_a_busy_engine_means_another_endpoint(self) -> None:
        async with wired(1, 2) as wire:
            client, first = await ask(wire)
            first.answer(BUSY)
            await turns()
            assert len(wire.engines) == 2
            assert first.transport.aborted
            wire.engines[1].answer(OK)
            assert status(client) == 200

    async def test_a_busy_engine_without_another_passes_as_it_is(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(BUSY)
            assert client.received.endswith(b"busy")
            assert status(client) == 503

    async def test_retries_stop_when_their_budget_is_spent(self) -> None:
        async with wired(1, 2) as wire:
            passed = 0
            for _ in range(40):
                client, _engine = await ask(wire)
                for _ in range(3):
                    for engine in wire.engines:
                        if not engine.transport.closed and engine.transport.take():
                            engine.answer(BUSY)
                    await turns()
                passed += status(client) == 503
            assert passed == 40
            retried = sum(wire.worker.metrics.retries.values())
            assert 1 <= retried <= 10

    async def test_a_failed_generation_is_never_repeated(self) -> None:
        async with wired(1, 2) as wire:
            client, engine = await ask(wire)
            engine.answer(BROKEN)
            assert (status(client), len(wire.engines)) == (500, 1)

    async def test_a_failed_embedding_is_repeated_elsewhere(self) -> None:
        async with wired(1, 2) as wire:
            client, engine = await ask(wire, EMBEDDINGS)
            engine.answer(BROKEN)
            await turns()
            wire.engines[1].answer(OK)
            assert status(client) == 200

    async def test_an_engine_s_own_refusal_passes_untouched(self) -> None:
        async with wired(1, 2) as wire:
            client, engine = await ask(wire)
            engine.answer(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\ncontent-type: text/x\r\n\r\nwrong")
            assert client.received.endswith(b"\r\n\r\nwrong")
            assert b"content-type: text/x" in headers(client)


class TestBreaks:
    @pytest.mark.parametrize(
        ("path", "event"),
        [
            (CHAT, b'data: {"error":{"message":'),
            ("/v1/messages", b'event: error\ndata: {"type":"error","error":{"type":"api_error"'),
            ("/v1/responses", b'event: error\ndata: {"type":"error","code":"upstream_disconnected"'),
        ],
    )
    async def test_a_stream_cut_between_events_ends_with_an_error_event(self, path: str, event: bytes) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire, path)
            engine.answer(STREAM + CHUNK)
            engine.transport.lose(ConnectionResetError())
            tail = client.received.partition(CHUNK)[2]
            walker = ChunkWalker(collect=True)
            assert walker.feed(tail) == tail
            assert walker.between_chunks
            said = walker.take_payload()
            assert said.startswith(event)
            assert said.endswith(b"\n\n")
            assert b"[DONE]" not in client.received
            assert client.transport.closed

    @pytest.mark.parametrize("kept", range(1, len(CHUNK)))
    async def test_a_stream_cut_within_an_event_just_ends(self, kept: int) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(STREAM + CHUNK + CHUNK[:kept])
            engine.transport.lose()
            body = client.received.partition(b"\r\n\r\n")[2]
            # A size line that was held back leaves the stream between two events.
            told = kept < CHUNK.index(b"data")
            assert (b"upstream_disconnected" in body) == told
            assert body.startswith(CHUNK)
            assert client.transport.closed

    async def test_a_counted_answer_that_is_cut_is_not_padded(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            engine.transport.lose()
            assert client.received.endswith(b"\r\n\r\nhalf")
            assert client.transport.closed

    async def test_a_head_that_was_not_sent_on_yet_is_taken_back(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(STREAM + b"zz")
            assert (status(client), error(client)["code"]) == (502, "upstream_invalid_response")

    async def test_a_silent_engine_is_a_504(self) -> None:
        async with wired(1, limits=Limits(silence_seconds=1.0)) as wire:
            client, engine = await ask(wire)
            for _ in range(20):
                wire.worker.wheel.advance()
            assert (status(client), error(client)["code"]) == (504, "upstream_timeout")
            assert engine.transport.aborted

    @pytest.mark.parametrize(
        "garbage",
        [
            b"\x00\x01\x02\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nx: a\r\rb\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000,
        ],
    )
    async def test_garbage_is_a_502_and_the_connection_is_dropped(self, garbage: bytes) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(garbage)
            assert (status(client), error(client)["code"]) == (502, "upstream_invalid_response")
            assert engine.transport.aborted


class TestSurplus:
    @pytest.mark.parametrize(
        "answer",
        [
            OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\nsurplus",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nsurplus",
        ],
    )
    async def test_bytes_after_an_answer_never_become_the_next_one(self, answer: bytes) -> None:
        async with wired(1) as wire:
            client = wire.client()
            # The second request waits in line, ready to take a connection the moment one is free.
            client.send(request(CHAT, BODY) + request(CHAT, BODY))
            await turns()
            wire.engines[0].answer(answer)
            await turns()
            assert wire.engines[0].transport.closed
            assert b"evil" not in client.received
            wire.engines[1].answer(OK)
            assert client.received.endswith(b"ok")

    async def test_bytes_on_an_idle_connection_end_it(self) -> None:
        async with wired(1) as wire:
            _, engine = await ask(wire)
            engine.answer(OK)
            engine.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
            assert engine.transport.aborted


class TestKeeping:
    @pytest.mark.parametrize(
        ("answer", "kept"),
        [
            (OK, True),
            (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", False),
            (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", False),
            (b"HTTP/1.1 204 No Content\r\n\r\n", True),
            (b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n", False),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", True),
        ],
    )
    async def test_a_connection_is_kept_only_without_any_doubt(self, answer: bytes, kept: bool) -> None:
        async with wired(1) as wire:
            _, engine = await ask(wire)
            engine.answer(answer)
            assert bool(engine.connection.backend.idle) == kept
            assert engine.transport.closed != kept

    async def test_an_idle_connection_is_closed_before_the_engine_would(self) -> None:
        async with wired(1) as wire:
            _, engine = await ask(wire)
            engine.answer(b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=2\r\ncontent-length: 2\r\n\r\nok")
            for _ in range(13):
                wire.worker.wheel.advance()
            assert engine.transport.closed

    async def test_the_last_used_connection_is_used_first(self) -> None:
        async with wired(1) as wire:
            asked = [await ask(wire) for _ in range(3)]
            for _, engine in asked:
                engine.answer(OK)
            await ask(wire)
            assert wire.engines[2].connection.requests == 2
            wire.engines[2].answer(OK)

    async def test_an_endpoint_that_left_the_snapshot_keeps_its_stream_and_nothing_else(self) -> None:
        async with wired(1) as wire:
            idle_client, idle = await ask(wire)
            client, engine = await ask(wire)
            idle.answer(OK)
            engine.answer(STREAM)
            wire.worker.adopt(Snapshot(version=2, models=(served(endpoint(2)),)))
            assert idle.transport.closed
            assert wire.worker.backends.in_flight() == {"replica-1": 1, "replica-2": 0}
            engine.answer(CHUNK + b"0\r\n\r\n")
            assert client.received.endswith(CHUNK + b"0\r\n\r\n")
            assert engine.transport.closed
            assert idle_client.received.endswith(b"ok")

    async def test_no_retry_goes_to_an_endpoint_that_drains_by_now(self) -> None:
        async with wired(1, 2) as wire:
            client, engine = await ask(wire)
            other = 3 - engine.connection.backend.port
            draining = endpoint(other, state=EndpointState.DRAINING)
            wire.worker.adopt(Snapshot(version=2, models=(served(endpoint(3 - other), draining),)))
            engine.answer(BUSY)
            assert status(client) == 503
            assert len(wire.engines) == 1

    async def test_a_stale_connection_to_a_draining_endpoint_is_replaced_elsewhere(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(OK)
            client.transport.take()
            client.send(request(CHAT, BODY))
            draining = endpoint(1, state=EndpointState.DRAINING)
            wire.worker.adopt(Snapshot(version=2, models=(served(draining, endpoint(2)),)))
            engine.transport.lose()
            await turns()
            assert wire.engines[1].connection.backend.port == 2
            wire.engines[1].answer(OK)
            assert status(client) == 200


class TestPressure:
    async def test_a_client_that_does_not_read_stops_the_engine(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(STREAM)
            client.connection.pause_writing()
            assert not engine.transport.reading
            client.connection.resume_writing()
            assert engine.transport.reading
            client.connection.pause_writing()
            engine.answer(b"0\r\n\r\n")
            assert engine.transport.reading

    async def test_a_client_that_never_reads_is_dropped(self) -> None:
        async with wired(1, limits=Limits(stall_seconds=1.0)) as wire:
            client, engine = await ask(wire)
            engine.answer(STREAM)
            client.transport.unread = 100_000
            client.connection.pause_writing()
            for _ in range(15):
                wire.worker.wheel.advance()
            assert client.transport.aborted
            client.transport.lose()
            assert engine.transport.aborted

    async def test_a_client_that_reads_slowly_is_not_dropped(self) -> None:
        async with wired(1, limits=Limits(stall_seconds=1.0)) as wire:
            client, engine = await ask(wire)
            engine.answer(STREAM)
            client.transport.unread = 100_000
            client.connection.pause_writing()
            for _ in range(50):
                client.transport.unread -= 1
                wire.worker.wheel.advance()
            assert not client.transport.closed
            client.transport.lose()

    async def test_pipelined_bytes_beyond_the_limit_are_left_in_the_kernel(self) -> None:
        async with wired(1, limits=Limits(backlog_bytes=100)) as wire:
            client, engine = await ask(wire)
            client.send(request(CHAT, BODY))
            assert not client.transport.reading
            engine.answer(OK)
            assert client.transport.reading
            await turns()
            engine.answer(OK)
            assert client.received.count(b"200 OK") == 2


class TestDeadlines:
    @pytest.mark.parametrize(
        "sent", [b"POST /v1", request(CHAT, BODY)[:-1], request(CHAT, BODY)[: -len(BODY)], b"\r\n"]
    )
    async def test_a_request_that_trickles_is_a_408(self, sent: bytes) -> None:
        async with wired(1, limits=Limits(head_seconds=1.0, body_seconds=1.0)) as wire:
            client = wire.client()
            client.send(sent)
            for _ in range(15):
                wire.worker.wheel.advance()
            assert (status(client), error(client)["code"]) == (408, "request_timeout")
            assert client.transport.ended

    async def test_each_byte_does_not_buy_more_time(self) -> None:
        async with wired(1, limits=Limits(head_seconds=1.0)) as wire:
            client = wire.client()
            for _ in range(15):
                client.send(b"P" if not client.connection._url else b"/")
                wire.worker.wheel.advance()
            assert status(client) in (400, 408)

    async def test_an_idle_connection_is_closed_without_a_word(self) -> None:
        async with wired(1, limits=Limits(keep_alive_seconds=1.0)) as wire:
            client, engine = await ask(wire)
            engine.answer(OK)
            client.transport.take()
            for _ in range(15):
                wire.worker.wheel.advance()
            assert client.transport.closed
            assert client.received == b""


class TestLimits:
    async def test_more_connections_than_allowed_are_told_so(self) -> None:
        async with wired(1, limits=Limits(connections=1)) as wire:
            first, second = wire.client(), wire.client()
            assert (status(second), error(second)["code"]) == (503, "overloaded")
            assert first.received == b""

    async def test_bodies_of_all_connections_together_are_bounded(self) -> None:
        async with wired(1, limits=Limits(buffered_bytes=20)) as wire:
            first, engine = await ask(wire)
            second = wire.client()
            second.send(request(CHAT, BODY))
            assert (status(second), error(second)["code"]) == (503, "overloaded")
            engine.answer(OK)
            assert status(first) == 200
            third, engine = await ask(wire)
            engine.answer(OK)
            assert status(third) == 200


class TestFraming:
    async def test_an_answer_ended_by_the_close_is_chunked_for_the_client(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + EVENT)
            engine.answer(EVENT)
            engine.transport.lose()
            assert b"transfer-encoding: chunked" in headers(client)
            assert client.received.partition(b"\r\n\r\n")[2] == CHUNK + CHUNK + b"0\r\n\r\n"
            assert not client.transport.closed

    @pytest.mark.parametrize(
        "answer", [STREAM + CHUNK + CHUNK + b"0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n" + EVENT + EVENT]
    )
    async def test_an_http_1_0_client_gets_no_chunks(self, answer: bytes) -> None:
        async with wired(1) as wire:
            client = wire.client()
            client.send(request(CHAT, BODY).replace(b"HTTP/1.1", b"HTTP/1.0"))
            await turns()
            wire.engines[0].answer(answer)
            wire.engines[0].transport.lose()
            assert b"transfer-encoding" not in headers(client)
            assert b"connection: close" in headers(client)
            assert client.received.partition(b"\r\n\r\n")[2] == EVENT + EVENT
            assert client.transport.closed

    async def test_continue_is_said_only_to_what_will_be_taken(self) -> None:
        async with wired(1) as wire:
            client = wire.client()
            message = request(CHAT, BODY, "expect: 100-continue\r\n")
            client.send(message[: -len(BODY)])
            assert client.transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(BODY)
            await turns()
            wire.engines[0].answer(OK)
            assert status(client) == 200
            unwelcome = wire.client()
            unwelcome.send(request("/v1/other", BODY, "expect: 100-continue\r\n")[: -len(BODY)])
            assert status(unwelcome) == 417


class TestTheRest:
    async def test_other_requests_go_to_the_application_between_inference(self) -> None:
        async with wired(1) as wire:
            client = wire.client()
            client.send(request("/v1/models", b"", method="GET") + request(CHAT, BODY) + request("/x", BODY))
            await turns()
            assert status(client) == 404
            wire.engines[0].answer(OK)
            await turns()
            assert re.findall(rb"HTTP/1.1 (\d+)", client.received) == [b"404", b"200", b"404"]
            assert not client.transport.closed


class TestDraining:
    async def test_answers_say_that_the_connection_ends(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            wire.worker.draining = True
            client.connection.drain()
            engine.answer(OK)
            assert b"connection: close" in headers(client)
            assert client.transport.closed

    async def test_an_idle_connection_gets_a_second_for_a_request_on_its_way(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(OK)
            for _ in range(5):
                wire.worker.wheel.advance()
            wire.worker.draining = True
            client.connection.drain()
            wire.worker.wheel.advance()
            assert not client.transport.closed
            for _ in range(8):
                wire.worker.wheel.advance()
            assert client.transport.closed

    async def test_at_the_end_of_the_grace_a_stream_is_told_why(self) -> None:
        async with wired(1) as wire:
            client, engine = await ask(wire)
            engine.answer(STREAM + CHUNK)
            client.connection.stop()
            assert b'"code":"draining"' in client.received
            assert client.transport.closed
            assert engine.transport.aborted
            waiting, engine = await ask(wire)
            waiting.connection.stop()
            assert (status(waiting), error(waiting)["code"]) == (503, "draining")
