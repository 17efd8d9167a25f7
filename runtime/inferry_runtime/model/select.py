"""Which files of a listing make the model. Pure: names and sizes in, files out; nothing is opened."""

import posixpath
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from inferry_runtime.model.errors import ModelError, ModelNotFound
from inferry_runtime.model.facts import Format
from inferry_runtime.model.inspection import InspectionRequest
from inferry_runtime.model.labels import base
from inferry_runtime.model.listing import ListedFile
from inferry_runtime.model.select_gguf import label_of, select_gguf
from inferry_runtime.model.select_tensors import select_pickle, select_safetensors
from inferry_runtime.model.selection import PICKLE_SUFFIXES, Selection, found, name

FORMATS = ("safetensors", "gguf", "mlx", "pickle")


def select(files: Sequence[ListedFile], request: InspectionRequest) -> Selection:
    """Raises ModelNotFound saying what is there instead, ModelError for a format nobody knows."""
    seen = visible(files, request)
    match chosen_format(seen, request):
        case Format.GGUF:
            return select_gguf(seen, request)
        case Format.PICKLE:
            return select_pickle(seen)
        case _:
            return select_safetensors(seen)


def visible(files: Sequence[ListedFile], request: InspectionRequest) -> tuple[ListedFile, ...]:
    """What include and exclude leave over. A pattern is compared with the whole path and with the file's name."""
    left = tuple(file for file in files if _included(file.path, request))
    if left:
        return left
    if not files:
        raise ModelNotFound("there are no files", hint="check the source, and whether the path is complete")
    patterns = ", ".join((*request.include, *(f"!{pattern}" for pattern in request.exclude)))
    raise ModelNotFound(
        f"model.files ({patterns}) leaves none of {len(files)} files{nearest(request.include, files)}",
        hint="correct model.files.include and model.files.exclude",
    )


def chosen_format(files: Sequence[ListedFile], request: InspectionRequest) -> Format:
    """What was asked for, else safetensors with a configuration, else GGUF, else pickles."""
    wanted = request.format.strip().lower()
    if wanted and wanted not in FORMATS:
        close = get_close_matches(wanted, FORMATS, n=1)
        raise ModelError(
            f"model.format {request.format!r} is not known",
            hint=f"use {close[0]}" if close else f"use one of {', '.join(FORMATS)}",
        )
    there = _formats(files)
    if wanted:
        format_ = Format.SAFETENSORS if wanted == "mlx" else Format(wanted)
        if format_ not in there:
            raise ModelNotFound(f"there are no {format_} weights; {found(files)}", hint="leave model.format out")
        return format_
    if Format.GGUF in there and _names_gguf(files, request.quantization):
        return Format.GGUF
    configured = Format.SAFETENSORS in there and any(name(file) == "config.json" for file in files)
    for format_ in (Format.SAFETENSORS,) * configured + (Format.GGUF, Format.SAFETENSORS, Format.PICKLE):
        if format_ in there:
            return format_
    raise ModelNotFound(f"there is nothing to load; {found(files)}", hint="safetensors or GGUF weights are needed")


def nearest(wanted: Sequence[str], files: Sequence[ListedFile]) -> str:
    """ "; the nearest is x" or ""."""
    names = [name(file) for file in files]
    for word in wanted:
        close = get_close_matches(word.strip("*"), names, n=1, cutoff=0.4)
        if close:
            return f"; the nearest is {close[0]}"
    return ""


def _included(path: str, request: InspectionRequest) -> bool:
    inside = not request.include or _any_match(path, request.include)
    return inside and not _any_match(path, request.exclude)


def _any_match(path: str, patterns: Sequence[str]) -> bool:
    whole = [f"{pattern}*" if pattern.endswith("/") else pattern for pattern in patterns]
    return any(fnmatchcase(path, pattern) or fnmatchcase(posixpath.basename(path), pattern) for pattern in whole)


def _formats(files: Sequence[ListedFile]) -> frozenset[Format]:
    there = set()
    for file in files:
        path = file.path.lower()
        if path.endswith(".safetensors"):
            there.add(Format.SAFETENSORS)
        elif path.endswith(".gguf"):
            there.add(Format.GGUF)
        elif path.endswith(PICKLE_SUFFIXES):
            there.add(Format.PICKLE)
    return frozenset(there)


def _names_gguf(files: Sequence[ListedFile], quantization: str) -> bool:
    """Whether the quantization asked for is in the name of a GGUF beside the safetensors."""
    wanted = base(quantization)
    return bool(wanted) and any(
        base(label_of(file.path)) == wanted for file in files if file.path.lower().endswith(".gguf")
    )
