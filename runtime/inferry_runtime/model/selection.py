"""The result of selecting files, and how files of a listing are named and counted."""

import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from inferry_runtime.model.facts import Format
from inferry_runtime.model.listing import ListedFile

# Loading one of these runs whatever code it holds.
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to open for the facts, and what to fetch."""

    format: Format
    """SAFETENSORS, GGUF or PICKLE; whether safetensors are MLX's only config.json tells."""
    weights: tuple[ListedFile, ...]
    """In load order. With `index`, the candidates; the index says which of them count."""
    folder: str = ""
    """Where config.json lies: "" is the root."""
    index: str = ""
    """Path of the safetensors index to follow, "" for none."""
    projector: ListedFile | None = None
    label: str = ""
    """Quantization in the name of a GGUF."""
    support: tuple[ListedFile, ...] = ()
    """Configuration and tokenizer, whatever engine."""
    code: tuple[ListedFile, ...] = ()
    """The repository's own Python, only for models that ask for it."""
    notes: tuple[str, ...] = ()


def name(file: ListedFile) -> str:
    return posixpath.basename(file.path)


def folder(file: ListedFile) -> str:
    return posixpath.dirname(file.path)


def found(files: Sequence[ListedFile]) -> str:
    """ "found 3 .onnx, 2 .json and 4 other files" """
    endings = Counter(posixpath.splitext(file.path)[1] or name(file) for file in files)
    common = [f"{count} {ending}" for ending, count in endings.most_common(4)]
    return f"found {', '.join(common)} among {len(files)} files"
