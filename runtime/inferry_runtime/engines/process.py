"""What the processes of all engines have in common: they never reach out, and inherit nothing by accident."""

from collections.abc import Mapping

from inferry_runtime.engines.base import ArgumentValue, Launch
from inferry_runtime.order import ServeOrder

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
SPINS = "10000"
"""Rounds a thread of GNU OpenMP spins before it sleeps. As fast as the library's 300,000 on idle cores, where never
spinning is 13 times slower; on busy ones that default can take seconds for an answer of a hundredth (see the
benchmarks)."""


def offline_environment(order: ServeOrder, launch: Launch) -> Mapping[str, str]:
    """The engine's own programs first on PATH, no hub, no telemetry; what the order names wins."""
    return {
        "GOMP_SPINCOUNT": SPINS,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "PATH": f"{launch.python.parent}:{SYSTEM_PATH}",
        "PYTHONUNBUFFERED": "1",
        "TRANSFORMERS_OFFLINE": "1",
        **order.engine.environment,
    }


def options(arguments: Mapping[str, ArgumentValue]) -> tuple[str, ...]:
    """Command-line options: `tp_size: 2` is `--tp-size 2`, true is the bare option, false leaves it out."""
    return tuple(part for name, value in sorted(arguments.items()) for part in _option(name, value))


def _option(name: str, value: ArgumentValue) -> tuple[str, ...]:
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return (option,) if value else ()
    return (option, str(value))
