"""Models on ModelScope, by the endpoints its own client uses."""

import os
from functools import cached_property, partial
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from inferry_runtime.model.errors import MalformedFile, ModelError, ModelNotFound, RevisionNotFound, Unauthorized
from inferry_runtime.model.http_bytes import HttpBytes
from inferry_runtime.model.listing import Access, ListedFile
from inferry_runtime.model.refusals import Refusal, explain_web
from inferry_runtime.model.retry import Retry
from inferry_runtime.model.source import ModelScope, is_commit
from inferry_runtime.model.transport import Transport

Answer = TypeVar("Answer", bound=msgspec.Struct)

DEFAULT_ENDPOINT = "https://www.modelscope.cn"
DEFAULT_REVISION = "master"


class _File(msgspec.Struct, frozen=True, rename="pascal"):
    path: str
    type: str
    size: int | None = None
    sha256: str | None = None
    revision: str | None = None
    committed_date: int | None = None


class _Committer(msgspec.Struct, frozen=True, rename="pascal"):
    id: str | None = None


class _Files(msgspec.Struct, frozen=True, rename="pascal"):
    files: list[_File] | None = None
    latest_committer: _Committer | None = None


class _FilesAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    code: int
    data: _Files | None = None
    message: str | None = None


class _Model(msgspec.Struct, frozen=True, rename="pascal"):
    license: str | None = None


class _ModelAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    code: int
    data: _Model | None = None


class _Reference(msgspec.Struct, frozen=True, rename="pascal"):
    revision: str


class _RevisionMap(msgspec.Struct, frozen=True, rename="pascal"):
    branches: list[_Reference] | None = None
    tags: list[_Reference] | None = None


class _Revisions(msgspec.Struct, frozen=True, rename="pascal"):
    revision_map: _RevisionMap


class _RevisionsAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    code: int
    data: _Revisions | None = None


class ModelScopeRepository:
    """Lazy, like the other hub. Every file comes with a digest here."""

    def __init__(self, source: ModelScope, revision: str, access: Access, retry: Retry) -> None:
        self._source = source
        self._asked_revision = revision
        domain = os.environ.get("MODELSCOPE_DOMAIN")
        self._endpoint = (access.mirror or (f"https://{domain}" if domain else DEFAULT_ENDPOINT)).rstrip("/")
        token = access.token or ("" if access.mirror else os.environ.get("MODELSCOPE_API_TOKEN", ""))
        self._transport = Transport(
            # Older routes know the session cookie only.
            secrets={"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"} if token else {},
            origin=self._endpoint,
            retry=retry,
            explain=partial(_explain, source),
        )

    @property
    def revision(self) -> str:
        """The newest commit that touched a file: the branch's own is not always told. Raises ModelError."""
        if is_commit(self._asked_revision):
            return self._asked_revision
        listing = self._listing
        newest = sorted(listing.files or (), key=lambda file: file.committed_date or 0, reverse=True)
        told = [listing.latest_committer.id if listing.latest_committer else None, *(file.revision for file in newest)]
        # No older file's commit: it would not have the newest file.
        for commit in told[:2]:
            if commit and is_commit(commit):
                return commit
        raise MalformedFile(f"{self._source} does not say which commit it is at", hint="name one with @commit")

    @property
    def license(self) -> str:
        answer = self._decoded(self._api(""), _ModelAnswer)
        return (answer.data.license if answer.data else None) or ""

    def files(self) -> tuple[ListedFile, ...]:
        return tuple(sorted(self._files.values(), key=lambda file: file.path))

    def open(self, path: str) -> HttpBytes:
        listed = self._files.get(path) if "_files" in self.__dict__ else None
        url = self._api(f"/repo?{urlencode({'Revision': self.revision, 'FilePath': path})}")
        return HttpBytes(self._transport, url, size_bytes=listed.size_bytes if listed else None)

    def close(self) -> None:
        self._transport.close()

    @cached_property
    def _files(self) -> dict[str, ListedFile]:
        return {
            file.path: ListedFile(path=file.path, size_bytes=file.size or 0, sha256=(file.sha256 or "").lower() or None)
            for file in self._listing.files or ()
            if file.type != "tree"
        }

    @cached_property
    def _listing(self) -> _Files:
        revision = self._asked_revision or DEFAULT_REVISION
        if not is_commit(revision):
            self._check_revision(revision)
        query = urlencode({"Revision": revision, "Recursive": "True"})
        answer = self._decoded(self._api(f"/repo/files?{query}"), _FilesAnswer)
        if answer.data is None or answer.code != 200:
            raise RevisionNotFound(f"{self._source} has no files at {revision!r}: {answer.message}")
        return answer.data

    def _check_revision(self, revision: str) -> None:
        """Asked first, because a listing answers 404 for a wrong revision and for a wrong model alike."""
        answer = self._decoded(self._api("/revisions"), _RevisionsAnswer)
        if answer.data is None:
            return
        names = [
            reference.revision
            for references in (answer.data.revision_map.branches, answer.data.revision_map.tags)
            for reference in references or ()
        ]
        if revision not in names:
            raise RevisionNotFound(f"{self._source} has no revision {revision!r}", hint=f"it has {', '.join(names)}")

    def _api(self, rest: str) -> str:
        return f"{self._endpoint}/api/v1/models/{quote(self._source.repository)}{rest}"

    def _decoded(self, url: str, kind: type[Answer]) -> Answer:
        try:
            return msgspec.json.decode(self._transport.document(url), type=kind)
        except msgspec.DecodeError as error:
            raise MalformedFile(
                f"{self._endpoint} does not answer like ModelScope: {error}", hint="check the mirror"
            ) from error


def _explain(source: ModelScope, refusal: Refusal) -> ModelError:
    match refusal.status:
        case 401 | 403:
            return Unauthorized(
                f"{source} is private or gated",
                hint="accept its terms on modelscope.cn, then give a token with secretRef",
            )
        case 404:
            return ModelNotFound(f"{source} does not exist, or is private", hint="check the spelling; give a token")
        case _:
            return explain_web(refusal)
