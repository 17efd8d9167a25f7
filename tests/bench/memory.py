"""Estimated against measured memory of the example model in MiB, on each engine at three context lengths.

`python tests/bench/memory.py [--environments FOLDER]` prints a Markdown table. Measured is the peak resident set of the
engine process after a prompt that fills the context. Asserts nothing.
"""

import argparse
import asyncio
import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inferry.catalog.load import load_catalog
from inferry.local.environments import EnvironmentStore
from inferry_runtime.engines.base import Engine, EngineRelease, Intent, Launch
from inferry_runtime.engines.registry import engine_named
from inferry_runtime.hardware import Hardware
from inferry_runtime.memory import MIB, Estimate
from inferry_runtime.model.inspection import Inspection, InspectionRequest
from inferry_runtime.model.listing import Access
from inferry_runtime.model.remote import inspect_source
from inferry_runtime.order import EngineOrder, ModelOrder, Probe, ServeOrder

PARROT = Path(__file__).parents[2] / "examples" / "models" / "parrot"
CONTEXTS = (512, 2048, 8192)
COLUMNS = (
    *("engine", "context", "weights", "KV cache", "compute", "engine itself"),
    *("estimate", "measured peak", "estimate / measured"),
)
START_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    engine: str
    context: int
    estimate: Estimate
    measured_bytes: int
    prompt_tokens: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=Path.home() / ".inferry" / "envs")
    store = EnvironmentStore(parser.parse_args().environments)
    print(f"| {' | '.join(COLUMNS)} |")
    print(f"|{'---|' * len(COLUMNS)}")
    for name, folder in (("llamacpp", "gguf"), ("transformers", "safetensors")):
        release = load_catalog().release(name)
        python = asyncio.run(store.ensure(name, release.version, "cpu", lambda _: None))
        found = inspect_source(InspectionRequest(source=str(PARROT / folder)), Access())
        for context in CONTEXTS:
            print(line(measure(engine_named(name), release, python, found, context)), flush=True)


def line(row: Row) -> str:
    parts = row.estimate
    sizes = (parts.weights_bytes, parts.kv_cache_bytes, parts.compute_bytes, parts.overhead_bytes, parts.total_bytes)
    cells = [f"{size / MIB:.1f}" for size in (*sizes, row.measured_bytes)]
    ratio = f"{parts.total_bytes / row.measured_bytes:.2f}"
    return f"| {row.engine} | {row.context} ({row.prompt_tokens} asked) | {' | '.join(cells)} | {ratio} |"


def measure(engine: Engine, release: EngineRelease, python: Path, found: Inspection, context: int) -> Row:
    intent = Intent(context_length=context, parallel=1, arguments={}, accelerators=0)
    machine = Hardware(name="here", system="linux", machine="x86_64", cpus=2, memory_bytes=0)
    order = order_of(engine, release, found, dict(engine.arguments(found.facts, machine, intent)))
    root = Path(found.source.removeprefix("file://"))
    port = free_port()
    command = engine.command(order, Launch(python=python, model_root=root, host="127.0.0.1", port=port))
    with subprocess.Popen(
        command.argv, env=command.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}{engine.health_path}", process)
            # llama.cpp refuses prompts beyond what the model was trained for, whatever its context is.
            longest = found.facts.context_length if engine.name == "llamacpp" else None
            asked = fill(f"http://127.0.0.1:{port}/v1/completions", min(context, longest or context))
            peak = peak_bytes(process.pid)
        finally:
            process.kill()
    return Row(
        engine=engine.name,
        context=context,
        estimate=engine.estimate(found.facts, intent),
        measured_bytes=peak,
        prompt_tokens=asked,
    )


def order_of(engine: Engine, release: EngineRelease, found: Inspection, arguments: dict[str, Any]) -> ServeOrder:
    return ServeOrder(
        deployment="bench/parrot",
        served_names=("parrot",),
        model=ModelOrder(
            source=found.source,
            revision=found.revision,
            files=found.files,
            primary=found.primary,
            projector=found.projector,
        ),
        engine=EngineOrder(name=engine.name, version=release.version, variant="cpu", arguments=arguments),
        probe=Probe(task="generate", prompt="Hello", timeout_seconds=60.0),
        drain_seconds=1.0,
    )


def fill(url: str, context: int) -> int:
    """Ask with a prompt that leaves room for a few tokens; answers how many tokens it had."""
    sample = "Who are you and what can you say? " * 4
    per_sample = ask(url, sample)
    return ask(url, sample * max(1, (context - 32) // per_sample))


def ask(url: str, prompt: str) -> int:
    body = json.dumps({"model": "parrot", "prompt": prompt, "max_tokens": 8, "temperature": 0}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=START_SECONDS) as response:
        return int(json.load(response)["usage"]["prompt_tokens"])


def wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise RuntimeError(f"the engine did not become healthy, exit status {process.poll()}")


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) * 1024


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
