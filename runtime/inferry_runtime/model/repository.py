"""What every kind of source offers beyond listing.Repository, and the one place that picks the kind."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from inferry_runtime.model.bytes import ByteSource
from inferry_runtime.model.listing import Access, Repository
from inferry_runtime.model.local import LocalRepository
from inferry_runtime.model.retry import Retry
from inferry_runtime.model.source import HuggingFace, LocalPath, ModelScope, ObjectStore, Source, WebFile, revision_of


class RangeSource(ByteSource, Protocol):
    """A file that can be streamed from anywhere inside."""

    @property
    def ranged(self) -> bool:
        """False: it can only be read from its beginning, all at once."""
        ...

    def chunks(self, offset: int, length: int) -> Iterator[bytes]:
        """Exactly these bytes. Raises ModelError, also when the file is shorter."""
        ...


class OpenRepository(Repository, Protocol):
    """A repository whose files can be fetched, by several threads at once."""

    def open(self, path: str) -> RangeSource:
        """Touches the network at the first read at the earliest."""
        ...

    def close(self) -> None: ...


@contextmanager
def open_repository(
    source: Source, revision: str, access: Access, *, retry: Retry | None = None
) -> Iterator[OpenRepository]:
    """The model at `revision`, else at the source's own revision, else at its default one. Raises ModelError."""
    repository = _opened(source, revision or revision_of(source), access, retry or Retry())
    try:
        yield repository
    finally:
        repository.close()


def _opened(source: Source, revision: str, access: Access, retry: Retry) -> OpenRepository:
    """Each kind is imported where it is used: together they are half a second and 30 MB."""
    match source:
        case LocalPath():
            return LocalRepository(source.path)
        case WebFile():
            from inferry_runtime.model.web import WebRepository

            return WebRepository(source, access, retry)
        case HuggingFace():
            from inferry_runtime.model.hub import HubRepository

            return HubRepository(source, revision, access, retry)
        case ModelScope():
            from inferry_runtime.model.modelscope import ModelScopeRepository

            return ModelScopeRepository(source, revision, access, retry)
        case ObjectStore():
            from inferry_runtime.model.objects import ObjectRepository

            return ObjectRepository(source, access)
