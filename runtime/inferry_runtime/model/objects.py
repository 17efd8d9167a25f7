"""Models in object stores: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

Credentials come from a secret or from the environment, by the names every tool of these clouds reads (AWS_*, GOOGLE_*,
AZURE_*), or from the machine's own identity.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from inferry_runtime.model.errors import (
    DigestMismatch,
    HubUnreachable,
    InvalidSource,
    ModelError,
    ModelNotFound,
    Unauthorized,
)
from inferry_runtime.model.listing import Access, ListedFile
from inferry_runtime.model.source import ObjectStore

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as Client

# One request: large enough to pay for itself, small enough that all connections together fit in little memory.
REQUEST_BYTES = 4 << 20
REQUEST_SECONDS = 120
# The library tries again by itself; longer than this a person should hear of it.
RETRY_SECONDS = 60


class ObjectBytes:
    """Ranges of one object, all of the version that was listed."""

    ranged = True

    def __init__(self, client: "Client", key: str, listed: "ObjectMeta", where: str) -> None:
        self._client = client
        self._key = key
        self._tag = listed["e_tag"]
        self._where = where
        self.size_bytes = listed["size"]

    def read_at(self, offset: int, length: int) -> bytes:
        return b"".join(self.chunks(offset, min(length, self.size_bytes - offset)))

    def chunks(self, offset: int, length: int) -> Iterator[bytes]:
        for start in range(offset, offset + length, REQUEST_BYTES):
            yield self._part(start, min(start + REQUEST_BYTES, offset + length))

    def _part(self, start: int, end: int) -> bytes:
        import obstore

        with explained(self._where):
            answer = obstore.get(self._client, self._key, options={"range": (start, end), "if_match": self._tag})
            part = bytes(answer.bytes())
        if len(part) != end - start:
            raise DigestMismatch(f"{self._where} ends before byte {end}", hint="it changed; inspect it again")
        return part

    def close(self) -> None:
        """Connections belong to the client."""


class ObjectRepository:
    """Every object below a prefix, or the one object the prefix names."""

    license = ""

    def __init__(self, source: ObjectStore, access: Access, client: "Client | None" = None) -> None:
        self._source = source
        self._client = client or _client(source, access)

    @property
    def revision(self) -> str:
        """Changes when an object is added, removed or replaced. Raises ModelError."""
        lines = (f"{path}\0{listed['size']}\0{listed['e_tag']}\n" for path, listed in sorted(self._objects.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:40]

    def files(self) -> tuple[ListedFile, ...]:
        return tuple(ListedFile(path=path, size_bytes=listed["size"]) for path, listed in sorted(self._objects.items()))

    def open(self, path: str) -> ObjectBytes:
        listed = self._objects.get(path)
        if listed is None:
            raise ModelNotFound(f"{self._source} has no object {path}")
        return ObjectBytes(self._client, listed["path"], listed, f"{self._source}/{path}")

    def close(self) -> None:
        """The client has nothing to close."""

    @cached_property
    def _objects(self) -> "dict[str, ObjectMeta]":
        import obstore

        prefix = self._source.prefix
        with explained(str(self._source)):
            found = [listed for page in obstore.list(self._client, prefix or None) for listed in page]
            objects = _below(prefix, found)
            if not objects and prefix:
                objects = {prefix.rsplit("/", 1)[-1]: obstore.head(self._client, prefix)}
        if not objects:
            raise ModelNotFound(f"there is nothing below {self._source}", hint="check bucket and prefix")
        return objects


def _below(prefix: str, found: "Sequence[ObjectMeta]") -> "dict[str, ObjectMeta]":
    """By path below the prefix. Hidden objects are no part of a model, and neither are the empty ones that some
    consoles make where they show a folder."""
    start = f"{prefix}/" if prefix else ""
    below = {item["path"].removeprefix(start): item for item in found if item["path"].startswith(start)}
    folders = {str(parent) for path in below for parent in PurePosixPath(path).parents}
    return {
        path: item
        for path, item in below.items()
        if path and path not in folders and not any(part.startswith(".") for part in path.split("/"))
    }


def _client(source: ObjectStore, access: Access) -> "Client":
    from obstore import exceptions

    try:
        return _made(source, access)
    except (exceptions.BaseError, ValueError) as error:
        # The library quotes what it cannot read.
        told = _without(access.credentials.values(), _first_line(error))
        raise ModelError(f"{source}: {told}", hint=_CREDENTIALS) from None


def endpoint_of(access: Access, environment: Mapping[str, str]) -> str:
    """Where the store is, as far as anybody says so: the deployment, its secret, then the process's environment."""
    named = (access.mirror, access.credentials.get("AWS_ENDPOINT_URL"), environment.get("AWS_ENDPOINT_URL"))
    return next((endpoint for endpoint in named if endpoint), "")


def _made(source: ObjectStore, access: Access) -> "Client":
    from obstore.store import AzureStore, GCSStore, S3Store

    options: ClientConfig = {"timeout": timedelta(seconds=REQUEST_SECONDS)}
    if endpoint_of(access, os.environ).startswith("http://"):
        options["allow_http"] = True
    config: Any = dict(access.credentials)
    retry: RetryConfig = {"max_retries": 6, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
    match source.scheme:
        case "s3" if access.mirror:
            return S3Store(
                source.bucket, config=config, endpoint=access.mirror, client_options=options, retry_config=retry
            )
        case "s3":
            return S3Store(source.bucket, config=config, client_options=options, retry_config=retry)
        case "gs":
            return GCSStore(source.bucket, config=config, client_options=options, retry_config=retry)
        case "az" if access.mirror:
            return AzureStore(
                source.bucket, config=config, endpoint=access.mirror, client_options=options, retry_config=retry
            )
        case "az":
            return AzureStore(source.bucket, config=config, client_options=options, retry_config=retry)
        case scheme:
            raise InvalidSource(f"unknown object store {scheme}://", hint="write s3://, gs:// or az://")


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turns the library's errors into this room's."""
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError as error:
        raise ModelNotFound(f"there is nothing at {where}", hint="check bucket and prefix") from error
    except (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise Unauthorized(f"{where} refuses access", hint=_CREDENTIALS) from error
    except exceptions.PreconditionError as error:
        raise DigestMismatch(f"{where} changed while it was read", hint="inspect it again") from error
    except exceptions.BaseError as error:
        # Listings wrap every status into the same error.
        if _DENIED.search(str(error)):
            raise Unauthorized(f"{where} refuses access", hint=_CREDENTIALS) from error
        raise HubUnreachable(
            f"{where}: {_first_line(error)}", hint="check network, region, endpoint and credentials"
        ) from error


_DENIED = re.compile(r"status code:? (?:401|403)\b")
_CREDENTIALS = (
    "set the cloud's own variables (AWS_ACCESS_KEY_ID…, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME…), "
    "or AWS_SKIP_SIGNATURE=true for a public bucket"
)


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***") if secret else text
    return text


def _first_line(error: Exception) -> str:
    """These errors carry whole debug trees."""
    return str(error).strip().split("\n", 1)[0][:300]
