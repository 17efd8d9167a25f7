"""What the gateway routes by. Immutable and versioned: a new one replaces the old one whole."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

SNAPSHOT_FORMAT = 1


class SnapshotError(ValueError):
    """The document is not a snapshot of this format; the message names the field."""


class EndpointState(StrEnum):
    READY = "ready"
    DRAINING = "draining"
    """Running answers go on, no new request is sent there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    id: str
    """The replica's name: stable over its life, never reused for another process."""
    host: str
    port: int
    state: EndpointState = EndpointState.READY


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One deployment as clients see it."""

    deployment: str
    """`namespace/name`."""
    names: tuple[str, ...]
    """Every value of `model` that reaches it; the first one is listed first."""
    engine: str
    routes: tuple[str, ...]
    """Paths the engine may be asked on; everything else is denied."""
    created: int
    """Unix seconds."""
    endpoints: tuple[Endpoint, ...] = ()
    context_length: int | None = None
    waiting_reason: str = ""
    """Why no endpoint is ready: "Downloading", "Loading", ...; "" when one is."""
    waiting_message: str = ""
    """What it is doing, one sentence for the client."""
    waiting_ends: bool = True
    """False when nothing is on its way: it was stopped, or somebody has to change something first."""
    retry_after_seconds: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    version: int
    """Grows with every change."""
    models: tuple[ServedModel, ...]
    format: int = SNAPSHOT_FORMAT


def encode(snapshot: Snapshot) -> bytes:
    """Canonical JSON: equal snapshots give equal bytes."""
    return msgspec.json.encode(snapshot, order="sorted")


def decode(document: bytes) -> Snapshot:
    """Raises SnapshotError, naming the field."""
    try:
        snapshot = msgspec.json.decode(document, type=Snapshot)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"not a gateway snapshot: {error}") from error
    if snapshot.format != SNAPSHOT_FORMAT:
        raise SnapshotError(f"snapshot format {snapshot.format} is not supported here, expected {SNAPSHOT_FORMAT}")
    return snapshot
