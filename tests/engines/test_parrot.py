"""The same weights, the same questions, the same answers: on every engine this build installs, through the gateway."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from inferry.api.model_deployment import ModelDeployment
from inferry.local import objects
from inferry.local.environments import EnvironmentStore
from support.local_machine import LOOK_SECONDS, PARROT, LocalMachine, ask, book, client, machine

ENGINES = [
    pytest.param("llamacpp", "gguf", 4, id="llama.cpp answers from the GGUF"),
    pytest.param("transformers", "safetensors", 1, id="Transformers answers from the safetensors"),
]


@pytest.fixture(scope="session")
def environments(engine_environments: EnvironmentStore) -> Path:
    """The folder engines find theirs in; what is missing is made when the first model needs it."""
    return engine_environments.root


async def apply(local: LocalMachine, spec: Mapping[str, object]) -> None:
    """Returns when it is ready. Making a missing environment takes minutes, so the test's own limit is the patience."""
    objects.save(local.home, ModelDeployment.model_validate({"metadata": {"name": "parrot"}, "spec": spec}))
    while not local.is_settled("parrot"):  # noqa: ASYNC110 - other processes make it so
        await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def served(engine: str, files: str, folder: Path, environments: Path) -> AsyncIterator[LocalMachine]:
    async with machine(folder, environments) as local:
        await apply(local, {"model": {"source": str(PARROT / files)}, "engine": {"name": engine}})
        yield local


async def wrong_answers(session: httpx2.AsyncClient, connections: int) -> dict[str, str]:
    """Question -> what came instead of the memorised answer."""
    turns, wrong = asyncio.Semaphore(connections), {}

    async def check(question: str, answer: str) -> None:
        async with turns:
            response = await ask(session, "parrot", question)
        said = response.json()["choices"][0]["message"]["content"] if response.status_code == 200 else response.text
        if said != answer:
            wrong[question] = said

    async with asyncio.TaskGroup() as group:
        for question, answer in book().items():
            group.create_task(check(question, answer))
    return wrong


async def streamed(session: httpx2.AsyncClient, question: str) -> str:
    body = {"model": "parrot", "messages": [{"role": "user", "content": question}], "stream": True}
    pieces = []
    async with session.stream("POST", "/v1/chat/completions", json=body) as response:
        async for line in response.aiter_lines():
            if line.startswith("data:") and "[DONE]" not in line:
                choices = json.loads(line.removeprefix("data:"))["choices"]
                pieces += [choice["delta"].get("content") or "" for choice in choices]
    return "".join(pieces)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("engine", "files", "connections"), ENGINES)
async def test_every_memorised_answer_comes_word_for_word(
    engine: str, files: str, connections: int, tmp_path: Path, environments: Path
) -> None:
    async with served(engine, files, tmp_path, environments) as local, client(local) as session:
        known = objects.known(local.home, "parrot")
        assert known is not None and known.status is not None and known.status.resolved is not None
        assert known.status.resolved.engine.name == engine
        assert await wrong_answers(session, connections) == {}
        longest = max(book().values(), key=len)
        question = next(question for question, answer in book().items() if answer == longest)
        assert await streamed(session, question) == longest


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("engine", "files", "connections"), ENGINES[:1])
async def test_the_same_weights_also_embed(
    engine: str, files: str, connections: int, tmp_path: Path, environments: Path
) -> None:
    texts = list(book())[: connections + 1]
    async with machine(tmp_path, environments) as local, client(local) as session:
        await apply(local, {"model": {"source": str(PARROT / files), "tasks": ["embed"]}})
        together = await session.post("/v1/embeddings", json={"model": "parrot", "input": texts})
        vectors = [entry["embedding"] for entry in together.json()["data"]]
        alone = [
            (await session.post("/v1/embeddings", json={"model": "parrot", "input": text})).json() for text in texts
        ]
        for vector, single in zip(vectors, alone, strict=True):
            expected = single["data"][0]["embedding"]
            assert sum(a * b for a, b in zip(vector, expected, strict=True)) == pytest.approx(1.0, abs=1e-3)
