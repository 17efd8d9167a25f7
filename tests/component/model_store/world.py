"""What the tests here share: a model, and processes that fetch it."""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

from inferry_runtime.model.store import Tuning

_chance = random.Random(1)
FILES = {
    "config.json": b"{}",
    "a-00001-of-00002.safetensors": _chance.randbytes(5_000_000),
    "a-00002-of-00002.safetensors": _chance.randbytes(3_000_000),
    "tokenizer.json": _chance.randbytes(300_000),
}
SIZE = sum(len(content) for content in FILES.values())

Fetching = subprocess.Popen[str]
Start = Callable[..., Fetching]
__all__ = ["FILES", "SIZE", "Fetching", "Start", "Tuning", "content", "outcome", "wait_for_word_about"]


def outcome(process: Fetching) -> dict[str, object]:
    """The last line, once it has ended."""
    said, _ = process.communicate(timeout=60)
    last: dict[str, object] = json.loads(said.splitlines()[-1])
    return last


def wait_for_word_about(process: Fetching, file: str) -> int:
    """Bytes done, from the first line that speaks of `file`."""
    assert process.stdout is not None
    for line in process.stdout:
        said = json.loads(line)
        if said.get("file") == file:
            return int(said["done_bytes"])
    raise AssertionError(f"it ended without a word about {file}")


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
