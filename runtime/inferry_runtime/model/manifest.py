"""What a revision in the store consists of. Written before its first byte, so that its blobs are not swept."""

from dataclasses import dataclass, replace

import msgspec

from inferry_runtime.model.durable import write_whole
from inferry_runtime.model.layout import Layout, RevisionKey, file_key
from inferry_runtime.order import ModelOrder

MANIFEST_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    path: str
    size_bytes: int
    sha256: str | None
    """None until it is known: before the end of a first download from a source that tells no digests."""
    file_key: str
    local: bool = False
    """It lies outside the store and is used in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    source: str
    revision: str
    files: tuple[ManifestFile, ...]
    complete: bool
    version: int = MANIFEST_VERSION

    @property
    def size_bytes(self) -> int:
        """As the engine sees it, wherever the bytes lie."""
        return sum(file.size_bytes for file in self.files)


def expected(order: ModelOrder, *, local: bool) -> Manifest:
    """What the order asks for, nothing of it fetched."""
    files = tuple(
        ManifestFile(
            path=file.path, size_bytes=file.size_bytes, sha256=file.sha256, file_key=file_key(order, file), local=local
        )
        for file in order.files
    )
    return Manifest(source=order.source, revision=order.revision, files=files, complete=False)


def completed(manifest: Manifest, digests: dict[str, str]) -> Manifest:
    """With the digests that were found on the way."""
    files = tuple(replace(file, sha256=digests.get(file.path, file.sha256)) for file in manifest.files)
    return Manifest(source=manifest.source, revision=manifest.revision, files=files, complete=True)


def read(layout: Layout, key: RevisionKey) -> Manifest | None:
    """None when there is none, or none that can be read: it is then made anew."""
    try:
        manifest = msgspec.json.decode(layout.manifest(key).read_bytes(), type=Manifest)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return manifest if manifest.version == MANIFEST_VERSION else None


def write(layout: Layout, key: RevisionKey, manifest: Manifest) -> None:
    write_whole(layout.manifest(key), msgspec.json.format(msgspec.json.encode(manifest), indent=2))
