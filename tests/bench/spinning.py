"""How long engine threads may spin while they wait for each other: one answer, on idle and on busy cores.

`PYTHONPATH=tests python tests/bench/spinning.py [--environments FOLDER]` prints Markdown, asserts nothing.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import httpx2

from inferry.local.environments import EnvironmentStore
from inferry_runtime.engines import llamacpp
from support.engine_env import LLAMACPP_VERSION, PARROT
from support.local_machine import free_port

SETTINGS = {
    "library's default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    **{f"GOMP_SPINCOUNT={count}": {"GOMP_SPINCOUNT": str(count)} for count in (1_000, 10_000, 50_000)},
}
BUSY = (0, 2, 6)
ANSWERS = 8
PATIENCE_SECONDS = 3.0
ARGUMENTS = json.dumps({"n_ctx": 4096, "n_parallel": 4, "cpuparams.n_threads": 2})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, help="where engine environments are kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = EnvironmentStore(arguments.environments or Path(folder))
        python = asyncio.run(store.ensure("llamacpp", LLAMACPP_VERSION, "cpu", lambda _: None))
        print("| busy processes | setting | median | worst |\n|---|---|---|---|")
        for count in BUSY:
            _measure(python, count)


def _measure(python: Path, count: int) -> None:
    busy = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(count)]
    for process in busy:
        process.start()
    for name, environment in SETTINGS.items():
        took = _answers(python, environment)
        print(f"| {count} | {name} | {statistics.median(took):.3f} s | {max(took):.3f} s |", flush=True)
    for process in busy:
        process.kill()


def _spin() -> None:
    while True:
        pass


def _answers(python: Path, environment: dict[str, str]) -> list[float]:
    port = free_port()
    main_file = Path(llamacpp.__file__).with_name("llamacpp_server.py")
    model = PARROT / "gguf" / "parrot-f16.gguf"
    words = (python, "-P", main_file, "--model", model, "--host", "127.0.0.1", "--port", str(port))
    engine = subprocess.Popen(
        (*words, "--arguments", ARGUMENTS),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=120.0) as client:
            _first(client)
            took, until = [], time.monotonic() + PATIENCE_SECONDS
            while not took or (len(took) < ANSWERS and time.monotonic() < until):
                took.append(_ask(client))
            return took
    finally:
        engine.kill()
        engine.wait()


def _first(client: httpx2.Client) -> None:
    while True:
        try:
            _ask(client)
        except httpx2.HTTPError:
            time.sleep(0.05)
        else:
            return


def _ask(client: httpx2.Client) -> float:
    before = time.perf_counter()
    body = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": "Who are you?"}]}
    client.post("/v1/chat/completions", json=body).raise_for_status()
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
