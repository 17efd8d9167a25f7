"""When a replica counts as ready, and what is known of its requests: by what the gateway says on its socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from inferry.api.model_deployment import DeploymentSpec, Metadata, Model, ModelDeployment
from inferry.api.snapshot import decode
from inferry.local.gateway_process import GatewayProcess
from inferry.local.gateway_word import GatewayWord
from inferry.local.home import Home
from inferry.local.publisher import SnapshotPublisher
from inferry.local.snapshot import Part
from inferry.plan.types import Phase, Replica

READY = Replica(
    name="one", revision="r", phase=Phase.READY, ready=True, created_at=0.0, host="127.0.0.1", port=20001, in_flight=0
)
DRAINING = replace(READY, draining_since=1.0)


class Socket:
    """Says what a gateway that has read this version says."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.version = 0
        self.in_flight: dict[str, int] = {}
        self.asked = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._answer, self._home.gateway_socket)
        async with server:
            yield
        self._home.gateway_socket.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        state = {"snapshotVersion": self.version, "pid": 1, "inFlight": self.in_flight}
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(state).encode())
        await writer.drain()
        writer.close()
        self.asked.set()


class World:
    def __init__(self, folder: Path) -> None:
        home = Home(folder)
        home.gateway.mkdir(parents=True, exist_ok=True)
        self.snapshot = home.snapshot
        self.publisher = SnapshotPublisher(home)
        self.socket = Socket(home)
        self.word = GatewayWord(GatewayProcess(home, "127.0.0.1", 0, {}), self.publisher)

    def publish(self, *replicas: Replica) -> None:
        metadata = Metadata(name="qwen", creation_timestamp="2026-01-01T00:00:00Z")
        deployment = ModelDeployment(metadata=metadata, spec=DeploymentSpec(model=Model(source="hf://a/b")))
        self.publisher.publish([Part(deployment=deployment, replicas=replicas, routes=("/v1/completions",))])

    async def hear(self) -> None:
        """The gateway has read the newest snapshot, and says so."""
        self.socket.version = self.publisher.current.version
        async with self.socket.open():
            await self.word.look()

    def is_ready(self, replica: Replica) -> bool:
        return self.word.about(replica).ready


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_replica_is_ready_once_the_gateway_routes_by_a_snapshot_that_has_it(world: World) -> None:
    world.publish(READY)
    told = world.word.about(READY)
    assert (told.ready, told.phase, told.in_flight) == (False, Phase.ANSWERED, None)
    await world.hear()
    assert world.word.about(READY) == READY


async def test_an_older_snapshot_says_nothing_of_a_replica(world: World) -> None:
    world.publish()
    await world.hear()
    world.publish(READY)
    async with world.socket.open():
        await world.word.look()
    assert not world.is_ready(READY)


async def test_one_that_is_in_no_snapshot_yet_is_not_ready_whatever_the_gateway_has_read(world: World) -> None:
    await world.hear()
    assert not world.is_ready(READY)


async def test_ready_replicas_stay_ready_while_the_gateway_is_away_and_a_new_one_waits(world: World) -> None:
    world.publish(READY)
    await world.hear()
    await world.word.look()
    second = replace(READY, name="two")
    world.publish(READY, second)
    assert world.word.about(READY) == replace(READY, in_flight=None)
    assert not world.is_ready(second)
    await world.hear()
    assert world.is_ready(second)


async def test_one_that_was_gone_for_a_moment_has_to_be_taken_up_again(world: World) -> None:
    world.publish(READY)
    await world.hear()
    world.publish()
    world.publish(READY)
    assert not world.is_ready(READY)


async def test_what_an_earlier_owner_published_is_ready_as_soon_as_the_gateway_has_said_so(tmp_path: Path) -> None:
    World(tmp_path).publish(READY)
    after = World(tmp_path)
    assert not after.is_ready(READY)
    await after.hear()
    assert after.is_ready(READY)


async def test_a_snapshot_that_could_not_be_written_is_published_again(world: World) -> None:
    folder = world.snapshot.parent
    folder.rename(folder.with_name("away"))
    folder.write_text("no folder")
    with pytest.raises(OSError, match="gateway"):
        world.publish(READY)
    folder.unlink()
    world.publish(READY)
    assert decode(world.snapshot.read_bytes()) == world.publisher.current
    assert world.publisher.newest_ready() == world.publisher.current.version


async def test_a_draining_replica_is_counted_from_the_snapshot_in_which_it_drains(world: World) -> None:
    world.socket.in_flight = {"one:20001": 3}
    world.publish(READY)
    await world.hear()
    world.publish(DRAINING)
    assert world.word.about(DRAINING) == replace(DRAINING, in_flight=None)
    await world.hear()
    assert world.word.about(DRAINING) == replace(DRAINING, in_flight=3)


async def test_whoever_waits_is_told_as_soon_as_the_gateway_has_read_it(world: World) -> None:
    taken_up = asyncio.Event()
    world.publish(READY)
    async with world.socket.open(), asyncio.TaskGroup() as group:
        watching = group.create_task(world.word.watch(lambda: False, lambda: None, taken_up.set))
        await world.socket.asked.wait()
        assert not taken_up.is_set()
        world.socket.version = world.publisher.current.version
        async with asyncio.timeout(30):
            await taken_up.wait()
        watching.cancel()
    assert world.is_ready(READY)


async def test_a_look_is_taken_at_once_when_it_is_asked_for(world: World) -> None:
    async with world.socket.open(), asyncio.TaskGroup() as group:
        watching = group.create_task(world.word.watch(lambda: False, lambda: None, lambda: None))
        async with asyncio.timeout(30):
            for _ in range(50):
                await world.socket.asked.wait()
                world.socket.asked.clear()
                world.word.look_now()
        watching.cancel()
