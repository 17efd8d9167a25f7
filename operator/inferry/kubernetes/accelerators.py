"""The words of device plugins: which resource of a node is an accelerator, and which labels say what it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from inferry_runtime.hardware import Vendor

_GIB: Final = 1024**3


class Dialect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of device plugin."""

    vendor: Vendor
    resources: tuple[str, ...]
    slices: str = ""
    """What resources of parts of a device begin with; "" where there are none."""
    product: tuple[str, ...]
    """Labels, best first."""
    memory: tuple[str, ...]
    unit: str
    compute: tuple[str, ...] = ()
    """Labels of the major and the minor compute capability."""
    name: str = ""
    """What to call it when no label does."""
    memory_gib: Mapping[str, int]
    """Word of a product name -> memory of one device."""
    capability: Mapping[str, str] = {}
    """Word of a product name -> compute capability."""

    def known_memory_bytes(self, product: str) -> int:
        """0 when nobody knows."""
        word = _longest_word(product, self.memory_gib)
        return self.memory_gib[word] * _GIB if word else 0

    def known_capability(self, product: str) -> str | None:
        word = _longest_word(product, self.capability)
        return self.capability[word] if word else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """How a pod asks for one kind of device."""

    resource: str
    label: str = ""
    """The node label that says which product it is; "" when none does."""
    value: str = ""


def dialects() -> tuple[Dialect, ...]:
    return _load()


@cache
def _load() -> tuple[Dialect, ...]:
    document = files("inferry.kubernetes").joinpath("accelerators.yaml").read_bytes()
    return msgspec.yaml.decode(document, type=tuple[Dialect, ...])


def _longest_word(product: str, words: Mapping[str, object]) -> str:
    """ "a100-80gb" before "a100" for an A100 with 80 GB; spelling and punctuation aside."""
    plain = _plain(product)
    found = [word for word in words if all(part in plain for part in word.lower().split("-"))]
    return max(found, key=len, default="")


def _plain(text: str) -> str:
    return text.lower().replace(" ", "_")
