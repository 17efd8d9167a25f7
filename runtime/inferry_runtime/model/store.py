"""The store: models on disk, each file once, verified before anything opens it. Several processes may share one.

`ensure` brings a model in and returns the folder an engine opens; `hold` keeps it from being evicted; `cached`,
`remove` and `evict` are for people and for full disks.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from inferry_runtime.model import manifest as manifests
from inferry_runtime.model.blobs import Blobs, Wanted
from inferry_runtime.model.cleaning import Cleaner, Removal
from inferry_runtime.model.clock import Clock, SystemClock
from inferry_runtime.model.durable import disk_errors_explained, free_bytes, no_space
from inferry_runtime.model.errors import ModelError, RevisionNotFound
from inferry_runtime.model.eviction import CachedModel, Eviction, to_evict
from inferry_runtime.model.fetch import FetchCancelled, Fetcher, Tuning
from inferry_runtime.model.fingerprints import HashCancelled
from inferry_runtime.model.in_place import InPlace
from inferry_runtime.model.layout import Layout, RevisionKey, revision_key
from inferry_runtime.model.listing import Access
from inferry_runtime.model.locks import lock
from inferry_runtime.model.manifest import Manifest, ManifestFile
from inferry_runtime.model.partial import arrived_bytes
from inferry_runtime.model.progress import FetchProgress, Meter
from inferry_runtime.model.repository import OpenRepository, open_repository
from inferry_runtime.model.retry import PERSISTENT, Retry
from inferry_runtime.model.safety import check_order
from inferry_runtime.model.source import LocalPath, parse_source
from inferry_runtime.model.tree import link_tree
from inferry_runtime.order import ModelOrder

__all__ = ["CachedModel", "Difference", "Eviction", "FetchCancelled", "FetchProgress", "Removal", "Store", "Tuning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A file that has another digest than it should."""

    path: str
    expected: str
    found: str


