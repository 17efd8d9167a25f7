"""The files of a model at one pinned revision, and how to read them. Implemented once per kind of source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from inferry_runtime.model.bytes import ByteSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    path: str
    """Relative to the model's root, with forward slashes."""
    size_bytes: int
    sha256: str | None = None
    """Lower-case hex where the source tells it (LFS digests)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach a source: everything that is not the model itself."""

    mirror: str = ""
    """Endpoint instead of the hub's own."""
    token: str = field(default="", repr=False)
    """Bearer token; "" for none. Never logged, never part of an order."""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables of a cloud that win over those of the environment. Treated like the token."""


class Repository(Protocol):
    """One model at one pinned revision."""

    @property
    def revision(self) -> str:
        """A commit for hubs; elsewhere a digest of the listing."""
        ...

    @property
    def license(self) -> str:
        """SPDX-like identifier where the source tells it; "" otherwise."""
        ...

    def files(self) -> tuple[ListedFile, ...]:
        """Sorted by path. Raises ModelError."""
        ...

    def open(self, path: str) -> ByteSource:
        """For reading ranges. Raises ModelError. May be called from several threads, each with its own source."""
        ...
