"""A slim copy in memory of one kind of object: list, watch, and list again when the watch cannot be resumed."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from inferry.control.errors import WorldError
from inferry.kubernetes.cache import Kept, Sink
from inferry.kubernetes.client import ApiClient
from inferry.kubernetes.errors import ApiError, Expired

log = logging.getLogger(__name__)

PAGE: Final = 500
"""Objects a list is asked for at a time: what is in memory at once while it is read."""
IDLE_SECONDS: Final = 70.0
"""The API server sends a bookmark every minute: a watch that is silent for longer is dead."""
FIRST_PAUSE_SECONDS: Final = 0.5
LAST_PAUSE_SECONDS: Final = 30.0

V = TypeVar("V", bound=Kept)


class _ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    next: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: tuple[msgspec.Raw, ...] = ()


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    uid: str = ""


class _Versioned(msgspec.Struct, frozen=True):
    metadata: _Version


class _Status(msgspec.Struct, frozen=True):
    message: str = ""
    code: int = 0


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


_PAGE: Final = msgspec.json.Decoder(_Page)
_VERSIONED: Final = msgspec.json.Decoder(_Versioned)
_EVENT: Final = msgspec.json.Decoder(_Event)


class Watching(Protocol):
    """A reflector, whatever it reflects."""

    path: str
    synced: asyncio.Event
    restarts: Counter[str]
    heard_at: float

    async def run(self) -> None: ...


class Reflector(Generic[V]):
    """`view` makes of an object what is kept of it, None for one that is of no interest."""

    def __init__(
        self,
        client: ApiClient,
        path: str,
        view: Callable[[bytes | msgspec.Raw], V | None],
        sink: Sink[V],
        *,
        labels: str = "",
    ) -> None:
        self.path = path
        self._client = client
        self._view = view
        self._sink = sink
        self._labels = {"labelSelector": labels} if labels else {}
        self.synced = asyncio.Event()
        self.restarts: Counter[str] = Counter()
        self.heard_at = time.monotonic()
        """When the API server last said anything, in seconds of the monotonic clock."""

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            try:
                version = await self._list()
                self.synced.set()
                failures = 0
                await self._watch(version)
            except Expired:
                self.restarts["expired"] += 1
                log.info("watch expired, listing again", extra={"path": self.path})
            except (WorldError, msgspec.DecodeError) as error:
                failures += 1
                self.restarts["failed"] += 1
                pause = _pause(failures)
                log.warning("list failed", extra={"path": self.path, "error": str(error), "seconds": pause})
                await asyncio.sleep(pause)

    async def _list(self) -> str:
        items: dict[str, V] = {}
        parameters = {"limit": str(PAGE), **self._labels}
        while True:
            page = _PAGE.decode(await self._client.get(self.path, parameters))
            self.heard_at = time.monotonic()
            views = (self._viewed(item) for item in page.items)
            items.update({view.uid: view for view in views if view is not None})
            if not page.metadata.next:
                self._sink.replace(items)
                return page.metadata.resource_version
            parameters["continue"] = page.metadata.next

    async def _watch(self, version: str) -> None:
        """Resumes where it broke; raises Expired when that is too long ago."""
        failures = 0
        while True:
            heard_at = self.heard_at
            try:
                async with aclosing(self._events(version)) as events:
                    async for event in events:
                        version = self._take(event)
                # Watches end every few minutes by themselves; one that said nothing before is a broken one.
                failures = 0 if self.heard_at != heard_at else failures + 1
            except Expired:
                raise
            except (ApiError, msgspec.DecodeError) as error:
                failures = failures + 1 if self.heard_at == heard_at else 1
                self.restarts["broken"] += 1
                log.info("watch broke", extra={"path": self.path, "error": str(error)})
            if failures:
                await asyncio.sleep(_pause(failures))

    async def _events(self, version: str) -> AsyncGenerator[_Event, None]:
        parameters = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version, **self._labels}
        async with self._client.stream(self.path, parameters, IDLE_SECONDS) as chunks:
            tail = b""
            async for chunk in chunks:
                self.heard_at = time.monotonic()
                *lines, tail = (tail + chunk).split(b"\n")
                for line in lines:
                    if line:
                        yield _EVENT.decode(line)

    def _take(self, event: _Event) -> str:
        if event.type == "ERROR":
            status = msgspec.json.decode(event.object, type=_Status)
            raise Expired(status.message) if status.code == 410 else ApiError(status.message, status=status.code)
        metadata = _VERSIONED.decode(event.object).metadata
        if event.type != "BOOKMARK":
            self._keep(event, metadata.uid)
        return metadata.resource_version

    def _keep(self, event: _Event, uid: str) -> None:
        view = None if event.type == "DELETED" else self._viewed(event.object)
        if view is None:
            self._sink.drop(uid)
        else:
            self._sink.put(view)

    def _viewed(self, document: msgspec.Raw) -> V | None:
        """An object that is not as the API says is left out: it would break the watch of all others."""
        try:
            return self._view(document)
        except msgspec.DecodeError as error:
            log.warning("object cannot be read", extra={"path": self.path, "error": str(error)})
            return None


def _pause(failures: int) -> float:
    """Random in its upper half: reflectors that broke together do not come back together."""
    longest = min(LAST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
    return random.uniform(longest / 2, longest)
