"""When an engine counts as silent."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from inferry_runtime.serve.cpu import group_seconds
from inferry_runtime.serve.vigil import BUSY_MISSES, MISSES, Subject, silence

WELL, ILL, CUT, LATE = "200 OK", "503 Service Unavailable", "cut", "late"


class Engine:
    """Answers as the script says, then goes on with its last line."""

    def __init__(self, script: list[str]) -> None:
        self._script: Iterator[str] = iter(script)
        self._answering: list[asyncio.Task[None]] = []
        self.asked = 0
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Engine"]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            yield self
            await asyncio.gather(*self._answering)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        task = asyncio.current_task()
        assert task is not None
        self._answering.append(task)
        line = next(self._script)
        await reader.readuntil(b"\r\n\r\n")
        if line == LATE:
            await reader.read()
        elif line != CUT:
            writer.write(f"HTTP/1.1 {line}\r\n\r\n".encode())
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def subject(port: int, cpu_seconds: Callable[[], float] = lambda: 0.0) -> Subject:
    return Subject(host="127.0.0.1", port=port, path="/health", cpu_seconds=cpu_seconds)


@pytest.mark.parametrize(
    ("script", "last"),
    [
        ([ILL] * MISSES, "status 503"),
        ([CUT] * MISSES, "the connection was closed without an HTTP answer"),
        ([ILL] * (MISSES - 1) + [LATE], "no answer within 0.2 s"),
        ([WELL, WELL, *[CUT] * MISSES], "the connection was closed without an HTTP answer"),
        ([*[ILL] * (MISSES - 1), WELL, *[ILL] * MISSES], "status 503"),
    ],
)
async def test_only_misses_in_a_row_are_silence(script: list[str], last: str) -> None:
    async with Engine(script).running() as engine:
        limit = 0.2 if LATE in script else 30.0
        found = await silence(subject(engine.port), pause_seconds=0.001, answer_seconds=limit)
    assert (found.misses, found.last, engine.asked) == (MISSES, last, len(script))


async def test_a_port_nobody_listens_on_is_silence() -> None:
    async with Engine([]).running() as engine:
        port = engine.port
    found = await silence(subject(port), pause_seconds=0.001, answer_seconds=30.0)
    assert "Connect call failed" in found.last


async def test_an_engine_at_work_is_waited_for_but_not_for_ever() -> None:
    script = [*[CUT] * 20, WELL, *[CUT] * (BUSY_MISSES + MISSES)]
    async with Engine(script).running() as engine:
        working = subject(engine.port, count(0, 1000).__next__)
        found = await silence(working, pause_seconds=0.001, answer_seconds=30.0)
    assert (found.misses, engine.asked) == (BUSY_MISSES + MISSES, len(script))


async def test_an_engine_that_answers_that_it_is_ill_is_not_spared_for_working() -> None:
    async with Engine([ILL] * MISSES).running() as engine:
        working = subject(engine.port, count(0, 1000).__next__)
        assert (await silence(working, pause_seconds=0.001, answer_seconds=30.0)).misses == MISSES


def test_the_time_of_a_process_group_is_that_of_its_members() -> None:
    used = group_seconds(os.getpgrp())
    while group_seconds(os.getpgrp()) == used:
        sum(range(10_000))
    assert group_seconds(2**30) == 0.0
