"""One operator writes; another stands by. A `coordination.k8s.io` Lease says which, as in client-go's leader election.

The holder renews the lease; whoever else wants it waits until it has not changed for its whole duration by the own
clock, as clocks of different machines differ. The holder stops writing before that, also when it cannot ask.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from inferry.control.errors import WorldError
from inferry.kubernetes.client import ApiClient, Collection
from inferry.kubernetes.errors import LeaseLost, NotFound

log = logging.getLogger(__name__)

DURATION_SECONDS: Final = 15.0
RENEW_SECONDS: Final = 10.0
"""Without a renewal for this long the holder considers the lease lost: 5 s before anybody else may have it."""
RETRY_SECONDS: Final = 2.0

LEASES: Final = Collection(group="coordination.k8s.io", version="v1", plural="leases")


class LeaseSpec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: str = ""
    renew_time: str = ""
    lease_transitions: int = 0


class _Meta(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    name: str
    namespace: str
    resource_version: str = ""


class _Lease(msgspec.Struct, frozen=True, rename="camel"):
    metadata: _Meta
    spec: LeaseSpec = LeaseSpec()
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseName:
    namespace: str
    name: str
    identity: str
    """Differs between any two processes, also those of one pod one after the other."""


class Lease:
    """`_seen` is the last spec that somebody else wrote, `_seen_at` when it was first seen, by the own clock."""

    def __init__(self, client: ApiClient, name: LeaseName, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._name = name
        self._clock = clock
        self._seen: LeaseSpec | None = None
        self._seen_at = 0.0
        self._renewed_at = float("-inf")

    def holds(self) -> bool:
        """Nobody else can have it yet."""
        return self._clock() < self._renewed_at + RENEW_SECONDS

    def fence(self) -> None:
        """To be called before writing. Raises LeaseLost."""
        if not self.holds():
            raise LeaseLost("Another operator may have taken over; nothing is written.")

    async def acquire(self) -> None:
        """Returns when it is ours."""
        while True:
            if await self._try():
                break
            await asyncio.sleep(RETRY_SECONDS)
        log.info("leading", extra={"identity": self._name.identity})

    async def keep(self) -> None:
        """Renews until it is lost; raises LeaseLost then."""
        while self.holds():
            await asyncio.sleep(RETRY_SECONDS)
            await self._try()
        raise LeaseLost("The lease could not be renewed in time.")

    async def release(self) -> None:
        """Lets the next one in at once. Best effort: who cannot be told waits for the lease to run out."""
        if not self.holds():
            return
        self._renewed_at = float("-inf")
        try:
            lease = await self._read()
            if lease is not None and lease.spec.holder_identity == self._name.identity:
                await self._write(lease, LeaseSpec(lease_duration_seconds=1, lease_transitions=_turns(lease)))
        except WorldError as error:
            log.warning("lease not released", extra={"error": str(error)})

    async def _try(self) -> bool:
        asked_at = self._clock()
        try:
            lease = await self._read()
            if lease is not None and not self._may_take(lease.spec):
                return False
            await self._write(lease, self._renewal(lease))
        except WorldError as error:
            log.warning("lease not renewed", extra={"error": str(error)})
            return False
        # The time before the request: the server's renewal cannot be older.
        self._renewed_at = asked_at
        return True

    def _may_take(self, spec: LeaseSpec) -> bool:
        if spec.holder_identity in ("", self._name.identity):
            return True
        if spec != self._seen:
            self._seen, self._seen_at = spec, self._clock()
            self._renewed_at = float("-inf")
        return self._clock() >= self._seen_at + max(spec.lease_duration_seconds, 1)

    def _renewal(self, lease: _Lease | None) -> LeaseSpec:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mine = lease is not None and lease.spec.holder_identity == self._name.identity
        return LeaseSpec(
            holder_identity=self._name.identity,
            lease_duration_seconds=int(DURATION_SECONDS),
            acquire_time=lease.spec.acquire_time if lease is not None and mine else now,
            renew_time=now,
            lease_transitions=_turns(lease) + (not mine) if lease is not None else 0,
        )

    async def _read(self) -> _Lease | None:
        try:
            return msgspec.json.decode(await self._client.get(self._path()), type=_Lease)
        except NotFound:
            return None

    async def _write(self, lease: _Lease | None, spec: LeaseSpec) -> None:
        """Raises Conflict when somebody was faster."""
        if lease is None:
            created = _Lease(metadata=_Meta(name=self._name.name, namespace=self._name.namespace), spec=spec)
            await self._client.create(LEASES.path(self._name.namespace), msgspec.json.encode(created))
        else:
            await self._client.replace(self._path(), msgspec.json.encode(msgspec.structs.replace(lease, spec=spec)))

    def _path(self) -> str:
        return LEASES.one(self._name.namespace, self._name.name)


def _turns(lease: _Lease) -> int:
    return lease.spec.lease_transitions
