"""The few requests the operator makes, over one HTTP session. Every answer that is not a success is a typed error."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec

from inferry.api.labels import FIELD_MANAGER
from inferry.kubernetes.credentials import Credentials
from inferry.kubernetes.errors import Unreachable, of_status

REQUEST_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5.0
TOKEN_SECONDS: Final = 60.0
"""kubelet replaces tokens at 80 % of their hour."""
CONNECTIONS: Final = 64
"""As many as workers write at once, and the watches."""

_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_JSON_PATCH: Final = "application/json-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One kind of object, as it stands in URLs."""

    group: str
    """"" for the core group."""
    version: str
    plural: str

    def path(self, namespace: str = "") -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"

    def one(self, namespace: str, name: str, subresource: str = "") -> str:
        tail = f"/{subresource}" if subresource else ""
        return f"{self.path(namespace)}/{quote(name)}{tail}"


class _Problem(msgspec.Struct, frozen=True):
    message: str = ""


class ApiClient:
    """For one event loop; use it as a context. `requests` counts by verb and status, 0 for no answer."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._token = ""
        self._token_read_at = float("-inf")
        self._session: aiohttp.ClientSession | None = None
        self.requests: Counter[tuple[str, int]] = Counter()

    async def __aenter__(self) -> "ApiClient":
        tls = self._credentials.tls()
        connector = aiohttp.TCPConnector(ssl=tls if tls is not None else True, limit=CONNECTIONS, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, parameters: Mapping[str, str] | None = None) -> bytes:
        return await self._send("get", path, parameters=parameters)

    async def create(self, path: str, document: bytes) -> bytes:
        return await self._send("create", path, document, "application/json", {"fieldManager": FIELD_MANAGER})

    async def replace(self, path: str, document: bytes) -> bytes:
        """Conflict when it was changed since the resource version in the document."""
        return await self._send("replace", path, document, "application/json", {"fieldManager": FIELD_MANAGER})

    async def apply(self, path: str, document: bytes) -> bytes:
        """Creates or corrects, taking fields from whoever else wrote them; answers the whole object."""
        return await self._send("apply", path, document, _APPLY, {"fieldManager": FIELD_MANAGER, "force": "true"})

    async def merge(self, path: str, patch: object) -> bytes:
        return await self._send("merge", path, msgspec.json.encode(patch), _MERGE, {"fieldManager": FIELD_MANAGER})

    async def change(self, path: str, operations: object) -> bytes:
        """JSON patch. Refused when one of its tests does not hold."""
        body = msgspec.json.encode(operations)
        return await self._send("change", path, body, _JSON_PATCH, {"fieldManager": FIELD_MANAGER})

    async def delete(self, path: str, uid: str) -> None:
        """The object with this uid; whatever has its name now is left alone (Conflict)."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        await self._send("delete", path, msgspec.json.encode(options), "application/json")

    @asynccontextmanager
    async def stream(
        self, path: str, parameters: Mapping[str, str], idle_seconds: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Chunks of an answer that never ends; silent for too long is Unreachable."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=idle_seconds)
        try:
            async with self._open().get(
                self._credentials.server + path, params=parameters, headers=self._headers(), timeout=timeout
            ) as answer:
                self.requests["watch", answer.status] += 1
                if answer.status >= 400:
                    raise _problem(answer, await answer.read())
                yield answer.content.iter_any()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"watch of {path} broke: {error!r}") from error

    async def _send(
        self,
        verb: str,
        path: str,
        body: bytes | None = None,
        content_type: str = "",
        parameters: Mapping[str, str] | None = None,
    ) -> bytes:
        headers = self._headers()
        if content_type:
            headers["Content-Type"] = content_type
        url = self._credentials.server + path
        try:
            async with self._open().request(
                _METHODS[verb], url, params=parameters, data=body, headers=headers
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.requests[verb, 0] += 1
            raise Unreachable(f"The API server does not answer ({verb} {path}): {error!r}") from error
        self.requests[verb, answer.status] += 1
        if answer.status >= 400:
            raise _problem(answer, content)
        return content

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("ApiClient is used outside of its context")
        return self._session

    def _headers(self) -> dict[str, str]:
        now = time.monotonic()
        if now - self._token_read_at > TOKEN_SECONDS:
            self._token, self._token_read_at = self._credentials.current_token(), now
        headers = {"Accept": "application/json", "User-Agent": "inferry-operator"}
        return headers | {"Authorization": f"Bearer {self._token}"} if self._token else headers


_METHODS: Final = {
    "get": "GET",
    "create": "POST",
    "replace": "PUT",
    "apply": "PATCH",
    "merge": "PATCH",
    "change": "PATCH",
    "delete": "DELETE",
}


def _problem(answer: aiohttp.ClientResponse, content: bytes) -> Exception:
    try:
        message = msgspec.json.decode(content, type=_Problem).message
    except msgspec.DecodeError:
        message = content[:200].decode(errors="replace")
    said = message or f"{answer.status} {answer.reason}"
    return of_status(answer.status, said, answer.headers.get("Retry-After", ""))
