"""One life of a replica, in order: fetch, start, ask, watch, drain. Each step is given up when a stop is asked for."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM, Signals
from typing import Any, NoReturn, TypeVar

from inferry_runtime.engines.base import Engine as EngineKind
from inferry_runtime.engines.base import Launch
from inferry_runtime.order import ServeOrder
from inferry_runtime.report import Stage
from inferry_runtime.serve.board import Board
from inferry_runtime.serve.children import Reaper
from inferry_runtime.serve.engine import Engine, out_of_memory_kills, require_free, started
from inferry_runtime.serve.failures import EngineEnd, ServeError, failure, of_engine
from inferry_runtime.serve.fetch import fetched
from inferry_runtime.serve.probe import ask_first_question, healthy
from inferry_runtime.serve.races import unless
from inferry_runtime.serve.vigil import Subject, silence

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Stopped(Exception):
    """The owner wants the replica to end."""


class EngineEnded(Exception):
    """The engine's process is gone."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Asked once: end when the running answers are given. Asked again: end now."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    insisted: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        (self.insisted if self.asked.is_set() else self.asked).set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a replica lives."""

    store: Path
    python: Path
    host: str
    port: int
    environment: Mapping[str, str]
    health_seconds: float
    """See `vigil`."""


class Life:
    def __init__(self, order: ServeOrder, kind: EngineKind, place: Place, board: Board, stop: Stop) -> None:
        self._order = order
        self._kind = kind
        self._place = place
        self._board = board
        self._stop = stop
        self._engine: Engine | None = None

    async def live(self, reaper: Reaper) -> None:
        """Return when it ended because it was asked to. Raises ServeError."""
        with ExitStack() as held:
            try:
                model_root = await self._unless_stopped(self._fetch(held))
            except Stopped:
                log.info("stopped before the engine was started")
                return
            place = self._place
            require_free(place.host, place.port)
            launch = Launch(python=place.python, model_root=model_root, host=place.host, port=place.port)
            await self._run(reaper, launch)

    def forward(self, number: Signals) -> None:
        """To the engine, when there is one."""
        if self._engine is not None:
            self._engine.send(number)

    async def _fetch(self, held: ExitStack) -> Path:
        return await fetched(self._order.model, self._place.store, self._board, self._place.environment, held)

    async def _run(self, reaper: Reaper, launch: Launch) -> None:
        kills_before = out_of_memory_kills()
        async with started(reaper, self._kind.command(self._order, launch), self._place.environment) as engine:
            self._engine = engine
            self._board.load_started_at = time.time()
            self._board.enter(Stage.LOADING, "starting the engine", engine_pid=engine.pid)
            log.info("engine started", extra={"pid": engine.pid, "engine": self._kind.name})
            status = await self._tend(engine)
        self._engine = None
        if status is not None:
            kills = out_of_memory_kills() - kills_before
            was_ready = self._board.report.ready_at is not None
            end = EngineEnd(status=status, lines=engine.tail.lines, was_ready=was_ready, out_of_memory_kills=kills)
            raise ServeError(of_engine(end, self._kind.signatures))

    async def _tend(self, engine: Engine) -> int | None:
        """Exit status of an engine that ended by itself; None when it was asked to."""
        try:
            await self._unless_stopped(self._become_ready_or_end(engine))
            await self._unless_stopped(self._watch(engine))
        except EngineEnded:
            return await engine.end()
        except Stopped:
            await self._drain(engine)
            return None

    async def _become_ready_or_end(self, engine: Engine) -> None:
        await unless(engine.end(), self._become_ready(engine), EngineEnded())

    async def _become_ready(self, engine: Engine) -> None:
        place = self._place
        await healthy(place.host, place.port, self._kind.health_path, lambda: self._show_last_line(engine))
        self._board.enter(Stage.PROBING, "asking the first question")
        log.info("asking the first question", extra={"task": self._order.probe.task})
        await ask_first_question(place.host, place.port, self._order.probe, self._order.served_names[0])
        self._board.enter(Stage.READY, "answering", ready_at=time.time())
        log.info("ready", extra={"load_seconds": self._board.load_seconds()})

    async def _watch(self, engine: Engine) -> NoReturn:
        """Raises EngineEnded, or ServeError for an engine that lives and does not answer."""
        place, path = self._place, self._kind.health_path
        seconds = place.health_seconds
        subject = Subject(host=place.host, port=place.port, path=path, cpu_seconds=engine.cpu_seconds)
        watching = silence(subject, pause_seconds=seconds, answer_seconds=seconds)
        found = await unless(engine.end(), watching, EngineEnded())
        message = f"the engine did not answer {path} {found.misses} times in a row: {found.last}"
        hint = "It was ended, and is started again; if it happens again, its log and the load on the machine say more."
        raise ServeError(failure("EngineNotHealthy", message, hint=hint, lines=engine.tail.lines))

    def _show_last_line(self, engine: Engine) -> None:
        if engine.tail.last:
            self._board.show(message=engine.tail.last)

    async def _drain(self, engine: Engine) -> None:
        self._board.enter(Stage.DRAINING, "waiting for the running answers")
        log.info("draining", extra={"seconds": self._order.drain_seconds})
        engine.send(SIGTERM)
        try:
            async with asyncio.timeout(self._order.drain_seconds):
                await unless(self._stop.insisted.wait(), engine.end(), Stopped())
        except (TimeoutError, Stopped):
            log.warning("running answers were cut off", extra={"pid": engine.pid})

    async def _unless_stopped(self, work: Coroutine[Any, Any, Result]) -> Result:
        return await unless(self._stop.asked.wait(), work, Stopped())
