"""What stands around one life of a replica: signals, the status server, the lease."""

import asyncio
import logging
import os
import signal

from inferry_runtime.engines.base import Engine
from inferry_runtime.engines.registry import UnknownEngine, engine_named
from inferry_runtime.order import ServeOrder
from inferry_runtime.report import ServeReport, Stage
from inferry_runtime.serve import lease
from inferry_runtime.serve.board import Board
from inferry_runtime.serve.children import Reaper
from inferry_runtime.serve.failures import ServeError, failure
from inferry_runtime.serve.life import Life, Place, Stop
from inferry_runtime.serve.options import Options
from inferry_runtime.serve.races import beside
from inferry_runtime.serve.status_server import status_server

log = logging.getLogger(__name__)

STOPPING = (signal.SIGTERM, signal.SIGINT)
FORWARDED = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


async def supervise(options: Options, order: ServeOrder) -> ServeReport:
    """Run one replica to its end and return its last report."""
    board = Board(model_bytes=sum(file.size_bytes for file in order.model.files))
    try:
        await _live(options, order, board)
    except ServeError as error:
        log.error("replica failed", extra={"reason": error.failure.reason, "detail": error.failure.message})
        board.enter(Stage.ENDED, error.failure.message, failure=error.failure, engine_pid=None)
    else:
        board.enter(Stage.ENDED, "asked to stop", engine_pid=None)
    return board.report


async def _live(options: Options, order: ServeOrder, board: Board) -> None:
    stop = Stop()
    life = Life(order, _engine_of(order), _place_of(options, order), board, stop)
    status_port = order.status_port if options.status_port is None else options.status_port
    reaper = Reaper(asyncio.get_running_loop())
    try:
        _handle_signals(life, stop)
        async with status_server(board, options.host, status_port):
            await beside(_ask_when_lost(options, stop), life.live(reaper))
    finally:
        reaper.close()


def _engine_of(order: ServeOrder) -> Engine:
    try:
        return engine_named(order.engine.name)
    except UnknownEngine as error:
        raise ServeError(failure("InvalidOrder", str(error))) from error


def _place_of(options: Options, order: ServeOrder) -> Place:
    return Place(
        store=options.store,
        python=options.python,
        host=options.host,
        port=order.port if options.port is None else options.port,
        environment=os.environ,
        health_seconds=options.health_seconds,
    )


def _handle_signals(life: Life, stop: Stop) -> None:
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, stop.ask)
    for number in FORWARDED:
        loop.add_signal_handler(number, life.forward, number)


async def _ask_when_lost(options: Options, stop: Stop) -> None:
    if options.lease is not None:
        await lease.lost(options.lease, options.lease_grace_seconds)
        log.warning("nobody owns this replica any more", extra={"lease": str(options.lease)})
        stop.ask()
