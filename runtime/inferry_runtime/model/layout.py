"""Where things lie in a store. Names only; nothing is created here.

blobs/sha256/<2>/<digest>                              verified bytes, read-only, named by what they are
revisions/<source>/<revision>/<selection>/manifest.json  which files make up a model
revisions/<source>/<revision>/<selection>/tree/          the same files by their paths: what engines open
partial/<key>.data, <key>.journal                      downloads under way
first-seen/<key>.json                                  digests of files whose source tells none
instead/<key>.json                                     digests of files that differ from theirs and are served anyway
fingerprints/<2>/<hash of path>.json                   what a hashed file looked like to stat
quarantine/                                            bytes that were not what they should be
locks/
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from inferry_runtime.order import ModelOrder, OrderedFile

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionKey:
    """One choice of files of one revision of one source."""

    source: str
    revision: str
    selection: str

    @property
    def folder(self) -> Path:
        return Path(self.source) / self.revision / self.selection

    @property
    def lock_name(self) -> str:
        return f"revision-{self.source}-{short_hash(self.revision)}-{self.selection}"


@dataclass(frozen=True, slots=True)
class Layout:
    root: Path

    @property
    def blobs(self) -> Path:
        return self.root / "blobs" / "sha256"

    @property
    def revisions(self) -> Path:
        return self.root / "revisions"

    @property
    def partials(self) -> Path:
        return self.root / "partial"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def fingerprints(self) -> Path:
        return self.root / "fingerprints"

    def blob(self, sha256: str) -> Path:
        return self.blobs / sha256[:2] / sha256

    def manifest(self, key: RevisionKey) -> Path:
        return self.revisions / key.folder / "manifest.json"

    def tree(self, key: RevisionKey) -> Path:
        return self.revisions / key.folder / "tree"

    def data(self, file_key: str) -> Path:
        return self.partials / f"{file_key}.data"

    def journal(self, file_key: str) -> Path:
        return self.partials / f"{file_key}.journal"

    def first_seen(self, file_key: str) -> Path:
        return self.root / "first-seen" / f"{file_key}.json"

    def instead(self, file_key: str) -> Path:
        return self.root / "instead" / f"{file_key}.json"

    def lock(self, name: str) -> Path:
        return self.root / "locks" / name

    @property
    def sweep_lock(self) -> Path:
        """Exclusive while unreferenced blobs are deleted, shared while a reference is added."""
        return self.lock("sweep")


def revision_key(order: ModelOrder) -> RevisionKey:
    files = sorted(f"{file.path}\0{file.size_bytes}\0{file.sha256 or ''}" for file in order.files)
    revision = order.revision if _SAFE.fullmatch(order.revision) else short_hash(order.revision)
    return RevisionKey(source=short_hash(order.source), revision=revision, selection=short_hash("\n".join(files)))


def file_key(order: ModelOrder, file: OrderedFile) -> str:
    """Files with a known digest are the same file wherever they come from."""
    if file.sha256:
        return f"sha256-{file.sha256}"
    return "path-" + short_hash("\0".join((order.source, order.revision, file.path, str(file.size_bytes))))


def short_hash(text: str) -> str:
    """128 bits: enough that nobody finds two models with the same name."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]
