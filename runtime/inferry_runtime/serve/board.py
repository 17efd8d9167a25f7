"""The one place where a replica keeps what it says of itself."""

import time
from dataclasses import replace
from typing import Any

from inferry_runtime.report import ServeReport, Stage


class Board:
    """Not thread-safe: written and read on the event loop only."""

    def __init__(self, *, model_bytes: int = 0) -> None:
        self.report = ServeReport(stage=Stage.FETCHING, started_at=time.time())
        self.model_bytes = model_bytes
        """Everything the order asks for."""
        self.fetched_bytes = 0
        """Of these, what is here."""
        self.load_started_at: float | None = None
        """Unix seconds at which the engine process was started."""

    def show(self, **changes: Any) -> None:
        self.report = replace(self.report, **changes)

    def enter(self, stage: Stage, message: str = "", **changes: Any) -> None:
        """A new stage has no size and no speed until it says so."""
        nothing_yet = {"done_bytes": 0, "total_bytes": 0, "bytes_per_second": 0.0, "eta_seconds": None}
        self.show(**nothing_yet, **changes, stage=stage, message=message, ready=stage is Stage.READY)

    def load_seconds(self) -> float | None:
        """From the start of the engine process to its first answer."""
        if self.load_started_at is None or self.report.ready_at is None:
            return None
        return self.report.ready_at - self.load_started_at
