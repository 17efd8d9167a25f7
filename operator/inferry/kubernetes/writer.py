"""Writes to the cluster. Each is harmless when it is made twice, and when what it is about is gone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from inferry.api.labels import DRAINING
from inferry.control.errors import WorldError
from inferry.kubernetes import kinds
from inferry.kubernetes.annotations import DELETION_COST, FIRST_TO_GO
from inferry.kubernetes.applied import Written, digest, marked
from inferry.kubernetes.client import ApiClient, Collection
from inferry.kubernetes.errors import Conflict, NotFound
from inferry.kubernetes.manifests import Owner
from inferry.kubernetes.pods import Document
from inferry.kubernetes.views import OwnedView, PodView, ReplicaSetView, owned_view, replica_set_view

LEFTOVER_SECONDS: Final = 1.0
"""The garbage collector takes about as long to remove what an earlier deployment of the same name left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One object to be there."""

    kind: Collection
    document: Document
    seen: OwnedView | ReplicaSetView | None
    """What is there under its name."""
    replicas: int | None = None

    @property
    def name(self) -> str:
        metadata = self.document["metadata"]
        return str(metadata["name"]) if isinstance(metadata, dict) else ""


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    uid: str = ""
    deletion_timestamp: str = ""


class _Object(msgspec.Struct, frozen=True):
    metadata: _Meta


class Writer:
    """`fence` raises unless this process may write; it is asked before every batch."""

    def __init__(self, client: ApiClient, fence: Callable[[], None]) -> None:
        self._client = client
        self._fence = fence
        self._written = Written()

    async def is_there(self, owner: Owner) -> bool:
        """Asks the API server: what is known may be older than a deletion that nobody has told us of."""
        try:
            document = await self._client.get(kinds.DEPLOYMENTS.one(owner.namespace, owner.name))
        except NotFound:
            return False
        meta = msgspec.json.decode(document, type=_Object).metadata
        return meta.uid == owner.uid and not meta.deletion_timestamp

    async def ensure(self, owner: Owner, parts: Sequence[Part]) -> None:
        """Together: none waits for another."""
        self._fence()
        await _together([self._apply(owner, part) for part in parts if self._differs(part)])

    async def mark(self, pods: Sequence[PodView], draining_since: float | None) -> None:
        """As the first to go; with a moment also as draining."""
        self._fence()
        await _together([self._mark(pod, draining_since) for pod in pods])

    async def scale(self, sets: Sequence[tuple[ReplicaSetView, int]]) -> None:
        self._fence()
        await _together([self._scale(one, replicas) for one, replicas in sets])

    async def delete(self, kind: Collection, views: Sequence[OwnedView | ReplicaSetView | PodView]) -> None:
        self._fence()
        await _together([self._delete(kind, view) for view in views])

    async def report(self, owner: Owner, status: object) -> bytes | None:
        """The object as it is now; None when it is gone."""
        self._fence()
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": owner.uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        try:
            return await self._client.change(kinds.DEPLOYMENTS.one(owner.namespace, owner.name, "status"), operations)
        except NotFound:
            return None

    def _differs(self, part: Part) -> bool:
        seen = part.seen
        if seen is None or not self._written.stands(seen, digest(part.document)):
            return True
        return isinstance(seen, ReplicaSetView) and seen.wanted != part.replicas

    async def _apply(self, owner: Owner, part: Part) -> None:
        if part.seen is not None and (part.seen.owner_uid != owner.uid or part.seen.terminating):
            raise WorldError(
                f"{part.kind.plural}/{part.name} of an earlier deployment is still being removed.",
                retry_after_seconds=LEFTOVER_SECONDS,
            )
        body = marked(part.document, digest(part.document), part.replicas)
        answer = await self._client.apply(part.kind.one(owner.namespace, part.name), body)
        view = replica_set_view(answer) if part.kind is kinds.REPLICA_SETS else owned_view(answer)
        if view is not None:
            self._written.wrote(view)

    async def _mark(self, pod: PodView, draining_since: float | None) -> None:
        metadata: Document = {"uid": pod.uid, "annotations": {DELETION_COST: FIRST_TO_GO}}
        if draining_since is not None:
            metadata["labels"] = {DRAINING: f"{draining_since:.3f}"}
        await _if_there(self._client.merge(kinds.PODS.one(pod.key.namespace, pod.name), {"metadata": metadata}))

    async def _scale(self, one: ReplicaSetView, replicas: int) -> None:
        path = kinds.REPLICA_SETS.one(one.key.namespace, one.name)
        patch = {"metadata": {"uid": one.uid}, "spec": {"replicas": replicas}}
        await _if_there(self._client.merge(path, patch))

    async def _delete(self, kind: Collection, view: OwnedView | ReplicaSetView | PodView) -> None:
        await _if_there(self._client.delete(kind.one(view.key.namespace, view.name), view.uid))
        self._written.forget(view.uid)


async def _together(writes: Sequence[Awaitable[None]]) -> None:
    """All are made although one fails; the first failure is raised."""
    results = await asyncio.gather(*writes, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _if_there(write: Awaitable[object]) -> None:
    """Gone, or another object of the same name: either way nothing is left to be done."""
    try:
        await write
    except (NotFound, Conflict):
        return
