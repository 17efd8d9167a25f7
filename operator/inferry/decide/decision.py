"""What was decided for a deployment, with every engine's verdict."""

from collections.abc import Mapping
from dataclasses import dataclass

from inferry_runtime.engines.base import ArgumentValue, Verdict
from inferry_runtime.memory import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Hardware one replica runs on."""

    node: str
    """A node that fits now; a hint, not a promise: the world schedules."""
    accelerator: str = ""
    """Product name; "" for CPU only."""
    vendor: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    engine: str
    version: str
    variant: str
    image: str
    arguments: Mapping[str, ArgumentValue]
    extra_arguments: tuple[str, ...]
    context_length: int
    """Tokens one request may use."""
    parallel: int
    placement: Placement
    estimate: Estimate
    verdicts: tuple[Verdict, ...]
    """All engines, best first; the chosen one is the first accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoDecision:
    """Nothing fits, or what was asked for by name does not."""

    reason: str
    """A condition reason, such as "NoCompatibleEngine" or "InsufficientMemory"."""
    message: str
    verdicts: tuple[Verdict, ...]
