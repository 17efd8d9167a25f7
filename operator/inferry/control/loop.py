"""The loop: workers take keys, one reconcile each, one dispatcher for how it ended."""

import asyncio
import logging
import random as random_numbers
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from inferry.control.clock import Clock, SystemClock
from inferry.control.errors import Terminal, WorldError
from inferry.control.inspections import Inspections
from inferry.control.outcome import AgainAfter, Done, GiveUp, Gone, Outcome, Retry
from inferry.control.queue import WorkQueue
from inferry.control.reconcile import Decide, Reconciler, Validate, spec_problems
from inferry.control.world import Key, World

log = logging.getLogger(__name__)

WORKERS: Final = 8
"""The only limit on what happens at the same time. Reconciling is short; workers wait for the world's writes."""

RESYNC_SECONDS: Final = 600.0
"""A deployment nothing happens to is looked at at least this often all the same: the net under every lost event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlStatistics:
    """Counted since the start; `waiting` and `delayed` are as they are now."""

    done: int = 0
    again: int = 0
    retried: int = 0
    given_up: int = 0
    gone: int = 0
    seconds: float = 0.0
    """Spent in reconciles, waiting for the world included."""
    slowest_seconds: float = 0.0
    waiting: int = 0
    delayed: int = 0

    @property
    def reconciles(self) -> int:
        return self.done + self.again + self.retried + self.given_up + self.gone


_COUNTED: Final = {Done: "done", AgainAfter: "again", Retry: "retried", GiveUp: "given_up", Gone: "gone"}


class Controller:
    """Brings about what deployments ask for, in one world. `add` is how the world says that something changed."""

    def __init__(
        self,
        world: World,
        decide: Decide,
        *,
        validate: Validate = spec_problems,
        clock: Clock | None = None,
        workers: int = WORKERS,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        self._world = world
        self._decide = decide
        self._validate = validate
        self._clock = clock or SystemClock()
        self._workers = workers
        self._random = random
        self._queue: WorkQueue[Key] = WorkQueue(self._clock, random)
        self._afresh: set[Key] = set()
        self._statistics = ControlStatistics()

    def add(self, key: Key) -> None:
        """Look at it: its object, its replicas or something they depend on may have changed. Cheap, and as often as
        one likes."""
        self._queue.add(key)

    def refresh(self, key: Key) -> None:
        """Look at it and read its model again, as after new credentials."""
        self._afresh.add(key)
        self._queue.add(key)

    async def run(self) -> None:
        """Until cancelled. A failing deployment never ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                inspections = Inspections(self._world.inspect, self.add, self._clock, self._random, tasks)
                reconciler = Reconciler(self._world, self._decide, self._validate, inspections, self._clock)
                for _ in range(self._workers):
                    tasks.create_task(self._work(reconciler))
        finally:
            self._queue.close()

    async def settled(self) -> None:
        """Waits until nothing is to be looked at now; what comes back later by itself does not count."""
        await self._queue.settled()

    def statistics(self) -> ControlStatistics:
        return replace(self._statistics, waiting=self._queue.depth(), delayed=self._queue.delayed())

    async def _work(self, reconciler: Reconciler) -> None:
        while True:
            key = await self._queue.get()
            started = time.perf_counter()
            outcome = await self._outcome(reconciler, key)
            self._dispatch(key, outcome, time.perf_counter() - started)
            self._queue.done(key)

    async def _outcome(self, reconciler: Reconciler, key: Key) -> Outcome:
        if key in self._afresh:
            self._afresh.discard(key)
            reconciler.forget(key)
        try:
            return await reconciler.reconcile(key)
        except Terminal as error:
            return GiveUp(error)
        except WorldError as error:
            return Retry(error, error.retry_after_seconds)
        except Exception as error:
            # The outermost frame: whatever is wrong with one deployment, the others go on.
            log.exception("reconcile failed", extra=_names(key))
            return Retry(error)

    def _dispatch(self, key: Key, outcome: Outcome, seconds: float) -> None:
        self._count(outcome, seconds)
        match outcome:
            case Retry(error, at_least):
                delay = self._queue.retry(key, at_least)
                log.warning("reconcile is tried again", extra={**_names(key), "error": str(error), "seconds": delay})
            case GiveUp(error):
                self._queue.forget(key)
                log.error("reconcile was given up", extra={**_names(key), "error": str(error)})
            case Gone():
                self._queue.forget(key)
                log.info("deployment is gone", extra=_names(key))
            case AgainAfter(after):
                self._queue.forget(key)
                self._queue.add_after(key, min(after, self._resync_seconds()))
            case Done():
                self._queue.forget(key)
                self._queue.add_after(key, self._resync_seconds())

    def _resync_seconds(self) -> float:
        return RESYNC_SECONDS * (1.0 - self._random() / 2)

    def _count(self, outcome: Outcome, seconds: float) -> None:
        before = self._statistics
        name = _COUNTED[type(outcome)]
        self._statistics = replace(
            before,
            **{name: getattr(before, name) + 1},
            seconds=before.seconds + seconds,
            slowest_seconds=max(before.slowest_seconds, seconds),
        )


def _names(key: Key) -> dict[str, str]:
    return {"namespace": key.namespace, "deployment": key.name}
