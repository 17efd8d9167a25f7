"""What the catalog holds: engine releases and model families. Plain data, looked up by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import msgspec

from inferry_runtime.engines.base import EngineRelease
from inferry_runtime.engines.labels import version_key


class CatalogError(LookupError):
    """Something was asked for by a name that the catalog does not have."""

    def __init__(self, message: str, *, nearest: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.nearest = nearest


class UnknownModel(CatalogError):
    """No such family, or the family does not come in this size, format, quantization or from this hub."""


class UnknownRelease(CatalogError):
    """The engine is not in the catalog, or not in this version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOffer:
    """All releases of one engine."""

    default: str
    """Version used when none is asked for."""
    releases: Mapping[str, EngineRelease]


class ModelOffer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One format of a family. `{size}` and `{quantization}` in repositories and patterns are filled in."""

    format: str
    hf: str = ""
    modelscope: str = ""
    sizes: tuple[str, ...] = ()
    """Empty: all sizes of the family."""
    quantizations: tuple[str, ...] = ("none",)
    """The first one is used when none is asked for."""
    include: tuple[str, ...] = ()
    """File patterns that pick the quantization out of a repository with several."""
    ids: Mapping[str, str] = {}
    """size -> how the repository spells it, where it is not the size itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    name: str
    sizes: tuple[str, ...]
    """Billions of parameters as people write them; the first one is used when none is asked for."""
    offers: tuple[ModelOffer, ...]
    """Most widely runnable first."""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """What a family, size, format and quantization stand for."""

    source: str
    """Source URI."""
    format: str
    quantization: str
    """"" when the repository holds only one."""
    include: tuple[str, ...]
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    engines: Mapping[str, EngineOffer]
    families: Mapping[str, ModelFamily]
    """By lower-case name and alias."""

    def release(self, engine: str, version: str | None = None) -> EngineRelease:
        """The default release, or the one asked for. Raises UnknownRelease."""
        offer = self.engines.get(engine)
        if offer is None:
            raise UnknownRelease(
                f"The catalog has no engine {engine!r}; it has {', '.join(self.engines)}.",
                nearest=nearest(engine, self.engines),
            )
        wanted = version or offer.default
        release = offer.releases.get(wanted)
        if release is None:
            known = ", ".join(sorted(offer.releases, key=version_key, reverse=True))
            raise UnknownRelease(
                f"The catalog has no {engine} {wanted}; it has {known}.", nearest=nearest(wanted, offer.releases)
            )
        return release

    def family(self, name: str) -> ModelFamily:
        """By name or alias, in any case. Raises UnknownModel."""
        family = self.families.get(name.lower())
        if family is None:
            closest = nearest(name.lower(), self.families)
            hint = f" Did you mean {self.families[closest].name}?" if closest else ""
            known = ", ".join(sorted({family.name for family in self.families.values()}))
            raise UnknownModel(
                f"The catalog has no model {name!r}.{hint} It has {known}; "
                "any other model can be named by spec.model.source.",
                nearest=self.families[closest].name if closest else "",
            )
        return family


def nearest(word: str, words: Iterable[str]) -> str:
    """The most similar word whatever its case, "" when none is similar."""
    spelled = {one.lower(): one for one in words}
    matches = get_close_matches(word.lower(), spelled, n=1, cutoff=0.5)
    return spelled[matches[0]] if matches else ""
