"""Whatever clients, engines and the snapshot do, in whatever order: a request is counted once, and not for ever."""

import asyncio
import random

import pytest

from inferry.api.snapshot import EndpointState, Snapshot
from inferry.gateway.limits import Limits
from support.gateway import endpoint, request, served
from support.wire import Client, Engine, Wire, turns

ROUTES = ["/v1/chat/completions", "/v1/embeddings", "/v1/messages"]
ANSWERS = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    b"9\r\ndata: 1\n\n\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nsome",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"garbage\r\n\r\n",
    b"H",
]
STEPS = 400


class World:
    """Random moves on one worker, and what must hold between any two of them."""

    def __init__(self, wire: Wire, chance: random.Random) -> None:
        self.wire = wire
        self.chance = chance
        self.clients: list[Client] = []
        self.version = 1
        self.moves = [
            self.arrive,
            self.arrive,
            self.ask,
            self.ask,
            self.leave,
            self.answer,
            self.answer,
            self.answer,
            self.cut,
            self.press,
            self.publish,
            self.refuse,
            self.pass_time,
        ]

    def arrive(self) -> None:
        self.clients.append(self.wire.client())

    def ask(self) -> None:
        if self.clients:
            whole = request(self.chance.choice(ROUTES), b'{"model":"m"}') * self.chance.choice([1, 1, 2])
            self.chance.choice(self.clients).send(whole[: self.chance.choice([len(whole), len(whole), 40])])

    def leave(self) -> None:
        if self.clients:
            client = self.chance.choice(self.clients)
            self.clients.remove(client)
            client.transport.lose(self.chance.choice([None, ConnectionResetError()]))

    def answer(self) -> None:
        if engine := self.engine():
            engine.answer(self.chance.choice(ANSWERS))

    def cut(self) -> None:
        if engine := self.engine():
            engine.transport.lose(self.chance.choice([None, ConnectionResetError()]))

    def press(self) -> None:
        if self.clients:
            connection = self.chance.choice(self.clients).connection
            if not connection.transport.is_closing():
                connection.pause_writing()
                if self.chance.random() < 0.7:
                    connection.resume_writing()

    def publish(self) -> None:
        self.version += 1
        states = [EndpointState.READY, EndpointState.READY, EndpointState.DRAINING]
        named = self.chance.sample([1, 2, 3], self.chance.randint(0, 3))
        models = (served(*(endpoint(port, state=self.chance.choice(states)) for port in named)),)
        self.wire.worker.adopt(Snapshot(version=self.version, models=models))

    def refuse(self) -> None:
        self.wire.refusing ^= {self.chance.choice([1, 2, 3])}

    def pass_time(self) -> None:
        for _ in range(self.chance.randint(1, 8)):
            self.wire.worker.wheel.advance()

    def engine(self) -> Engine | None:
        alive = [engine for engine in self.wire.engines if not engine.transport.closed]
        return self.chance.choice(alive) if alive else None

    async def settle(self) -> None:
        await turns(2)
        for end in [*self.wire.engines, *self.clients]:
            end.transport.settle()
        self.clients = [client for client in self.clients if not client.transport.closed]
        self.wire.engines = [engine for engine in self.wire.engines if not engine.transport.closed]

    def check(self) -> None:
        counts = [backend.in_flight for backend in self.wire.worker.backends]
        assert all(count >= 0 for count in counts)
        # A client waits for one answer at a time.
        assert sum(counts) <= len(self.clients)
        assert self.wire.worker.buffered_bytes >= 0


@pytest.mark.parametrize("seed", range(25))
async def test_counts_are_exact_and_return_to_zero(seed: int) -> None:
    chance = random.Random(seed)
    limits = Limits(silence_seconds=3, stall_seconds=3, keep_alive_seconds=5, head_seconds=2, body_seconds=2)
    async with asyncio.TaskGroup() as tasks:
        wire = Wire(tasks, served(endpoint(1), endpoint(2)), limits=limits)
        world = World(wire, chance)
        for _ in range(STEPS):
            chance.choice(world.moves)()
            await world.settle()
            world.check()
        ends = [end for route in wire.worker.metrics.routes.values() for end in route.requests]
        assert ends
        assert "internal_error" not in {reason for _, reason in ends}
        for client in world.clients:
            client.transport.lose()
        await turns()
    assert wire.in_flight() == 0
    assert wire.worker.buffered_bytes == 0
    assert wire.worker.metrics.errors == 0
