"""A running `serve` process, watched through what it tells: its log, its status port, its last words."""

import json
import os
import select
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from inferry_runtime import report
from inferry_runtime.order import EngineOrder, ModelOrder, OrderedFile, Probe, ServeOrder, encode
from inferry_runtime.report import ServeReport

ARGUMENTS: Mapping[str, int] = {"cpuparams.n_threads": 1, "n_ctx": 2048, "n_parallel": 2}


def order_for(file: Path, **changes: Any) -> ServeOrder:
    """An order for one local GGUF on llama.cpp; `engine`, `model` and `probe` take dictionaries of changes."""
    model = {
        "source": str(file.parent),
        "revision": "test",
        "files": (OrderedFile(path=file.name, size_bytes=file.stat().st_size, sha256=digest(file)),),
        "primary": file.name,
        **changes.pop("model", {}),
    }
    engine = {
        "name": "llamacpp",
        "version": "test",
        "variant": "cpu",
        "arguments": ARGUMENTS,
        **changes.pop("engine", {}),
    }
    probe = {"task": "chat", "prompt": "Who are you?", "timeout_seconds": 60.0, **changes.pop("probe", {})}
    return ServeOrder(
        deployment="default/test",
        served_names=("parrot",),
        model=ModelOrder(**model),
        engine=EngineOrder(**engine),
        probe=Probe(**probe),
        **{"drain_seconds": 60.0, **changes},
    )


def digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Replica:
    process: subprocess.Popen[str]
    folder: Path
    port: int
    status_port: int
    events: list[dict[str, Any]] = field(default_factory=list)

    def wait_for(self, event: str) -> dict[str, Any]:
        """The next log line with this event; an AssertionError with everything it said when it ends without."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.events.append(json.loads(line))
            except json.JSONDecodeError:
                self.events.append({"event": line})
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"ended without {event!r}: {self.events}\n{self.output()}")

    def get(self, path: str) -> tuple[int, bytes]:
        return fetch(f"http://127.0.0.1:{self.status_port}{path}")

    def progress(self) -> ServeReport:
        return report.decode(self.get("/progress")[1])

    def ask(self, question: str, **more: Any) -> str:
        body = {"model": "parrot", "messages": [{"role": "user", "content": question}], "temperature": 0, **more}
        status, answer = fetch(f"http://127.0.0.1:{self.port}/v1/chat/completions", body)
        assert status == 200, answer
        return str(json.loads(answer)["choices"][0]["message"]["content"])

    def end(self) -> int:
        """Its exit status, when it ends by itself."""
        with self.process.stderr or open(os.devnull):
            return self.process.wait(60)

    def last_words(self) -> ServeReport:
        return report.decode((self.folder / "termination.json").read_bytes())

    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")


def fetch(url: str, body: Any = None) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@contextmanager
def replica(folder: Path, order: ServeOrder, python: Path, *options: str, port: int | None = None) -> Iterator[Replica]:
    """Start it; afterwards nothing of it is left, however the test went."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "order.json").write_bytes(encode(order))
    ports = (port or free_port(), free_port())
    argv = (sys.executable, "-m", "inferry_runtime.serve", "--host", "127.0.0.1")
    places = ("--order", folder / "order.json", "--store", folder / "store", "--python", python)
    where = ("--port", ports[0], "--status-port", ports[1], "--termination-log", folder / "termination.json")
    words = [str(word) for word in (*argv, *places, *where, *options)]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.PIPE, text=True)
    try:
        yield Replica(process, folder, *ports)
    finally:
        # Its engine dies with it.
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


@contextmanager
def watched(pid: int) -> Iterator["Watched"]:
    """Follow one process by a descriptor, so that no other can be taken for it."""
    descriptor = os.pidfd_open(pid)
    try:
        yield Watched(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Watched:
    descriptor: int

    def ends(self, seconds: float = 30.0) -> bool:
        readable, _, _ = select.select([self.descriptor], [], [], seconds)
        return bool(readable)

    def is_running(self) -> bool:
        return not self.ends(0)
