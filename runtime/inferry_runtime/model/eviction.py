"""Which cached models have to go. Pure; whether one is in use is told, and then it stays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedModel:
    """One choice of files of one revision. Models may share blobs."""

    source: str
    revision: str
    path: Path
    """The folder engines open."""
    size_bytes: int
    """Of all its files, wherever they lie."""
    blobs: Mapping[str, int]
    """Digest -> size of those in the store; empty for local models."""
    complete: bool
    last_used: float
    """Unix seconds."""
    in_use: bool
    """A process holds it, or is fetching it."""
    lock_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """None: no limit."""

    max_bytes: int | None = None
    """Of all blobs together."""
    max_age_seconds: float | None = None
    """Since a model was last used."""


def to_evict(models: Sequence[CachedModel], policy: Eviction, now: float) -> tuple[CachedModel, ...]:
    """Everything too old, then the least recently used until the rest fits, if it ever does."""
    oldest_first = sorted(models, key=lambda model: (model.last_used, model.source, str(model.path)))
    free = [model for model in oldest_first if not model.in_use]
    going = [model for model in free if _too_old(model, policy, now)]
    staying = [model for model in oldest_first if model not in going]
    for model in free:
        if policy.max_bytes is None or disk_bytes(staying) <= policy.max_bytes:
            break
        # A model whose blobs all belong to others too frees nothing.
        rest = [other for other in staying if other is not model]
        if model in staying and disk_bytes(rest) < disk_bytes(staying):
            going, staying = [*going, model], rest
    return tuple(going)


def disk_bytes(models: Sequence[CachedModel]) -> int:
    """Every blob once."""
    return sum({digest: size for model in models for digest, size in model.blobs.items()}.values())


def _too_old(model: CachedModel, policy: Eviction, now: float) -> bool:
    return policy.max_age_seconds is not None and now - model.last_used > policy.max_age_seconds