class Store:
    """Holds no state of its own: everything is in the folder. Thread-safe."""

    def __init__(self, root: Path, *, tuning: Tuning | None = None, clock: Clock | None = None) -> None:
        self._layout = Layout(Path(os.path.abspath(root)))
        self._tuning = tuning or Tuning()
        self._clock = clock or SystemClock()
        self._blobs = Blobs(self._layout, self._clock)
        self._cleaner = Cleaner(self._layout, self._blobs, self._clock)

    @property
    def root(self) -> Path:
        return self._layout.root

    def ensure(
        self,
        order: ModelOrder,
        access: Access,
        on_progress: Callable[[FetchProgress], None],
        cancelled: threading.Event | None = None,
    ) -> Path:
        """The model's folder, with exactly the ordered files, verified. Idempotent; safe against other processes.

        What is there is neither fetched nor, untouched, read again. `on_progress` is called from any thread, one at a
        time. Raises ModelError, or FetchCancelled soon after `cancelled` is set; both keep what has arrived.
        """
        check_order(order)
        stop = cancelled or threading.Event()
        key = revision_key(order)
        size = sum(file.size_bytes for file in order.files)
        with disk_errors_explained(self._layout.root, size), self.hold(order):
            meter = Meter(size, on_progress, self._clock)
            try:
                self._bring_in(order, key, access, meter, stop)
            except HashCancelled as error:
                raise FetchCancelled from error
            except ModelError as error:
                # A cancelled wait between attempts ends with the error of the last attempt.
                if stop.is_set():
                    raise FetchCancelled from error
                raise
            meter.finish(order.primary or order.files[-1].path)
            return self._layout.tree(key)

    def differences(self, order: ModelOrder) -> tuple[Difference, ...]:
        """Files that are served although they are not what their digests say, as `ensure` found them."""
        manifest = manifests.read(self._layout, revision_key(order))
        found = {file.path: file for file in manifest.files} if manifest is not None else {}
        compared = ((found[file.path], file.sha256) for file in order.files if file.path in found)
        return tuple(
            Difference(path=file.path, expected=expected, found=file.sha256)
            for file, told in compared
            if (expected := told or self._blobs.first_seen(file.file_key)) and file.sha256 not in {None, expected}
        )

    @contextmanager
    def hold(self, order: ModelOrder) -> Iterator[None]:
        """While inside, no process evicts or removes this model. A running replica holds its own. Raises ModelError."""
        with disk_errors_explained(self.root, 0):
            held = lock(self._layout.lock(revision_key(order).lock_name), shared=True)
        with held:
            yield

    def cached(self) -> tuple[CachedModel, ...]:
        """What is in the store, complete or under way, sorted by source."""
        return self._cleaner.cached()

    def remove(self, source: str, revision: str = "") -> Removal:
        """Takes out every cached revision of `source` (or only `revision`) that no process holds."""
        chosen = [model for model in self.cached() if model.source == source and revision in {"", model.revision}]
        return self._cleaner.remove(chosen)

    def evict(self, policy: Eviction) -> Removal:
        """Takes out what is too old or too much, least recently used first; never what a process holds."""
        return self._cleaner.remove(to_evict(self.cached(), policy, self._clock.wall()))

    def scrub(self, on_bytes: Callable[[int], None]) -> tuple[str, ...]:
        """Reads every blob again and sets wrong ones aside; returns their digests. For decay that leaves no trace."""
        return self._cleaner.scrub(on_bytes)

    def _bring_in(
        self, order: ModelOrder, key: RevisionKey, access: Access, meter: Meter, cancelled: threading.Event
    ) -> None:
        source = parse_source(order.source)
        wanted = manifests.expected(order, local=isinstance(source, LocalPath))
        self._announce(key, wanted)
        if isinstance(source, LocalPath):
            targets, digests = InPlace(blobs=self._blobs, meter=meter, cancelled=cancelled).locate(source, order)
        else:
            digests = self._fetch_missing(order, wanted, access, meter, cancelled)
            targets = {path: self._layout.blob(sha256) for path, sha256 in digests.items()}
        link_tree(self._layout.tree(key), targets, relative=not isinstance(source, LocalPath))
        done = manifests.completed(wanted, digests)
        if manifests.read(self._layout, key) != done:
            manifests.write(self._layout, key, done)

    def _announce(self, key: RevisionKey, wanted: Manifest) -> None:
        """From here on a sweep spares the blobs; what it took before is noticed, as nothing was looked at yet."""
        there = manifests.read(self._layout, key)
        if there is None:
            with lock(self._layout.sweep_lock, shared=True):
                manifests.write(self._layout, key, wanted)
        else:
            # When it was last used, for eviction by age.
            os.utime(self._layout.manifest(key))

    def _fetch_missing(
        self, order: ModelOrder, wanted: Manifest, access: Access, meter: Meter, cancelled: threading.Event
    ) -> dict[str, str]:
        digests: dict[str, str] = {}
        absent: list[ManifestFile] = []
        for file in wanted.files:
            hashing = partial(meter.verified, file.path)
            sha256 = self._blobs.usable(_wanted(file), order.integrity, hashing, cancelled)
            if sha256 is None:
                absent.append(file)
            else:
                digests[file.path] = sha256
                meter.present(file.path, file.size_bytes)
        if absent:
            self._check_space(absent)
            digests |= self._fetch(order, absent, access, meter, cancelled)
        return digests

    def _check_space(self, absent: list[ManifestFile]) -> None:
        arrived = {file.file_key: arrived_bytes(self._layout, file.file_key) for file in absent}
        needed = sum({file.file_key: file.size_bytes - arrived[file.file_key] for file in absent}.values())
        available = free_bytes(self._layout.root)
        if needed > available:
            raise no_space(self._layout.root, needed, available)

    def _fetch(
        self, order: ModelOrder, absent: list[ManifestFile], access: Access, meter: Meter, cancelled: threading.Event
    ) -> dict[str, str]:
        reach = replace(access, mirror=access.mirror or order.mirror)
        source = parse_source(order.source)
        retry = Retry(patience=PERSISTENT, clock=self._clock, cancelled=cancelled)
        with open_repository(source, order.revision, reach, retry=retry) as repository:
            _check_revision(repository, order)
            fetcher = Fetcher(
                repository=repository,
                layout=self._layout,
                blobs=self._blobs,
                meter=meter,
                clock=self._clock,
                tuning=self._tuning,
                integrity=order.integrity,
                cancelled=cancelled,
            )
            return fetcher.run([_wanted(file) for file in absent])


def _check_revision(repository: OpenRepository, order: ModelOrder) -> None:
    """A commit cannot move; a folder or a file elsewhere can, and may then not be mixed with what was inspected."""
    if repository.revision != order.revision:
        raise RevisionNotFound(
            f"{order.source} is no longer what was inspected",
            hint="apply the deployment again to serve what is there now",
        )


def _wanted(file: ManifestFile) -> Wanted:
    return Wanted(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256, file_key=file.file_key)
