"""Reads the catalog: the files of this package, then whatever an operator of the cluster puts over them."""

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from inferry.catalog.catalog import Catalog, EngineOffer, ModelFamily, ModelOffer
from inferry_runtime.engines.base import EngineRelease


class CatalogFileError(ValueError):
    """A catalog file cannot be read; the message names the file and the field."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Written by people, so a misspelt field is an error."""


class ReleaseEntry(Entry, frozen=True):
    variants: tuple[str, ...] = ()
    images: Mapping[str, str] = {}


class EngineEntry(Entry, frozen=True):
    default: str = ""
    """Empty: as in the file below, else the only release."""
    releases: Mapping[str, ReleaseEntry] = {}
    architectures: Mapping[str, str] | None = None
    """Added to those of the file below."""


class ModelEntry(Entry, frozen=True):
    sizes: tuple[str, ...]
    offers: tuple[ModelOffer, ...]
    aliases: tuple[str, ...] = ()


class CatalogFile(Entry, frozen=True):
    """What one file may say."""

    engines: Mapping[str, EngineEntry] = {}
    models: Mapping[str, ModelEntry] = {}


def load_catalog(*overrides: Path) -> Catalog:
    """Later files win, entry by entry. An override is a YAML file or a folder of them. Raises CatalogFileError."""
    package = files(__package__)
    shipped = sorted((entry for entry in package.iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name)
    documents = [_read(file) for file in shipped]
    documents += [_read(file) for override in overrides for file in _yaml_files(override)]
    engines: dict[str, EngineEntry] = {}
    models: dict[str, ModelEntry] = {}
    for document in documents:
        for name, entry in document.engines.items():
            engines[name] = _over(engines.get(name, EngineEntry()), entry)
        models.update(document.models)
    return Catalog(engines={name: _offer(name, entry) for name, entry in engines.items()}, families=_families(models))


def _yaml_files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in {".yaml", ".yml"})
    return [path]


def _read(file: Traversable | Path) -> CatalogFile:
    try:
        return msgspec.yaml.decode(file.read_bytes(), type=CatalogFile)
    except OSError as error:
        raise CatalogFileError(f"{file}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise CatalogFileError(f"{file}: {error}") from error


def _over(below: EngineEntry, above: EngineEntry) -> EngineEntry:
    listed = None
    if below.architectures is not None or above.architectures is not None:
        listed = {**(below.architectures or {}), **(above.architectures or {})}
    return EngineEntry(
        default=above.default or below.default,
        releases={**below.releases, **above.releases},
        architectures=listed,
    )


def _offer(name: str, entry: EngineEntry) -> EngineOffer:
    default = entry.default or next(iter(entry.releases), "")
    if default not in entry.releases:
        raise CatalogFileError(f"engines.{name}.default: there is no release {default!r}")
    releases = {
        version: EngineRelease(
            engine=name,
            version=version,
            variants=release.variants,
            images=release.images,
            architectures=entry.architectures,
        )
        for version, release in entry.releases.items()
    }
    return EngineOffer(default=default, releases=releases)


def _families(models: Mapping[str, ModelEntry]) -> Mapping[str, ModelFamily]:
    families: dict[str, ModelFamily] = {}
    for name, entry in models.items():
        if not entry.sizes or not entry.offers:
            raise CatalogFileError(f"models.{name}: a family has at least one size and one offer")
        family = ModelFamily(name=name, sizes=entry.sizes, offers=entry.offers, aliases=entry.aliases)
        families.update({known.lower(): family for known in (*entry.aliases, name)})
    return families
