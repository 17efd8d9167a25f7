"""Models on the Hugging Face hub, or on anything that speaks its protocol."""

import os
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from inferry_runtime.model.errors import (
    HubUnreachable,
    InvalidSource,
    MalformedFile,
    ModelError,
    ModelNotFound,
    RevisionNotFound,
    Unauthorized,
)
from inferry_runtime.model.http_bytes import HttpBytes
from inferry_runtime.model.listing import Access, ListedFile
from inferry_runtime.model.refusals import TRANSIENT_STATUS, Refusal, explain_web
from inferry_runtime.model.retry import Retry, Transient
from inferry_runtime.model.source import HuggingFace, is_commit
from inferry_runtime.model.transport import Transport

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelInfo
    from huggingface_hub.errors import HfHubHTTPError

T = TypeVar("T")

DEFAULT_ENDPOINT = "https://huggingface.co"
# Listings come from a database that has its slow moments.
LISTING_SECONDS = 30.0
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


class HubRepository:
    """Lazy: a pinned commit is opened, and its files fetched, without asking for the listing."""

    def __init__(self, source: HuggingFace, revision: str, access: Access, retry: Retry) -> None:
        _refuse_offline(source)
        self._source = source
        self._asked_revision = revision
        self._retry = retry
        self._endpoint = (access.mirror or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
        self._token = access.token or ("" if access.mirror else _ambient_token())
        self._explain = partial(explain_hub, source, revision)
        self._transport = Transport(
            secrets={"Authorization": f"Bearer {self._token}"} if self._token else {},
            origin=self._endpoint,
            retry=retry,
            explain=self._explain,
        )

    @property
    def revision(self) -> str:
        """A commit. Raises ModelError."""
        return self._asked_revision if is_commit(self._asked_revision) else self._commit(self._info)

    @property
    def license(self) -> str:
        card = self._info.card_data
        told = card.get("license") if card is not None else None
        return told if isinstance(told, str) else ""

    def files(self) -> tuple[ListedFile, ...]:
        return tuple(sorted(self._files.values(), key=lambda file: file.path))

    def open(self, path: str) -> HttpBytes:
        listed = self._files.get(path) if "_files" in self.__dict__ else None
        url = f"{self._endpoint}/{self._source.repository}/resolve/{quote(self.revision, safe='')}/{quote(path)}"
        return HttpBytes(self._transport, url, size_bytes=listed.size_bytes if listed else None)

    def close(self) -> None:
        self._transport.close()

    @cached_property
    def _files(self) -> dict[str, ListedFile]:
        siblings = self._info.siblings or []
        if any(sibling.size is None for sibling in siblings):
            return self._tree()
        return {
            sibling.rfilename: ListedFile(
                path=sibling.rfilename,
                size_bytes=sibling.size or 0,
                sha256=sibling.lfs.sha256 if sibling.lfs else None,
            )
            for sibling in siblings
        }

    def _tree(self) -> dict[str, ListedFile]:
        """For mirrors that list names only when asked for the model."""
        from huggingface_hub.hf_api import RepoFile

        entries = self._ask(
            lambda api: list(
                api.list_repo_tree(self._source.repository, recursive=True, revision=self._commit(self._info))
            )
        )
        return {
            entry.path: ListedFile(
                path=entry.path, size_bytes=entry.size, sha256=entry.lfs.sha256 if entry.lfs else None
            )
            for entry in entries
            if isinstance(entry, RepoFile)
        }

    @cached_property
    def _info(self) -> "ModelInfo":
        return self._ask(
            lambda api: api.model_info(
                self._source.repository,
                revision=self._asked_revision or None,
                files_metadata=True,
                timeout=LISTING_SECONDS,
            )
        )

    def _commit(self, info: "ModelInfo") -> str:
        if info.sha is None:
            raise MalformedFile(f"{self._endpoint} does not say which commit {self._source} is at", hint="use a mirror")
        return info.sha

    def _ask(self, question: "Callable[[HfApi], T]") -> T:
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self._endpoint, token=self._token or False)
        return self._retry.run(lambda: self._ask_once(api, question))

    def _ask_once(self, api: "HfApi", question: "Callable[[HfApi], T]") -> T:
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

        try:
            return question(api)
        except HFValidationError as error:
            raise InvalidSource(f"{self._source}: {error}", hint="write hf://org/repo") from error
        except OfflineModeIsEnabled as error:
            raise _offline(self._source) from error
        except HfHubHTTPError as error:
            raise self._refused(error) from error
        except httpx2.TransportError as error:
            told = f"{self._endpoint}: {str(error) or type(error).__name__}"
            raise Transient(HubUnreachable(told, hint="check the network, the proxy and the mirror")) from error
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedFile(
                f"{self._endpoint} does not answer like a hub: {error!r}", hint="check the mirror"
            ) from error

    def _refused(self, error: "HfHubHTTPError") -> Exception:
        response = error.response
        headers = {name.lower(): value for name, value in response.headers.items()}
        refusal = Refusal(
            status=response.status_code, headers=headers, url=str(response.url), authorized=bool(self._token)
        )
        explained = self._explain(refusal)
        if response.status_code not in TRANSIENT_STATUS:
            return explained
        wait = headers.get("retry-after", "")
        return Transient(explained, retry_after=float(wait) if wait.isdecimal() else None)


def explain_hub(source: HuggingFace, revision: str, refusal: Refusal) -> ModelError:
    """The hub tells its reasons in a header; 401 alone may mean missing, private or gated."""
    page = f"{DEFAULT_ENDPOINT}/{source.repository}"
    match refusal.headers.get("x-error-code", ""):
        case "GatedRepo":
            return Unauthorized(
                f"{source} is gated",
                hint=f"accept its licence at {page}, then give a token that may read it (secretRef, or HF_TOKEN)",
            )
        case "RevisionNotFound":
            return RevisionNotFound(
                f"{source} has no revision {revision!r}", hint=f"see {page}/tree/main for those it has"
            )
        case "EntryNotFound":
            return ModelNotFound(f"{source} has no such file: {refusal.url}", hint=f"see {page}/tree/main")
    if refusal.status == 401 and refusal.authorized and "credentials" in refusal.headers.get("x-error-message", ""):
        return Unauthorized(
            "the hub does not know this token", hint="make a new one, or leave it out for public models"
        )
    if refusal.status in {401, 404}:
        private = "the token may not read it" if refusal.authorized else "it is private and needs a token"
        return ModelNotFound(f"{source} does not exist, or {private}", hint=f"check the spelling at {page}")
    return explain_web(refusal)


def _ambient_token() -> str:
    """What the hub's own tools would use. Only ever sent to the endpoint of the same environment, never to a mirror
    that a deployment names: whoever may write deployments may not have this machine's token."""
    from huggingface_hub import get_token

    return get_token() or ""


def _refuse_offline(source: HuggingFace) -> None:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        raise _offline(source)


def _offline(source: HuggingFace) -> ModelError:
    return HubUnreachable(
        f"{source} is not in the store, and HF_HUB_OFFLINE forbids to fetch it",
        hint="unset HF_HUB_OFFLINE, or use a local path",
    )
