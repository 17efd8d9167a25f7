"""What `serve` says of itself: at `/progress` while it runs, as its termination message when it ends."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Stage(StrEnum):
    """In the order a replica goes through them."""

    FETCHING = "Fetching"
    VERIFYING = "Verifying"
    LOADING = "Loading"
    """The engine process runs and is not healthy yet."""
    PROBING = "Probing"
    """The first question has been asked."""
    READY = "Ready"
    DRAINING = "Draining"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeFailure:
    reason: str
    """Condition reason, such as "WeightsDoNotFit" or "EngineCrashed"."""
    message: str
    hint: str = ""
    retryable: bool = True
    log_tail: tuple[str, ...] = ()
    """Last lines of the engine, at most 20, each at most 500 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeReport:
    stage: Stage
    message: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    """0 when the stage has no size."""
    bytes_per_second: float = 0.0
    eta_seconds: float | None = None
    note: str = ""
    """What a person should know of the model although it is served; "" when there is nothing."""
    ready: bool = False
    engine_pid: int | None = None
    started_at: float = 0.0
    """Unix seconds."""
    ready_at: float | None = None
    failure: ServeFailure | None = None


def encode(report: ServeReport) -> bytes:
    """JSON, below Kubernetes' 4096 bytes for termination messages when the log tail is short enough."""
    return msgspec.json.encode(report)


def decode(document: bytes) -> ServeReport:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(document, type=ServeReport)
