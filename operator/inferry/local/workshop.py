"""What all replicas of a machine share, and the command each of them is started with."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inferry.local import view
from inferry.local.home import Home, ReplicaFolder
from inferry.local.restarts import RestartPolicy
from inferry.plan.types import Progress


class Environments(Protocol):
    async def ensure(self, engine: str, version: str, variant: str, on_progress: Callable[[Progress], None]) -> Path:
        """The interpreter of the engine's own environment, made when it is not there yet."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What all replicas of a machine share."""

    home: Home
    environments: Environments
    policy: RestartPolicy
    clock: Callable[[], float]
    """Unix seconds."""
    environment: Mapping[str, str]
    """Given to every process."""


def serve_command(
    home: Home, folder: ReplicaFolder, python: Path, engine_port: int, status_port: int
) -> tuple[str, ...]:
    """Pure: the process of a replica. `python` is the interpreter of its engine's environment, not its own."""
    options = {
        "--order": folder.order,
        "--store": home.store,
        "--python": python,
        "--host": view.HOST,
        "--port": engine_port,
        "--status-port": status_port,
        "--termination-log": folder.termination,
        "--lease": home.lock,
    }
    # -P: a file of the user's that is called like a module of ours must not be imported from where they stand.
    words = (str(word) for pair in options.items() for word in pair)
    return (sys.executable, "-P", "-m", "inferry_runtime.serve", *words)
