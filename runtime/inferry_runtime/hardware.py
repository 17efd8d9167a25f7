"""What a node, or this machine, offers to an engine. Plain data, filled in by a world."""

from dataclasses import dataclass
from enum import StrEnum


class Vendor(StrEnum):
    """Makers of accelerators that an engine may ask for."""

    NVIDIA = "nvidia"
    AMD = "amd"
    INTEL = "intel"
    ASCEND = "ascend"
    APPLE = "apple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """`count` equal devices. `memory_bytes` is for one of them."""

    vendor: Vendor
    product: str
    count: int
    memory_bytes: int
    compute_capability: str | None = None
    """NVIDIA only, such as "9.0"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One node: what is allocatable on it, before anything of ours runs there."""

    name: str
    system: str
    """Lower case, as in `sys.platform` without a version: "linux" or "darwin"."""
    machine: str
    """As `platform.machine()` says it: "x86_64", "aarch64", "arm64"."""
    cpus: float
    memory_bytes: int
    accelerators: tuple[Accelerator, ...] = ()

    def accelerator_memory_bytes(self) -> int:
        """Memory of all accelerators together, in bytes."""
        return sum(accelerator.count * accelerator.memory_bytes for accelerator in self.accelerators)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All nodes a replica may run on. Sorted by name, so that equal inventories are equal values."""

    nodes: tuple[Hardware, ...]
