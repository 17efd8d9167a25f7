"""What the gateway has said: which snapshot it routes by, and how many requests run where."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from inferry.local.gateway_process import GatewayProcess, GatewayState
from inferry.local.publisher import SnapshotPublisher
from inferry.local.snapshot import endpoint_id
from inferry.plan.types import Phase, Replica

# Somebody waits for Ready; a look costs half a millisecond. The gateway looks at its file every 50 ms.
FIRST_PAUSE_SECONDS = 0.01
# A gateway that is down for longer, or refuses the snapshot, need not be asked that often.
PAUSE_GROWTH = 1.2
LONGEST_PAUSE_SECONDS = 0.25
# Somebody waits for the last answer of a replica that goes.
DRAINING_POLL_SECONDS = 0.05
# Only read when it is chosen who goes next.
IDLE_POLL_SECONDS = 2.0


class GatewayWord:
    """A replica is ready once the gateway routes by a snapshot in which it is: before that, a request would still be
    refused. It stays ready while the gateway is away, as the next one starts from that snapshot. A draining replica's
    count is told only once the gateway routes by a snapshot in which it drains: before that, a request may still be on
    its way there."""

    def __init__(self, gateway: GatewayProcess, publisher: SnapshotPublisher) -> None:
        self._gateway = gateway
        self._publisher = publisher
        self._state: GatewayState | None = None
        self._acknowledged = 0
        """The highest version the gateway has said it routes by; later ones are never older."""
        self._hurry = asyncio.Event()

    def about(self, replica: Replica) -> Replica:
        """The replica as clients find it."""
        if not replica.port:
            return replica
        told = replace(replica, in_flight=self._in_flight(replica))
        if replica.ready and replica.draining_since is None and not self._is_taken_up(replica):
            return replace(told, ready=False, phase=Phase.ANSWERED)
        return told

    def look_now(self) -> None:
        self._hurry.set()

    async def look(self) -> None:
        """Ask once."""
        self._state = await self._gateway.state()
        if self._state is not None:
            self._acknowledged = max(self._acknowledged, self._state.snapshot_version)

    async def watch(
        self, draining: Callable[[], bool], drained: Callable[[], None], taken_up: Callable[[], None]
    ) -> None:
        """Ask again and again, often while somebody waits for the answer. `taken_up` is called when replicas are ready
        now that were not, `drained` when the answer differs while one drains."""
        pause_seconds = 0.0
        while True:
            self._hurry.clear()
            state, acknowledged = self._state, self._acknowledged
            await self.look()
            if acknowledged < min(self._acknowledged, self._publisher.newest_ready()):
                taken_up()
            if draining() and self._state != state:
                drained()
            pause_seconds = _longer(pause_seconds) if self._is_waiting() else 0.0
            if await self._hurried(pause_seconds or (DRAINING_POLL_SECONDS if draining() else IDLE_POLL_SECONDS)):
                pause_seconds = 0.0

    def _in_flight(self, replica: Replica) -> int | None:
        """None when the gateway has not said."""
        endpoint = endpoint_id(replica)
        if self._state is None or self._state.snapshot_version < self._publisher.version_of(endpoint):
            return None
        return self._state.in_flight.get(endpoint, 0)

    def _is_taken_up(self, replica: Replica) -> bool:
        since = self._publisher.ready_since(endpoint_id(replica))
        return since is not None and since <= self._acknowledged

    def _is_waiting(self) -> bool:
        return self._publisher.newest_ready() > self._acknowledged

    async def _hurried(self, seconds: float) -> bool:
        """Whether the pause was cut short."""
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return False
        return True


def _longer(pause_seconds: float) -> float:
    return min(max(PAUSE_GROWTH * pause_seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
