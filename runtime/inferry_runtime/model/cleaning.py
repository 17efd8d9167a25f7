"""Looking through a store, and taking things out of it without pulling anything from under a process that uses it."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inferry_runtime.model import manifest as manifests
from inferry_runtime.model.blobs import Blobs
from inferry_runtime.model.clock import Clock
from inferry_runtime.model.eviction import CachedModel
from inferry_runtime.model.fingerprints import sha256_of
from inferry_runtime.model.layout import Layout, RevisionKey
from inferry_runtime.model.locks import lock, try_lock
from inferry_runtime.model.manifest import Manifest

# Long enough to look at what went wrong, short enough that a broken mirror does not fill the disk.
QUARANTINE_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    removed: tuple[CachedModel, ...]
    kept_in_use: tuple[CachedModel, ...]
    """Asked for, but some process holds them."""
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class Cleaner:
    layout: Layout
    blobs: Blobs
    clock: Clock

    def cached(self) -> tuple[CachedModel, ...]:
        """Sorted by source, then most recently used first."""
        models = [self._described(key, manifest) for key, manifest in self._manifests()]
        return tuple(sorted(models, key=lambda model: (model.source, -model.last_used)))

    def remove(self, models: Sequence[CachedModel]) -> Removal:
        removed = tuple(model for model in models if self._forget(model))
        return Removal(
            removed=removed,
            kept_in_use=tuple(model for model in models if model not in removed),
            freed_bytes=self.sweep(),
        )

    def sweep(self) -> int:
        """Deletes blobs and partial files that no manifest names, and old quarantine. Returns the bytes freed."""
        with lock(self.layout.sweep_lock):
            named = [file for _, manifest in self._manifests() for file in manifest.files]
            keys = {file.file_key for file in named}
            digests = {self._digest(file) for file in named} | {self.blobs.instead(key) for key in keys}
            freed = sum(self._delete(blob) for blob in _files(self.layout.blobs) if blob.name not in digests)
            freed += sum(self._delete_partial(path) for path in _files(self.layout.partials) if path.stem not in keys)
        limit = self.clock.wall() - QUARANTINE_SECONDS
        return freed + sum(_unlink(path) for path in _files(self.layout.quarantine) if path.stat().st_mtime < limit)

    def scrub(self, on_bytes: Callable[[int], None]) -> tuple[str, ...]:
        """Reads every blob again, whatever is remembered of it: the only way to find decay of the disk itself.

        Wrong ones go to quarantine and are fetched again when next needed. Returns their digests.
        """
        wrong = [blob for blob in _files(self.layout.blobs) if sha256_of(blob, on_bytes) != blob.name]
        for blob in wrong:
            self.blobs.quarantine(blob, blob.name)
        return tuple(blob.name for blob in wrong)

    def _manifests(self) -> Iterator[tuple[RevisionKey, Manifest]]:
        for path in sorted(self.layout.revisions.glob("*/*/*/manifest.json")):
            source, revision, selection = path.parent.relative_to(self.layout.revisions).parts
            key = RevisionKey(source=source, revision=revision, selection=selection)
            manifest = manifests.read(self.layout, key)
            if manifest is not None:
                yield key, manifest

    def _described(self, key: RevisionKey, manifest: Manifest) -> CachedModel:
        blobs = {self._digest(file): file.size_bytes for file in manifest.files if not file.local}
        return CachedModel(
            source=manifest.source,
            revision=manifest.revision,
            path=self.layout.tree(key),
            size_bytes=manifest.size_bytes,
            blobs={digest: size for digest, size in blobs.items() if digest is not None},
            complete=manifest.complete,
            last_used=self.layout.manifest(key).stat().st_mtime,
            in_use=self._in_use(key.lock_name),
            lock_name=key.lock_name,
        )

    def _digest(self, file: manifests.ManifestFile) -> str | None:
        return file.sha256 or self.blobs.first_seen(file.file_key)

    def _in_use(self, lock_name: str) -> bool:
        held = try_lock(self.layout.lock(lock_name))
        if held is None:
            return True
        held.release()
        return False

    def _forget(self, model: CachedModel) -> bool:
        held = try_lock(self.layout.lock(model.lock_name))
        if held is None:
            return False
        with held:
            # Manifest first: a folder without one is made anew, whatever is left in it.
            (model.path.parent / "manifest.json").unlink(missing_ok=True)
            shutil.rmtree(model.path.parent, ignore_errors=False)
            return True

    def _delete(self, blob: Path) -> int:
        self.blobs.digests.forget(blob)
        return _unlink(blob)

    def _delete_partial(self, path: Path) -> int:
        held = try_lock(self.layout.lock(f"file-{path.stem}"))
        if held is None:
            return 0
        with held:
            return _unlink(path)


def _files(folder: Path) -> Iterator[Path]:
    for found, _, names in os.walk(folder):
        for name in names:
            yield Path(found) / name


def _unlink(path: Path) -> int:
    size = path.stat().st_blocks * 512
    path.unlink(missing_ok=True)
    return size
