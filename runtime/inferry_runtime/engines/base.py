"""What every engine tells the rooms above: what it takes, how it is started, where it answers, how it fails."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from inferry_runtime.hardware import Hardware
from inferry_runtime.memory import Estimate
from inferry_runtime.model.facts import ModelFacts
from inferry_runtime.order import ServeOrder

ArgumentValue = str | int | float | bool


class Rejection(StrEnum):
    """Why an engine does not take a model here, in the order of the gates."""

    FORMAT_NOT_SUPPORTED = "FormatNotSupported"
    UNSAFE_FORMAT = "UnsafeFormat"
    QUANTIZATION_NOT_SUPPORTED = "QuantizationNotSupported"
    PLATFORM_NOT_SUPPORTED = "PlatformNotSupported"
    ACCELERATOR_MISSING = "AcceleratorMissing"
    ARCHITECTURE_NOT_SUPPORTED = "ArchitectureNotSupported"
    ENGINE_VERSION_TOO_OLD = "EngineVersionTooOld"
    TASK_NOT_SUPPORTED = "TaskNotSupported"
    UNKNOWN_ENGINE_ARGUMENT = "UnknownEngineArgument"
    INSUFFICIENT_MEMORY = "InsufficientMemory"
    ENGINE_NOT_INSTALLED = "EngineNotInstalled"
    NOT_REQUESTED = "NotRequested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One engine's answer about one model on one kind of hardware."""

    engine: str
    accepted: bool
    reason: str
    """A `Rejection`, or "Accepted"."""
    message: str
    """One sentence a person understands, with the numbers in it."""
    would_fit: str = ""
    """What would have to change for the engine to take it; "" when accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRelease:
    """One version of one engine as the catalog lists it."""

    engine: str
    version: str
    variants: tuple[str, ...]
    """Builds this project can install or has an image for ("cpu", "cuda"); empty: known, but not installable yet."""
    images: Mapping[str, str]
    """variant -> image reference."""
    architectures: Mapping[str, str] | None = None
    """architecture -> lowest engine version that loads it ("" = any). None: the engine publishes no list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One engine argument, as the installed version declares it."""

    name: str
    """The key under `engine.args`, nested by dots where the engine nests."""
    type: str
    """"string", "integer", "number", "boolean"."""
    choices: tuple[str, ...] = ()
    description: str = ""
    settable: bool = True
    """False: inferry decides it from the rest of the deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentProblem:
    name: str
    message: str
    nearest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What the user, or the default, wants of an engine; the engine turns it into arguments."""

    context_length: int
    """Tokens one request may use, prompt and answer together."""
    parallel: int
    """Requests answered at the same time."""
    arguments: Mapping[str, ArgumentValue]
    """`engine.args`: wins over everything derived."""
    accelerators: int
    """Devices one replica gets; 0 is CPU only."""
    cpus: float | None = None
    """Cores a replica is held to; None when nothing holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Where things are on the machine that runs the engine."""

    python: Path
    """Interpreter of the engine's own environment."""
    model_root: Path
    """Folder holding the verified files by their paths in the order."""
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to start: no shell, nothing inherited but what is named."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A line in an engine's log that names the cause of a failure."""

    pattern: re.Pattern[str]
    reason: str
    """One of the reasons in the status contract, such as "WeightsDoNotFit"."""
    hint: str
    """What to do about it, one sentence."""


class Engine(Protocol):
    """Stateless: everything that differs between releases comes in as data."""

    @property
    def name(self) -> str: ...

    @property
    def routes(self) -> tuple[str, ...]:
        """Paths that may be reached through the gateway; everything else is denied."""
        ...

    @property
    def health_path(self) -> str: ...

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """Failure signatures of this engine, most specific first."""
        ...

    def accepts(self, facts: ModelFacts, hardware: Hardware, release: EngineRelease) -> Verdict:
        """Format, quantization, hardware, architecture and task, in this order. Memory is not looked at."""
        ...

    def variant(self, hardware: Hardware) -> str:
        """Which build runs on this hardware: "cpu" or "cuda"."""
        ...

    def argument_schema(self, version: str) -> tuple[Argument, ...]:
        """Arguments of this very version; empty when they were never read, and then nothing can be checked."""
        ...

    def settle(self, intent: Intent) -> Intent:
        """The intent as the user's own arguments make it: their context length and parallelism win."""
        ...

    def arguments(self, facts: ModelFacts, hardware: Hardware, intent: Intent) -> Mapping[str, ArgumentValue]:
        """All arguments inferry decides, with the user's on top. Pure and sorted."""
        ...

    def estimate(self, facts: ModelFacts, intent: Intent) -> Estimate:
        """Memory one replica needs when it is started with this intent."""
        ...

    def command(self, order: ServeOrder, launch: Launch) -> Command: ...
