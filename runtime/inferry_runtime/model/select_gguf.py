"""One model out of a repository of GGUF files: which quantization, all its parts, and its projector. Pure."""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import takewhile

from inferry_runtime.model.errors import ModelNotFound
from inferry_runtime.model.facts import Format
from inferry_runtime.model.inspection import InspectionRequest
from inferry_runtime.model.labels import base, label_in, normal, rank
from inferry_runtime.model.listing import ListedFile
from inferry_runtime.model.selection import Selection, name

_SPLIT = re.compile(r"(?P<stem>.*)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_PROJECTOR = re.compile(r"(?:^|[-_.])mmproj(?:[-_.]|$)", re.IGNORECASE)
# Statistics that quantizers leave beside their models.
_STATISTICS = re.compile(r"(?:^|[-_.])imatrix(?:[-_.]|$)", re.IGNORECASE)
# The type llama.cpp's own converter writes, then what costs more memory for nothing.
_PROJECTOR_PREFERENCE = ("F16", "BF16", "Q8_0", "F32")
# Longer sets than any published model; a name that says more is a lie.
_MAX_PARTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufSet:
    """One model: a file, or all parts of a split one."""

    stem: str
    """Path without part numbers and ending."""
    label: str
    files: tuple[ListedFile, ...]
    missing: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return posixpath.basename(self.stem)


def select_gguf(files: Sequence[ListedFile], request: InspectionRequest) -> Selection:
    """Raises ModelNotFound when nothing, or more than one thing, is meant, and when a part is missing."""
    ggufs = [file for file in files if file.path.lower().endswith(".gguf") and not _STATISTICS.search(name(file))]
    projectors = [file for file in ggufs if _PROJECTOR.search(name(file))]
    sets = _sets([file for file in ggufs if file not in projectors])
    if not sets:
        raise ModelNotFound(
            f"there are {len(projectors)} projectors and no model for them",
            hint="name the repository of the model itself",
        )
    chosen, notes = _asked_for(sets, request.quantization) if request.quantization else _preferred(sets)
    if chosen.missing:
        raise ModelNotFound(
            f"{chosen.title} has {len(chosen.files)} of its parts, {chosen.missing[0]} is missing",
            hint="complete the set, or choose another quantization",
        )
    return Selection(
        format=Format.GGUF,
        weights=chosen.files,
        label=chosen.label,
        projector=_projector(projectors, chosen),
        notes=notes,
    )


def label_of(path: str) -> str:
    """The quantization in a file's name, or in the name of its folder."""
    split = _SPLIT.fullmatch(posixpath.basename(path))
    stem = split["stem"] if split else posixpath.splitext(posixpath.basename(path))[0]
    return label_in(stem) or label_in(posixpath.basename(posixpath.dirname(path)))


def _sets(files: Sequence[ListedFile]) -> tuple[GgufSet, ...]:
    groups: dict[tuple[str, int], dict[int, ListedFile]] = {}
    for file in files:
        split = _SPLIT.fullmatch(file.path)
        stem = split["stem"] if split else posixpath.splitext(file.path)[0]
        key = (stem, min(int(split["count"]), _MAX_PARTS) if split else 0)
        groups.setdefault(key, {})[int(split["part"]) if split else 0] = file
    return tuple(_set(stem, count, parts) for (stem, count), parts in sorted(groups.items()))


def _set(stem: str, count: int, parts: dict[int, ListedFile]) -> GgufSet:
    wanted = range(1, count + 1) if count else range(1)
    missing = tuple(f"{stem}-{part:05}-of-{count:05}.gguf" for part in wanted if part not in parts)
    files = tuple(parts[part] for part in sorted(parts))
    return GgufSet(stem=stem, label=label_of(files[0].path), files=files, missing=missing)


def _asked_for(sets: Sequence[GgufSet], quantization: str) -> tuple[GgufSet, tuple[str, ...]]:
    wanted = normal(quantization)
    for same in (normal, base):
        matching = [one for one in sets if one.label and same(one.label) == same(wanted)]
        if matching:
            return _only(matching), ()
    labels = sorted({one.label for one in sets if one.label}, key=lambda label: (rank(label), label))
    if not labels and len(sets) == 1:
        return sets[0], (f"The file's name says no quantization; {quantization} was taken on trust.",)
    close = get_close_matches(wanted, labels, n=1, cutoff=0.0)
    raise ModelNotFound(
        f"there is no quantization {quantization}; there are {', '.join(labels) or 'no labels in the names'}",
        hint=f"use {close[0]}" if close else "choose the file with model.files.include",
    )


def _preferred(sets: Sequence[GgufSet]) -> tuple[GgufSet, tuple[str, ...]]:
    if len(sets) == 1:
        return sets[0], ()
    complete = [one for one in sets if not one.missing] or list(sets)
    order = {one.stem: (rank(one.label), base(one.label) != one.label) for one in complete}
    best = min(order.values())
    chosen = _only([one for one in complete if order[one.stem] == best])
    labels = sorted({one.label for one in sets}, key=lambda label: (rank(label), label))
    others = ", ".join(label for label in labels if label != chosen.label)
    return chosen, (
        f"{chosen.label} was chosen of {len(sets)} quantizations; model.quantization picks another: {others}.",
    )


def _only(sets: Sequence[GgufSet]) -> GgufSet:
    """Of equal labels a complete set wins; two of those are two models, and only the user knows which is meant."""
    complete = [one for one in sets if not one.missing] or list(sets)
    if len(complete) > 1:
        titles = ", ".join(one.title for one in complete[:4])
        raise ModelNotFound(f"there are several models: {titles}", hint="choose one with model.files.include")
    return complete[0]


def _projector(projectors: Sequence[ListedFile], model: GgufSet) -> ListedFile | None:
    def order(file: ListedFile) -> tuple[int, int, str]:
        label = label_of(file.path)
        place = _PROJECTOR_PREFERENCE.index(label) if label in _PROJECTOR_PREFERENCE else len(_PROJECTOR_PREFERENCE)
        return -_shared_words(name(file), model.title), place, file.path

    return min(projectors, key=order, default=None)


def _shared_words(projector: str, model: str) -> int:
    """How many leading words of the model's name the projector's has, so that each of two models gets its own."""
    words = [re.split(r"[-_.]", _PROJECTOR.sub("-", text).strip("-_.").lower()) for text in (projector, model)]
    pairs = zip(*words, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
