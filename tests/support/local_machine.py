"""`inferry local` for real, in a home of its own: started, killed, asked, and looked at from outside."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2

from inferry.api.conditions import condition
from inferry.api.model_deployment import DeploymentSpec, Metadata, Model, ModelDeployment
from inferry.api.status import Condition, ConditionType
from inferry.local import objects, proc, records
from inferry.local.home import Home
from inferry.local.records import ReplicaRecord

PARROT = Path(__file__).parents[2] / "examples" / "models" / "parrot"
OWNER = Path(__file__).with_name("local_owner.py")
NOTHING: Mapping[str, Any] = MappingProxyType({})
LOOK_SECONDS = 0.02
# Two loaded cores and cold caches; everything here takes a second or two on an idle machine.
PATIENCE_SECONDS = 60.0


def book() -> Mapping[str, str]:
    """Question -> the one right answer."""
    lines = (PARROT / "questions.jsonl").read_text().splitlines()
    return {entry["question"]: entry["answer"] for entry in map(json.loads, lines)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Ledger:
    """What became of the questions that were asked."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class LocalMachine:
    def __init__(self, folder: Path, environments: Path) -> None:
        self.home = Home(folder / "home")
        self.home.root.mkdir(parents=True)
        self.home.environments.symlink_to(environments)
        self.port = free_port()
        self.log = folder / "owner.log"
        self._owner: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def owner_pid(self) -> int:
        assert self._owner is not None
        return self._owner.pid

    async def start(self, host: str = "127.0.0.1") -> str:
        """Its first line: READY when it is up, else what is wrong."""
        await self.launch(host)
        assert self._owner is not None
        assert self._owner.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            return (await self._owner.stdout.readline()).decode().strip()

    async def launch(self, host: str = "127.0.0.1") -> None:
        """From now on the owner runs, and may be killed."""
        with self.log.open("ab") as log:
            self._owner = await asyncio.create_subprocess_exec(
                sys.executable,
                str(OWNER),
                str(self.home.root),
                str(self.port),
                host,
                str(os.getpid()),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )

    async def end(self, number: signal.Signals) -> int:
        """Signal the owner and wait for its exit status."""
        assert self._owner is not None
        if self._owner.returncode is None:
            self._owner.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """The owner's exit status."""
        assert self._owner is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._owner.wait()

    def apply(self, name: str, *, engine: Mapping[str, Any] = NOTHING, **spec: object) -> None:
        """Several engines with as many threads as cores would mostly wait for each other."""
        args = {"cpuparams.n_threads": 1, **engine.get("args", {})}
        model = Model(source=str(PARROT / "gguf"))
        document = DeploymentSpec.model_validate({"model": model, "engine": {**engine, "args": args}, **spec})
        objects.save(self.home, ModelDeployment(metadata=Metadata(name=name), spec=document))

    def condition(self, name: str, about: ConditionType) -> Condition | None:
        """None also when what is known is not about the spec as it is written now."""
        known, written = objects.known(self.home, name), objects.parse_or_none(self.home.deployment(name))
        if known is None or known.status is None or written is None or known.spec != written.spec:
            return None
        if known.status.observed_generation != known.metadata.generation:
            return None
        return condition(known.status.conditions, about)

    def is_settled(self, name: str) -> bool:
        """Ready, and nothing under way."""
        ready = self.condition(name, ConditionType.READY)
        moving = self.condition(name, ConditionType.PROGRESSING)
        return ready is not None and ready.status == "True" and moving is not None and moving.status == "False"

    async def settled(self, *names: str) -> None:
        await until(lambda: all(self.is_settled(name) for name in names), lambda: self.story(*names))

    def story(self, *names: str) -> str:
        """For a test that gives up waiting."""
        known = (objects.known(self.home, name) for name in names)
        said = [str(one.status) for one in known if one is not None]
        return "\n".join([*said, self.log.read_text()[-4000:]])

    def replicas(self, name: str) -> tuple[ReplicaRecord, ...]:
        found = []
        for folder in records.folders(self.home.replicas):
            try:
                record, _ = records.read(folder)
            except records.RecordError:
                continue
            found.append(record)
        return tuple(record for record in found if record.deployment == name)

    def processes(self) -> Mapping[int, tuple[str, ...]]:
        """Everything that runs for this home, the owner among it."""
        mark = str(self.home.root)
        return {pid: words for pid, words in proc.command_lines().items() if any(mark in word for word in words)}

    def pids_of(self, word: str) -> list[int]:
        """Of those with this word in their command lines."""
        return [pid for pid, words in self.processes().items() if any(word in each for each in words)]


@asynccontextmanager
async def machine(folder: Path, environments: Path) -> AsyncIterator[LocalMachine]:
    """Up when it is entered; nothing of it is left afterwards, whatever happened in between."""
    local = LocalMachine(folder, environments)
    try:
        first = await local.start()
        assert first.startswith("READY"), first + local.log.read_text()
        yield local
        await local.end(signal.SIGTERM)
        left = local.processes()
        assert not left, f"left behind: {left}"
    finally:
        for pid in local.processes():
            kill(pid)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


async def until(
    true: Callable[[], bool], story: Callable[[], str] = lambda: "", *, look_seconds: float = LOOK_SECONDS
) -> None:
    """Look until it is so. Raises TimeoutError with the story."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not true():  # noqa: ASYNC110 - other processes make it so
                await asyncio.sleep(look_seconds)
    except TimeoutError:
        raise TimeoutError(story()) from None


@asynccontextmanager
async def client(local: LocalMachine) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=local.url, timeout=PATIENCE_SECONDS) as session:
        yield session


async def ask(session: httpx2.AsyncClient, model: str, question: str) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0}
    return await session.post("/v1/chat/completions", json=body)


async def ask_once(session: httpx2.AsyncClient, model: str, question: str, ledger: Ledger) -> None:
    """One question, booked as right, wrong or failed."""
    try:
        answer = await ask(session, model, question)
    except httpx2.HTTPError as error:
        ledger.failed.append(repr(error))
        return
    if answer.status_code != 200:
        ledger.failed.append(f"{answer.status_code} {answer.text}")
    elif answer.json()["choices"][0]["message"]["content"] == book()[question]:
        ledger.right += 1
    else:
        ledger.wrong.append(answer.text)


async def answers(local: LocalMachine, model: str) -> None:
    """Wait for a right answer; a wrong one is an error at once."""
    ledger = Ledger()
    question = next(iter(book()))
    async with client(local) as session, asyncio.timeout(PATIENCE_SECONDS):
        while not ledger.right:
            await ask_once(session, model, question, ledger)
            assert not ledger.wrong, ledger.wrong
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def traffic(local: LocalMachine, model: str, connections: int = 4) -> AsyncIterator[Ledger]:
    """Questions without a pause until it is left."""
    ledger = Ledger()
    async with client(local) as session, asyncio.TaskGroup() as group:
        asking = [group.create_task(_ask_on(session, model, ledger, start)) for start in range(connections)]
        yield ledger
        for task in asking:
            task.cancel()


async def _ask_on(session: httpx2.AsyncClient, model: str, ledger: Ledger, start: int) -> None:
    for question in _round_and_round(list(book()), start):
        await ask_once(session, model, question, ledger)
        await asyncio.sleep(0.005)


def _round_and_round(questions: list[str], start: int) -> Iterator[str]:
    while True:
        yield from questions[start * 7 :]
        yield from questions[: start * 7]


@contextmanager
def listener(port: int) -> Iterator[None]:
    """Somebody else on a port."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        yield
