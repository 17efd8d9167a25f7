"""Making one environment: in a folder of its own, published by one rename when it has proved itself."""

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from inferry.local import environment_uv as uv
from inferry.local.environment_check import COMPLETE, interpreter
from inferry.local.environment_errors import EnvironmentFailed, EnvironmentUnusable
from inferry.local.environment_requirements import RequirementSet
from inferry.plan.types import Progress

BUILDING = ".building-"


async def build(
    wanted: RequirementSet, target: Path, uv_binary: Path, given: Mapping[str, str], tell: Callable[[Progress], None]
) -> None:
    """Afterwards `target` is a complete environment. Whatever goes wrong before the last step leaves it absent.

    Raises EnvironmentFailed.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{BUILDING}{wanted.name}-", dir=target.parent))
    environment = uv.uv_environment(given)
    tell(Progress(message="making an environment"))
    # Relocatable, because it is renamed into place.
    make = (
        str(uv_binary),
        "venv",
        "--clear",
        "--relocatable",
        "--no-project",
        "--python",
        base_interpreter(),
        str(folder),
    )
    await uv.run(make, environment, _ignore)
    tell(Progress(message="finding packages"))
    python = str(interpreter(folder))
    sync = (str(uv_binary), "pip", "sync", "--python", python, "--require-hashes", str(wanted.path))
    await uv.run(sync, environment, uv.Downloads(tell).line)
    tell(Progress(message="trying the engine"))
    await _prove(folder, wanted, environment)
    (folder / COMPLETE).write_bytes(msgspec.json.encode({"name": wanted.name, "python": base_interpreter()}))
    os.rename(folder, target)


def base_interpreter() -> str:
    """The interpreter below any virtual environment: ours may be removed, the machine's stays."""
    base: str = getattr(sys, "_base_executable", sys.executable) or sys.executable
    return base


async def _prove(folder: Path, wanted: RequirementSet, environment: Mapping[str, str]) -> None:
    """Import it once, as the engine will. This also leaves the byte code behind for the first start."""
    lines: list[str] = []
    statement = f"import {', '.join(wanted.imports)}"
    try:
        await uv.run((str(interpreter(folder)), "-I", "-c", statement), environment, lines.append)
    except EnvironmentFailed:
        last = lines[-1] if lines else "no message"
        raise EnvironmentUnusable(
            f"{wanted.name} is installed, but cannot be imported: {last}", hint=_missing_library(last)
        ) from None


def _missing_library(line: str) -> str:
    if "libgomp" in line:
        return "Install the OpenMP runtime: libgomp1 on Debian and Ubuntu, libgomp on Fedora and RHEL."
    if "cannot open shared object file" in line:
        return "Install the system library the message names."
    return "The engine does not run on this machine; choose another engine or version."


def _ignore(line: str) -> None:
    """uv's remarks on an empty environment help nobody."""
