"""A hub that has the model, a gate that always opens, and processes that do not outlive their test."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest

from component.model_store.world import FILES, Fetching, Start, Tuning
from hub.orders import order_everything
from hub.server import Hub
from inferry_runtime.model.listing import Access

SCRIPT = Path(__file__).with_name("fetching.py")


@pytest.fixture
def hub(gate: threading.Event) -> Iterator[Hub]:
    with Hub() as running:
        running.add_model("org/name", FILES)
        yield running
        gate.set()


@pytest.fixture
def gate() -> threading.Event:
    """For faults that hold an answer back; opened at the end whatever happens."""
    return threading.Event()


@pytest.fixture
def start(hub: Hub, tmp_path: Path) -> Iterator[Start]:
    """Starts a process that fetches the model."""
    order = order_everything("hf://org/name", Access(mirror=hub.url))
    hub.requests.clear()
    with ExitStack() as stack:

        def start_one(store: Path, tuning: Tuning, largest_file: int = 0) -> Fetching:
            job = {
                "store": str(store),
                "order": msgspec.json.encode(order).decode(),
                "tuning": asdict(tuning),
                "largest_file": largest_file,
            }
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), json.dumps(job)],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "HF_TOKEN_PATH": str(tmp_path / "none"), "NO_PROXY": "*"},
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start_one
