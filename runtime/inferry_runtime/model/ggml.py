"""What the numbers in a GGUF mean: sizes of tensor types, names of file types. Data from ggml.h and llama.h."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorType:
    """`elements` of a row are stored together in `bytes`."""

    name: str
    elements: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GgmlTables:
    tensor_types: Mapping[int, TensorType]
    file_types: Mapping[int, str]
    """`general.file_type` -> label, such as 15 -> "Q4_K_M"."""
    kept_keys: frozenset[str]
    """Metadata that says something about memory, length or use."""
    kept_parts: frozenset[str]
    """The same for keys that start with the architecture: the part behind it."""


@cache
def tables() -> GgmlTables:
    """The tables of this build, read once."""
    data = json.loads(files(__package__).joinpath("ggml.json").read_bytes())
    return GgmlTables(
        tensor_types={int(number): TensorType(**entry) for number, entry in data["tensor_types"].items()},
        file_types={int(number): label for number, label in data["file_types"].items()},
        kept_keys=frozenset(data["kept_keys"]),
        kept_parts=frozenset(data["kept_parts"]),
    )
