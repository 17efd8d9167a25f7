"""Local models are served from where they lie: checked, never copied."""

import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from inferry_runtime.model.blobs import Blobs
from inferry_runtime.model.errors import DigestMismatch, ModelNotFound
from inferry_runtime.model.layout import file_key
from inferry_runtime.model.local import LocalRepository
from inferry_runtime.model.progress import Meter
from inferry_runtime.model.source import LocalPath
from inferry_runtime.order import IntegrityPolicy, ModelOrder, OrderedFile

_CHANGED = "it was changed after it was inspected; apply the deployment again to serve what is there now"


@dataclass(frozen=True, slots=True, kw_only=True)
class InPlace:
    """What it takes to look at local files: the memory of digests, who is told, who may stop it."""

    blobs: Blobs
    meter: Meter
    cancelled: threading.Event

    def locate(self, source: LocalPath, order: ModelOrder) -> tuple[dict[str, Path], dict[str, str]]:
        """Where each ordered file is, and the digests of those that were hashed. Raises ModelError, HashCancelled.

        Where the policy is to look away nothing is read. Where it is to verify, a file's first digest at this revision
        is the one it must keep.
        """
        repository = LocalRepository(source.path)
        sizes = {file.path: file.size_bytes for file in repository.files()}
        targets: dict[str, Path] = {}
        digests: dict[str, str] = {}
        for file in order.files:
            _check_size(repository, sizes, file)
            targets[file.path] = repository.root / file.path
            if order.integrity is not IntegrityPolicy.OFF:
                digests[file.path] = self._looked_at(targets[file.path], file, file_key(order, file), order.integrity)
            self.meter.present(file.path, file.size_bytes)
        return targets, digests

    def _looked_at(self, path: Path, file: OrderedFile, key: str, integrity: IntegrityPolicy) -> str:
        sha256 = self.blobs.digests.digest(path, partial(self.meter.verified, file.path), self.cancelled)
        expected = file.sha256 or self.blobs.first_seen(key)
        if expected is None:
            self.blobs.record_first(key, sha256)
        elif expected != sha256 and integrity is IntegrityPolicy.VERIFY:
            raise DigestMismatch(f"{file.path} has sha256 {sha256}, not {expected}", hint=_CHANGED)
        return sha256


def _check_size(repository: LocalRepository, sizes: dict[str, int], file: OrderedFile) -> None:
    if file.path not in sizes:
        raise ModelNotFound(f"{repository.path} no longer has {file.path}", hint="put it back, or apply again")
    if sizes[file.path] != file.size_bytes:
        raise DigestMismatch(f"{file.path} has {sizes[file.path]} bytes, not {file.size_bytes}", hint=_CHANGED)
