"""What the connections of one gateway process share."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.utils import formatdate
from time import perf_counter
from typing import Protocol

from inferry.api.snapshot import Snapshot
from inferry.gateway.backend import Backend, Backends
from inferry.gateway.budget import RetryBudget
from inferry.gateway.deadlines import TICK_SECONDS, Wheel
from inferry.gateway.limits import Limits
from inferry.gateway.metrics import Metrics
from inferry.gateway.table import RoutingTable, Target, build_table
from inferry.gateway.upstream import Loss, UpstreamConnection

logger = logging.getLogger(__name__)


Dial = Callable[[Callable[[], UpstreamConnection], Backend], Awaitable[UpstreamConnection]]


class Connecting(Protocol):
    def connected(self, connection: UpstreamConnection) -> None: ...
    def connect_failed(self, backend: Backend) -> None: ...
    def on_lost(self, loss: Loss) -> None: ...


async def dial_tcp(make: Callable[[], UpstreamConnection], backend: Backend) -> UpstreamConnection:
    """Raises OSError."""
    _, connection = await asyncio.get_running_loop().create_connection(make, backend.host, backend.port)
    return connection


class Worker:
    """One event loop's worth of gateway: routing table, endpoints, counters, deadlines."""

    def __init__(
        self, limits: Limits, tasks: asyncio.TaskGroup, drained: asyncio.Event, dial: Dial | None = None
    ) -> None:
        """`drained` is set whenever the last connection closes while draining; `dial` opens connections."""
        self.limits = limits
        self.wheel = Wheel()
        self.metrics = Metrics()
        self.backends = Backends()
        self.table: RoutingTable | None = None
        self.snapshot_error = ""
        """Why the newest snapshot was not taken; "" when it was."""
        self.draining = False
        self.drained = drained
        self.buffered_bytes = 0
        """Request bodies held by all connections."""
        self.date_line = b""
        self._tasks = tasks
        self._dial: Dial = dial if dial is not None else dial_tcp
        self._budgets: dict[str, RetryBudget] = {}
        self._turn = 0
        self._requests = 0
        # Ids must differ between processes and restarts; within one, counting is enough.
        self._id_prefix = f"req-{os.urandom(6).hex()}-".encode()

    def adopt(self, snapshot: Snapshot) -> None:
        """From the next request on. Raises SnapshotError; the table in use stays then."""
        table = build_table(snapshot, self.backends.of)
        self.table = table
        self.backends.keep_only(table.backends)
        names = {target.name for target in table.targets.values()}
        self.metrics.forget_except(names)
        self._budgets = {name: budget for name, budget in self._budgets.items() if name in names}
        logger.info("snapshot adopted", extra={"version": snapshot.version, "models": len(snapshot.models)})

    def new_request_id(self) -> bytes:
        self._requests += 1
        return b"%b%x" % (self._id_prefix, self._requests)

    def current(self, target: Target) -> Target:
        """The same model as the snapshot in use has it: an endpoint that drains by now gets no retry either."""
        assert self.table is not None
        return self.table.targets.get(target.name) or replace(target, ready=())

    def next_turn(self) -> int:
        self._turn += 1
        return self._turn

    def may_retry(self, model: str) -> bool:
        """Spends of the model's retry budget."""
        now, successes = perf_counter(), self.metrics.successes(model)
        budget = self._budgets.get(model)
        if budget is None:
            budget = self._budgets[model] = RetryBudget(now, successes)
        return budget.spend(now, successes)

    def connect(self, backend: Backend, waiting: Connecting) -> None:
        """Opens a connection; `waiting` hears of the outcome exactly once."""
        self._tasks.create_task(self._connect(backend, waiting))

    async def _connect(self, backend: Backend, waiting: Connecting) -> None:
        def make() -> UpstreamConnection:
            return UpstreamConnection(backend, self.wheel, self.limits)

        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                connection = await self._dial(make, backend)
            waiting.connected(connection)
        except (OSError, TimeoutError) as error:
            backend.health = backend.health.after_failure(perf_counter())
            logger.warning("connecting to an engine failed", extra={"endpoint": backend.id, "error": str(error)})
            waiting.connect_failed(backend)
        except Exception:
            # The outermost frame of this task: one request's failure must not end all others.
            logger.exception("asking an engine failed", extra={"endpoint": backend.id})
            self.metrics.errors += 1
            waiting.on_lost(Loss.INTERNAL)

    async def keep_time(self) -> None:
        """Advances the deadlines and the date until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        dated = 0.0
        while True:
            if due - dated >= 1:
                dated = due
                self.date_line = f"date: {formatdate(usegmt=True)}\r\n".encode()
            due += TICK_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))
            self.metrics.lag.observe(max(0.0, loop.time() - due))
            self.wheel.advance()
