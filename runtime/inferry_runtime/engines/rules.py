"""What each engine takes, as data: `rules.json`, typed. The gates read it; no engine repeats it in code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import msgspec

ANY_METHOD = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRule:
    """Conditions under which an engine loads weights of one quantization method."""

    bits: tuple[float, ...] = ()
    """Bits per weight it has kernels for; empty: any."""
    cpu: bool = False
    """It also runs without an accelerator, where the engine itself does."""
    compute_capability: str = ""
    """Lowest NVIDIA compute capability with kernels for it."""
    architectures: tuple[str, ...] = ()
    """Only these; empty: any."""
    minimum_version: str = ""
    single_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRules:
    """All static conditions of one engine. What depends on its version is in the release."""

    title: str
    """How people write its name."""
    formats: Mapping[str, Mapping[str, MethodRule]]
    """format -> quantization method -> conditions; method "*" stands for any."""
    systems: Mapping[str, tuple[str, ...]]
    """Operating system -> machine types."""
    accelerators: Mapping[str, str]
    """Accelerator vendor -> variant that drives it."""
    cpu: bool
    """It runs without an accelerator."""
    default_parallel: int
    """Requests it answers at the same time when nothing was said."""
    tasks: tuple[str, ...]
    projector_tasks: tuple[str, ...] = ()
    """Tasks that need a projector file beside the weights."""
    on_request: tuple[str, ...] = ()
    """Formats it takes only when it is named."""
    compute_capability: str = ""
    splits_heads: bool = False
    """Tensor parallel: the number of devices has to divide the attention heads."""
    partial_offload: bool = False
    """Layers that do not fit on the accelerator stay in host memory."""
    accelerator_share: float = 1.0
    """How much of a device's memory it plans with."""
    share_argument: str = ""
    """The engine argument that changes this share."""
    accelerator_reserve_bytes: int = 0
    """Kept free on every device."""
    gguf_architectures: Mapping[str, str] = field(default_factory=dict)
    """GGUF architecture -> the name the release's list uses."""


@cache
def all_rules() -> Mapping[str, EngineRules]:
    """Rules by engine name, read once."""
    document = files(__package__).joinpath("rules.json").read_bytes()
    return MappingProxyType(msgspec.json.decode(document, type=dict[str, EngineRules]))


def rules_of(engine: str) -> EngineRules:
    """Raises KeyError: engines without rules do not exist."""
    return all_rules()[engine]
