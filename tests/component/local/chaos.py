"""Kill at random, look at what is left: `PYTHONPATH=tests python -m component.local.chaos --rounds 100`.

A round kills an engine, its supervisor, the gateway or the owner with SIGKILL at a random moment, often in the middle
of a start or a rollout, while clients ask without a pause. Afterwards, by itself (a dead owner is started again, as
an init system would), everything has to be as it was: right answers, one gateway, the wanted number of replicas, no
other process, no file set aside. An answer may fail to come; it may never be wrong.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL

import httpx2

from inferry.local.environments import EnvironmentStore
from support.engine_env import LLAMACPP_VERSION
from support.local_machine import Ledger, LocalMachine, answers, book, client, kill, machine, until

MODEL = "parrot"
REPLICAS = 2
VICTIMS = {"engine": "llamacpp_server", "supervisor": "inferry_runtime.serve", "gateway": "inferry.gateway"}
# A start takes about a second: the blow falls before, within and after one.
LATEST_BLOW_SECONDS = 1.5


@dataclass
class Findings:
    ledger: Ledger = field(default_factory=Ledger)
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Victim -> seconds from each blow to everything being as wanted."""


async def rounds(count: int, seed: int, folder: Path, environments: Path) -> Findings:
    """Raises AssertionError or TimeoutError, with the story, at the first thing that is not as it should be."""
    chance, findings = random.Random(seed), Findings()
    async with machine(folder, environments) as local:
        local.apply(MODEL, replicas=REPLICAS)
        await local.settled(MODEL)
        async with streams(local, findings.ledger):
            for number in range(count):
                await one_round(local, chance, findings)
                print(
                    f"round {number + 1}: {findings.ledger.right} right, {len(findings.ledger.failed)} failed",
                    flush=True,
                )
    assert findings.ledger.right
    return findings


async def one_round(local: LocalMachine, chance: random.Random, findings: Findings) -> None:
    if chance.random() < 0.3:
        local.apply(MODEL, replicas=REPLICAS, engine={"args": {"n_ctx": chance.choice((8192, 10240, 12288))}})
    await asyncio.sleep(chance.uniform(0, LATEST_BLOW_SECONDS))
    victim = chance.choice((*VICTIMS, "owner"))
    struck = time.monotonic()
    await strike(local, victim, chance)
    await until(lambda: as_wanted(local), lambda: f"after {victim}: {local.processes()}\n{local.story(MODEL)}")
    await answers(local, MODEL)
    findings.recoveries[victim].append(time.monotonic() - struck)
    assert not findings.ledger.wrong, findings.ledger.wrong
    assert not local.home.set_aside.exists(), [path.name for path in local.home.set_aside.iterdir()]


async def strike(local: LocalMachine, victim: str, chance: random.Random) -> None:
    if victim in VICTIMS:
        for pid in local.pids_of(VICTIMS[victim])[: chance.randint(1, REPLICAS)]:
            kill(pid)
        return
    await local.end(SIGKILL)
    if chance.random() < 0.3:
        await local.launch()
        await asyncio.sleep(chance.uniform(0, LATEST_BLOW_SECONDS))
        await local.end(SIGKILL)
    first = await local.start()
    assert first.startswith("READY"), first + local.story(MODEL)


def as_wanted(local: LocalMachine) -> bool:
    counts = {name: len(local.pids_of(word)) for name, word in VICTIMS.items()}
    return local.is_settled(MODEL) and counts == {"engine": REPLICAS, "supervisor": REPLICAS, "gateway": 1}


@asynccontextmanager
async def streams(local: LocalMachine, ledger: Ledger) -> AsyncIterator[None]:
    """Four clients that read streamed answers, from now on until it is left."""
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(_read_streams(local, ledger, seed)) for seed in range(4)]
        yield
        for task in asking:
            task.cancel()


async def _read_streams(local: LocalMachine, ledger: Ledger, seed: int) -> None:
    questions, chance = list(book()), random.Random(seed)
    while True:
        async with client(local) as session:
            question = chance.choice(questions)
            await _read_stream(session, question, ledger)
        await asyncio.sleep(0.01)


async def _read_stream(session: httpx2.AsyncClient, question: str, ledger: Ledger) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": question}], "temperature": 0, "stream": True}
    said, done, right = "", False, book()[question]
    try:
        async with session.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                ledger.failed.append(f"{answer.status_code} {(await answer.aread()).decode()}")
                return
            async for line in answer.aiter_lines():
                done = done or line == "data: [DONE]"
                said += _text(line)
    except httpx2.HTTPError as error:
        ledger.failed.append(repr(error))
    _book(said, done, right, ledger)


def _book(said: str, done: bool, right: str, ledger: Ledger) -> None:
    """A cut answer may be short, never different."""
    if done and said == right:
        ledger.right += 1
    elif done or not right.startswith(said):
        ledger.wrong.append(f"{said!r} instead of {right!r}")
    else:
        ledger.failed.append(f"cut after {len(said)} characters")


def _text(line: str) -> str:
    if not line.startswith("data: {"):
        return ""
    choices = json.loads(line.removeprefix("data: ")).get("choices", ())
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    options = parser.parse_args()
    cache = os.environ.get("INFERRY_TEST_CACHE")
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="inferry-chaos-") as folder:
        environments = (Path(cache) if cache else Path(folder)) / "envs"
        asyncio.run(EnvironmentStore(environments).ensure("llamacpp", LLAMACPP_VERSION, "cpu", lambda _: None))
        found = asyncio.run(rounds(options.rounds, options.seed, Path(folder), environments))
    for victim, seconds in sorted(found.recoveries.items()):
        middle, longest = statistics.median(seconds), max(seconds)
        print(f"{victim}: {len(seconds)} times, back after {middle:.2f} s, at most {longest:.2f} s")
    print(f"answers: {found.ledger.right} right, {len(found.ledger.failed)} failed, {len(found.ledger.wrong)} wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
