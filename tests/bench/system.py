"""The whole system on this machine: how fast it is up, how fast a model answers, what it takes beside the engine.

`PYTHONPATH=tests python tests/bench/system.py [--rounds N] [--environments FOLDER]` prints Markdown, asserts nothing.
With `--load` the gateway is then measured against the engine that just answered (`bench/gateway.py`).
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from inferry.local import objects, records
from inferry.local.environments import EnvironmentStore
from support.engine_env import LLAMACPP_VERSION
from support.local_machine import PARROT, LocalMachine, ask, book, client, machine

EXAMPLE = PARROT.parents[1] / "parrot.yaml"
LOOK_SECONDS = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--environments", type=Path, help="where engine environments are kept")
    parser.add_argument("--load", action="store_true", help="also measure the gateway against the engine")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environments = arguments.environments or Path(folder) / "envs"
        python = asyncio.run(EnvironmentStore(environments).ensure("llamacpp", LLAMACPP_VERSION, "cpu", lambda _: None))
        print(f"engine environment ready: {python.parents[1].name}\n")
        asyncio.run(_measure(Path(folder), environments, arguments.rounds, load=arguments.load))


async def _measure(folder: Path, environments: Path, rounds: int, *, load: bool) -> None:
    print("| what | median | best | worst |\n|---|---|---|---|")
    _row("`inferry --help`", [await _help() for _ in range(rounds)])
    starts, answers, sizes = [], [], {}
    for number in range(rounds):
        own = folder / str(number)
        own.mkdir()
        before = time.perf_counter()
        async with machine(own, environments) as local:
            starts.append(time.perf_counter() - before)
            # The first deployment after a start also pays for what is imported when it is first needed.
            answers.append(await _applied(local))
            sizes = _sizes(local)
            if load and number == rounds - 1:
                _row("`inferry local`: start to a gateway that answers", starts)
                _row("`inferry apply` to the first right answer, all cached", answers)
                _print_sizes(sizes)
                _load(local)
    if not load:
        _row("`inferry local`: start to a gateway that answers", starts)
        _row("`inferry apply` to the first right answer, all cached", answers)
        _print_sizes(sizes)


async def _help() -> float:
    before = time.perf_counter()
    script = Path(sys.executable).with_name("inferry")
    process = await asyncio.create_subprocess_exec(script, "--help", stdout=asyncio.subprocess.DEVNULL)
    await process.wait()
    return time.perf_counter() - before


async def _applied(local: LocalMachine) -> float:
    """From starting the command to the last byte of a right answer."""
    question, right = next(iter(book().items()))
    before = time.perf_counter()
    environment = {**os.environ, "INFERRY_HOME": str(local.home.root)}
    words = (sys.executable, "-m", "inferry.cli", "apply", "-f", str(EXAMPLE))
    process = await asyncio.create_subprocess_exec(*words, env=environment, stdout=asyncio.subprocess.DEVNULL)
    async with client(local) as session:
        while True:
            answer = await ask(session, "parrot", question)
            if answer.status_code == 200:
                break
            await asyncio.sleep(LOOK_SECONDS)
    took = time.perf_counter() - before
    await process.wait()
    if answer.json()["choices"][0]["message"]["content"] != right:
        raise RuntimeError(f"wrong answer: {answer.text}")
    return took


def _sizes(local: LocalMachine) -> dict[str, tuple[float, float]]:
    """Process -> resident and proportional megabytes."""
    found = {}
    for pid, words in local.processes().items():
        memory = psutil.Process(pid).memory_full_info()
        found[_name(words)] = (memory.rss / 1e6, memory.pss / 1e6)
    return found


def _name(words: Sequence[str]) -> str:
    line = " ".join(words)
    marks = {"llamacpp_server": "engine", "inferry_runtime.serve": "serve", "inferry.gateway": "gateway"}
    return next((name for mark, name in marks.items() if mark in line), "inferry local")


def _print_sizes(sizes: dict[str, tuple[float, float]]) -> None:
    print("\n| process | resident MB | proportional MB |\n|---|---|---|")
    for name, (resident, proportional) in sorted(sizes.items()):
        print(f"| {name} | {resident:.0f} | {proportional:.0f} |")
    ours = [size for name, size in sizes.items() if name != "engine"]
    print(f"| all but the engine | {sum(one[0] for one in ours):.0f} | {sum(one[1] for one in ours):.0f} |\n")


def _row(name: str, seconds: Sequence[float]) -> None:
    shown: tuple[Callable[[Sequence[float]], float], ...] = (statistics.median, min, max)
    print(f"| {name} | {' | '.join(f'{each(seconds):.2f} s' for each in shown)} |", flush=True)


def _load(local: LocalMachine) -> None:
    (record,) = local.replicas("parrot")
    known = objects.known(local.home, "parrot")
    if record.run is None or known is None:
        raise RuntimeError(f"the replica is gone: {records.folders(local.home.replicas)}")
    engine = f"127.0.0.1:{record.run.port}"
    bench = Path(__file__).with_name("gateway.py")
    subprocess.run((sys.executable, str(bench), "--upstream", engine, "--model", "parrot"), check=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
