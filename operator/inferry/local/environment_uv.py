"""uv as a child process: its lines as progress, its complaints as typed errors."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from inferry.local.environment_errors import (
    EnvironmentDiskFull,
    EnvironmentFailed,
    IndexIncomplete,
    IndexUnreachable,
)
from inferry.plan.types import Progress

_DOWNLOADING = re.compile(r"^Downloading (?P<name>\S+) \((?P<size>[\d.]+)(?P<unit>[KMGT]?i?B)\)")
_DOWNLOADED = re.compile(r"^\s*Downloaded (?P<name>\S+)")
_PREPARED = re.compile(r"^Prepared (?P<count>\d+) packages?")
_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}

_UNREACHABLE = re.compile(
    r"error sending request|dns error|[Cc]onnection (?:refused|reset)|timed out|client error \(Connect\)|"
    r"HTTP status (?:client|server) error \((?:407|429|5\d\d)|UnknownIssuer|certificate"
)
_INCOMPLETE = re.compile(
    r"[Hh]ash mismatch|no version of|not found in the package registry|no wheels? with a matching|no wheels are usable|"
    r"HTTP status client error \((?:401|403|404)"
)
_DISK_FULL = re.compile(r"[Nn]o space left on device|os error 28|[Dd]isk quota exceeded")

_COMPLAINS = re.compile(r"\W*(?:error|No solution|Failed)\b")

COMPLAINT_LINES = 8


@dataclass(slots=True)
class Downloads:
    """What uv has told so far. It names packages above one megabyte only; the others arrive unnoticed."""

    tell: Callable[[Progress], None]
    sizes: dict[str, int] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def line(self, line: str) -> None:
        if found := _DOWNLOADING.match(line):
            self.sizes[found["name"]] = int(float(found["size"]) * _UNITS[found["unit"]])
        elif found := _DOWNLOADED.match(line):
            self.done.add(found["name"])
        elif found := _PREPARED.match(line):
            self.tell(Progress(message=f"installing {found['count']} packages"))
            return
        else:
            return
        waiting = sorted(self.sizes.keys() - self.done, key=lambda name: self.sizes[name])
        message = f"downloading {waiting[-1]}" if waiting else "unpacking"
        arrived = sum(size for name, size in self.sizes.items() if name in self.done)
        self.tell(Progress(message=message, done=arrived, total=sum(self.sizes.values())))


def find_uv() -> Path:
    """The one that came with us, else one on PATH. Raises EnvironmentFailed."""
    import uv

    try:
        return Path(os.fsdecode(uv.find_uv_bin()))
    except FileNotFoundError:
        found = shutil.which("uv")
    if found is None:
        raise EnvironmentFailed("uv was not found", hint="Install it: python -m pip install uv")
    return Path(found)


def uv_environment(given: Mapping[str, str]) -> dict[str, str]:
    """The user's own settings for indexes, proxies and certificates, but not the environment they stand in."""
    kept = {name: value for name, value in given.items() if name not in _NOT_FOR_UV}
    if "PIP_INDEX_URL" in given and not given.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        kept["UV_DEFAULT_INDEX"] = given["PIP_INDEX_URL"]
    # Many machines cannot download interpreters, and this one has one: ours.
    return {**kept, "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}


_NOT_FOR_UV = frozenset(
    {"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT"}
)


async def run(argv: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]) -> None:
    """Raises EnvironmentFailed when it ends with an error. When cancelled, it is killed first."""
    lines: list[str] = []
    async with _process(argv, environment) as process:
        assert process.stdout is not None
        async for raw in process.stdout:
            line = raw.decode("utf-8", errors="replace").rstrip()
            lines.append(line)
            on_line(line)
        status = await process.wait()
    if status != 0:
        raise error_of(lines, status)


def error_of(lines: Sequence[str], status: int) -> EnvironmentFailed:
    """The most specific error that what uv wrote allows."""
    text = "\n".join(lines)
    complaint = next((number for number, line in enumerate(lines) if _COMPLAINS.match(line)), 0)
    message = "; ".join(line.strip() for line in lines[complaint:][:COMPLAINT_LINES] if line.strip())
    message = message or f"uv ended with status {status}"
    if _DISK_FULL.search(text):
        return EnvironmentDiskFull(
            message, hint="Free some space, or set INFERRY_HOME and UV_CACHE_DIR to a larger disk."
        )
    if _INCOMPLETE.search(text):
        return IndexIncomplete(message, hint="Use an index that has the locked packages for this machine, unchanged.")
    if _UNREACHABLE.search(text):
        return IndexUnreachable(
            message,
            hint="Check the network and proxy, or name a mirror in UV_DEFAULT_INDEX and its CA in SSL_CERT_FILE.",
        )
    return EnvironmentFailed(message, hint="Run the same start again; if it stays, the lines above say what uv needs.")


@asynccontextmanager
async def _process(argv: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
