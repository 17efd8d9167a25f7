"""A gateway process from start to end: snapshots that change under load, shutdowns that lose nothing."""

import asyncio
import fcntl
import json
import os
from pathlib import Path

from inferry.api.snapshot import EndpointState
from support.fake_engine import Call, FakeEngine, chat_event, echo
from support.gateway import Gateway, RawAnswer, RawClient, endpoint, eventually, request, served

CHAT = "/v1/chat/completions"
BODY = b'{"model":"m"}'
GET = "GET"


async def get(gateway: Gateway, path: str) -> RawAnswer:
    client = await gateway.connect()
    await client.send(request(path, b"", method=GET))
    answer = await client.read_answer()
    client.close()
    return answer


class Streaming:
    """An engine whose streams go on until told to end."""

    def __init__(self) -> None:
        self.end = asyncio.Event()

    async def __call__(self, call: Call) -> None:
        await call.begin_stream()
        await call.send_chunk(chat_event("first"))
        await self.end.wait()
        await call.send_chunk(b"data: [DONE]\n\n")
        await call.end_stream()


async def begin_stream(gateway: Gateway) -> RawClient:
    client = await gateway.connect()
    await client.send(request(CHAT, BODY))
    assert (await client.read_head()).status == 200
    assert await client.read_chunk() == chat_event("first")
    return client


async def test_without_a_snapshot_it_lives_but_is_not_ready(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await get(gateway, "/healthz")).status == 200
        assert (await get(gateway, "/readyz")).status == 503
        answer = await gateway.ask(CHAT, BODY)
        assert (answer.status, answer.error["code"]) == (503, "no_snapshot")
        await gateway.publish(served())
        assert (await get(gateway, "/readyz")).status == 200


async def test_a_bad_snapshot_is_reported_and_changes_nothing(tmp_path: Path) -> None:
    async with FakeEngine(echo) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        for document in (b"", b"{", b'{"version":9,"models":[],"format":99}', b'{"version":9,"models":[{}]}'):
            gateway.snapshot.write_bytes(document)

            async def reported() -> bool:
                return bool((await gateway.state())["snapshotError"])

            await eventually(reported)
            assert (await gateway.ask(CHAT, BODY)).status == 200
            await gateway.publish(served(endpoint(engine.port)))
            assert (await gateway.state())["snapshotError"] == ""


async def test_streams_outlive_the_snapshot_that_named_their_engine(tmp_path: Path) -> None:
    script = Streaming()
    async with (
        FakeEngine(script) as old,
        FakeEngine(echo) as new,
        Gateway(tmp_path, served(endpoint(old.port, "old"))) as gateway,
    ):
        client = await begin_stream(gateway)
        await gateway.publish(served(endpoint(old.port, "old", EndpointState.DRAINING), endpoint(new.port, "new")))
        assert await gateway.in_flight() == {"old": 1, "new": 0}
        assert (await gateway.ask(CHAT, BODY)).body == BODY
        await gateway.publish(served(endpoint(new.port, "new")))
        assert await gateway.in_flight() == {"old": 1, "new": 0}
        script.end.set()
        assert await client.read_chunk() == b"data: [DONE]\n\n"
        assert await client.read_chunk() == b""
        await gateway.until_idle()
    assert len(old.received) == 1


async def test_requests_do_not_notice_that_the_snapshot_changes(tmp_path: Path) -> None:
    async with (
        FakeEngine(echo) as one,
        FakeEngine(echo) as two,
        Gateway(tmp_path, served(endpoint(one.port))) as gateway,
    ):
        done = asyncio.Event()

        async def ask_on(number: int) -> int:
            client, asked = await gateway.connect(), 0
            while not done.is_set():
                body = b'{"model":"m","n":%d}' % (1000 * number + asked)
                await client.send(request(CHAT, body))
                assert (await client.read_answer()).body == body
                asked += 1
            client.close()
            return asked

        async with asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(ask_on(number)) for number in range(8)]
            for turn in range(20):
                await gateway.publish(served(endpoint((one, two)[turn % 2].port)))
            done.set()
        assert all(task.result() for task in asking)
        await gateway.until_idle()
    assert one.received
    assert two.received


