"""The model's files, brought here and verified by the store, with the board telling how far it is."""

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from inferry_runtime.model.credentials import access_to
from inferry_runtime.model.errors import ModelError
from inferry_runtime.model.progress import FetchProgress
from inferry_runtime.order import ModelOrder
from inferry_runtime.report import Stage
from inferry_runtime.serve.board import Board
from inferry_runtime.serve.failures import ServeError, of_model

if TYPE_CHECKING:
    from inferry_runtime.model.store import Difference

log = logging.getLogger(__name__)

NAMED_FILES = 3
"""A person looks at these first; the log has all."""


async def fetched(
    model: ModelOrder, store: Path, board: Board, environment: Mapping[str, str], held: ExitStack
) -> Path:
    """Folder with the files by their paths; nobody evicts them before `held` is closed. Raises ServeError.

    When it is cancelled the thread that fetches is told to end, and does so before the process can.
    """
    loop = asyncio.get_running_loop()
    cancelled = threading.Event()

    def on_progress(progress: FetchProgress) -> None:
        loop.call_soon_threadsafe(show, board, progress)

    board.enter(Stage.FETCHING, "looking for the model's files")
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fetch")

    def ensure() -> tuple[Path, "Sequence[Difference]"]:
        from inferry_runtime.model.store import Store

        held.enter_context(Store(store).hold(model))
        root = Store(store).ensure(model, access_to(model.source, model.mirror, environment), on_progress, cancelled)
        return root, Store(store).differences(model)

    try:
        root, differences = await loop.run_in_executor(thread, ensure)
    except ModelError as error:
        raise ServeError(of_model(error)) from error
    finally:
        cancelled.set()
        thread.shutdown(wait=False)
    for difference in differences:
        log.warning("bytes differ from their digest", extra=asdict(difference))
    board.show(note=note_of(differences))
    return root


def note_of(differences: Sequence["Difference"]) -> str:
    """One sentence that names the first of them; "" when there are none."""
    if not differences:
        return ""
    first = differences[0]
    names = ", ".join(difference.path for difference in differences[:NAMED_FILES])
    more = f" and {len(differences) - NAMED_FILES} more" if len(differences) > NAMED_FILES else ""
    return f"Served although the bytes differ from the digests: {names}{more} ({first.path} has sha256 {first.found})."


def show(board: Board, progress: FetchProgress) -> None:
    """News of a fetch that is over are old news."""
    if board.report.stage not in (Stage.FETCHING, Stage.VERIFYING):
        return
    board.fetched_bytes = progress.done_bytes
    board.show(
        stage=Stage.VERIFYING if progress.verifying else Stage.FETCHING,
        message=progress.file,
        done_bytes=progress.done_bytes,
        total_bytes=progress.total_bytes,
        bytes_per_second=progress.bytes_per_second,
        eta_seconds=progress.eta_seconds,
    )
