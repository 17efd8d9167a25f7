"""The command line of `serve`: what differs between the places an order can run in."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inferry_runtime.serve.vigil import HEALTH_SECONDS

LEASE_GRACE_SECONDS = 120.0
"""A restart of the owner takes seconds, an upgrade under a minute; nobody should pay for orphans much longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    order: Path
    store: Path
    python: Path
    """Interpreter of the engine's own environment."""
    host: str
    port: int | None
    """None: as the order says. The same for `status_port`."""
    status_port: int | None
    termination_log: Path | None
    lease: Path | None
    """A file the owner keeps locked; None when whoever started this process ends it too."""
    lease_grace_seconds: float
    health_seconds: float


def parse(arguments: Sequence[str]) -> Options:
    """Exits with status 2 and a usage line when the arguments are wrong."""
    parser = argparse.ArgumentParser(prog="inferry-serve", allow_abbrev=False, description=__doc__)
    parser.add_argument("--order", type=Path, required=True, help="ServeOrder as JSON")
    parser.add_argument("--store", type=Path, required=True, help="folder of the model store")
    parser.add_argument("--python", type=Path, required=True, help="interpreter of the engine's environment")
    parser.add_argument("--host", required=True, help="address the engine and the status server listen on")
    parser.add_argument("--port", type=int)
    parser.add_argument("--status-port", type=int)
    parser.add_argument("--termination-log", type=Path)
    parser.add_argument("--lease", type=Path, help="end when nobody has locked this file for the grace period")
    parser.add_argument("--lease-grace-seconds", type=float, default=LEASE_GRACE_SECONDS)
    parser.add_argument("--health-seconds", type=float, default=HEALTH_SECONDS, help="between two looks at the engine")
    return Options(**vars(parser.parse_args(arguments)))
