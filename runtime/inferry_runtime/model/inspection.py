"""The result of inspecting a model: its facts, and exactly which bytes to fetch for it."""

from dataclasses import dataclass

from inferry_runtime.model.facts import ModelFacts
from inferry_runtime.order import OrderedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionRequest:
    """Which model, and which of its files."""

    source: str
    revision: str = ""
    """Wins over a revision inside `source`."""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    format: str = ""
    """"safetensors", "gguf", "mlx", "pickle" or "" for whatever there is."""
    quantization: str = ""
    """Which quantization of a repository that holds several; "" picks a sensible one and notes it."""
    tasks: tuple[str, ...] = ()
    """What the user said; wins over what the files suggest."""
    allow_unsafe_formats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A model as it stands at one pinned revision."""

    source: str
    """The source URI without a revision."""
    facts: ModelFacts
    revision: str
    files: tuple[OrderedFile, ...]
    """Everything to fetch, weights first."""
    primary: str
    """What the engine opens, relative to the root: a GGUF file, or "" for the root folder itself."""
    projector: str = ""
