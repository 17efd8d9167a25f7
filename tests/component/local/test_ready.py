"""Ready is a promise to clients: whoever has read it in the status gets an answer."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from inferry.api.status import ConditionType
from inferry.local import objects
from support.local_machine import LocalMachine, ask, book, client, machine, until

QUESTION = "Who are you?"


@pytest.fixture
async def local(tmp_path: Path, llamacpp_python: Path) -> AsyncIterator[LocalMachine]:
    async with machine(tmp_path, llamacpp_python.parents[2]) as running:
        yield running


async def ask_when_ready(local: LocalMachine, session: httpx2.AsyncClient, name: str) -> None:
    def is_ready() -> bool:
        ready = local.condition(name, ConditionType.READY)
        return ready is not None and ready.status == "True"

    await until(is_ready, lambda: local.story(name), look_seconds=0.001)
    answer = await ask(session, name, QUESTION)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == book()[QUESTION]


async def test_a_new_deployment_that_says_ready_answers_the_very_next_request(local: LocalMachine) -> None:
    async with client(local) as session:
        for number in range(20):
            local.apply(f"parrot-{number}")
            await ask_when_ready(local, session, f"parrot-{number}")
            objects.delete(local.home, f"parrot-{number}")


async def test_one_that_comes_back_from_zero_answers_the_very_next_request(local: LocalMachine) -> None:
    async with client(local) as session:
        for _ in range(10):
            local.apply("parrot", replicas=2)
            await ask_when_ready(local, session, "parrot")
            local.apply("parrot", replicas=0)
            await local.settled("parrot")