async def test_sigterm_under_load_loses_no_request(tmp_path: Path) -> None:
    script = Streaming()
    async with FakeEngine(script) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        streams = [await begin_stream(gateway) for _ in range(20)]
        idle = await gateway.connect()
        gateway.terminate()

        async def draining() -> bool:
            return bool((await gateway.state())["draining"])

        await eventually(draining)
        # A request that was on its way on a kept connection is still answered, and told that it was the last.
        await idle.send(request("/readyz", b"", method=GET))
        answer = await idle.read_answer()
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        script.end.set()
        for client in streams:
            assert await client.read_chunk() == b"data: [DONE]\n\n"
            assert await client.read_chunk() == b""
            assert await client.is_closed()
        assert await gateway.exit_status() == 0


async def test_after_the_grace_streams_end_with_an_error_event(tmp_path: Path) -> None:
    arguments = ("--grace-seconds", "0.2")
    async with (
        FakeEngine(Streaming()) as engine,
        Gateway(tmp_path, served(endpoint(engine.port)), arguments=arguments) as gateway,
    ):
        client = await begin_stream(gateway)
        gateway.terminate()
        last = await client.read_chunk()
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "draining"
        assert await client.is_closed()
        await engine.until(lambda: engine.abandoned == 1)
        assert await gateway.exit_status() == 0


async def test_a_second_signal_ends_the_grace(tmp_path: Path) -> None:
    async with FakeEngine(Streaming()) as engine, Gateway(tmp_path, served(endpoint(engine.port))) as gateway:
        client = await begin_stream(gateway)
        gateway.terminate()

        async def draining() -> bool:
            return bool((await gateway.state())["draining"])

        await eventually(draining)
        gateway.terminate()
        assert b'"code":"draining"' in await client.read_chunk()
        assert await gateway.exit_status() == 0


async def test_the_admin_socket_is_taken_over_from_a_killed_gateway(tmp_path: Path) -> None:
    async with Gateway(tmp_path, served()) as gateway:
        assert (await gateway.state())["pid"] == gateway.process.pid
    socket = tmp_path / "admin.sock"
    assert socket.exists()
    socket.rename(tmp_path / "old.sock")
    async with Gateway(tmp_path, served()) as gateway:
        assert (await gateway.state())["pid"] == gateway.process.pid
        assert socket.stat().st_mode & 0o777 == 0o600


async def test_a_gateway_whose_lease_is_held_stays(tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    descriptor = os.open(lease, os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    async with Gateway(tmp_path, served(), arguments=("--lease", str(lease))) as gateway:
        assert (await get(gateway, "/readyz")).status == 200
        assert gateway.process.poll() is None
    os.close(descriptor)


async def test_a_gateway_that_nobody_owns_ends_itself(tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    descriptor = os.open(lease, os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    arguments = ("--lease", str(lease), "--lease-grace-seconds", "0.3")
    async with Gateway(tmp_path, served(), arguments=arguments) as gateway:
        assert (await get(gateway, "/readyz")).status == 200
        os.close(descriptor)
        assert await gateway.exit_status() == 0


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    import subprocess
    import sys

    async with Gateway(tmp_path, served()) as gateway:
        argv = [sys.executable, "-P", "-m", "inferry.gateway", "--snapshot", "x", "--port", str(gateway.port)]
        ended = await asyncio.to_thread(subprocess.run, argv, capture_output=True, timeout=30, check=False)
    assert ended.returncode == 1
    lines = ended.stderr.decode().splitlines()
    assert len(lines) == 1
    assert "in use" in json.loads(lines[0])["error"]
