"""How many requests run on each replica, as far as the gateway has said so about the snapshot that counts."""

import asyncio
from collections.abc import Callable

from inferry.local.gateway_process import GatewayProcess, GatewayState
from inferry.local.publisher import SnapshotPublisher
from inferry.local.snapshot import endpoint_id
from inferry.plan.types import Replica

# Somebody waits for the last answer of a replica that goes.
DRAINING_POLL_SECONDS = 0.05
# Only read when it is chosen who goes next.
IDLE_POLL_SECONDS = 2.0


class InFlight:
    """A draining replica's count is told only once the gateway routes by a snapshot in which it drains: before that,
    a request may still be on its way there."""

    def __init__(self, gateway: GatewayProcess, publisher: SnapshotPublisher) -> None:
        self._gateway = gateway
        self._publisher = publisher
        self._state: GatewayState | None = None
        self._hurry = asyncio.Event()

    def of(self, replica: Replica) -> int | None:
        """None when the gateway has not said."""
        endpoint = endpoint_id(replica)
        if self._state is None or self._state.snapshot_version < self._publisher.version_of(endpoint):
            return None
        return self._state.in_flight.get(endpoint, 0)

    def look_now(self) -> None:
        self._hurry.set()

    async def watch(self, draining: Callable[[], bool], changed: Callable[[], None]) -> None:
        """Ask again and again, often while something drains; `changed` is called when an answer differs then."""
        while True:
            self._hurry.clear()
            before, self._state = self._state, await self._gateway.state()
            if draining() and self._state != before:
                changed()
            pause = DRAINING_POLL_SECONDS if draining() else IDLE_POLL_SECONDS
            await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
