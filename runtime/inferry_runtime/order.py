"""`ServeOrder`: the one document an engine pod or process starts from. Versioned; hashed into the revision."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

ORDER_VERSION = 1


class OrderError(ValueError):
    """The document is not a ServeOrder of this version; the message names the field."""


class IntegrityPolicy(StrEnum):
    """What becomes of bytes that are not what their digest says. Without a digest, the first one seen is it."""

    VERIFY = "Verify"
    """They are set aside and never served."""
    RECORD = "Record"
    """They are served, under the digest they have, and it is said that they differ."""
    OFF = "Off"
    """Nobody looks: nothing is hashed, but what has no digest to be stored by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedFile:
    """One file to fetch. `sha256` is None where the hub gives no digest; it is then recorded on first sight."""

    path: str
    size_bytes: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOrder:
    source: str
    """A source URI without a revision."""
    revision: str
    """Pinned: a commit for hubs, a digest of names, sizes and tags elsewhere."""
    files: tuple[OrderedFile, ...]
    """Everything to fetch, weights first."""
    primary: str
    """Path of the file or folder the engine opens, relative to the model's root; "" is the root itself."""
    projector: str = ""
    mirror: str = ""
    integrity: IntegrityPolicy = IntegrityPolicy.VERIFY
    allow_unsafe_formats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOrder:
    name: str
    version: str
    variant: str
    """Which build of the engine: "cpu" or "cuda"."""
    arguments: Mapping[str, str | int | float | bool]
    extra_arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The first question. A replica is ready only when the engine has answered it."""

    task: str
    """"chat", "generate", "embed" or "rerank"."""
    prompt: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOrder:
    deployment: str
    """`namespace/name`."""
    served_names: tuple[str, ...]
    model: ModelOrder
    engine: EngineOrder
    probe: Probe
    drain_seconds: float
    """How long running answers may take after SIGTERM before they are cut."""
    port: int = 8000
    """Where the engine listens; a world without pod addresses of its own overrides it when it starts the process."""
    status_port: int = 8001
    version: int = ORDER_VERSION


def encode(order: ServeOrder) -> bytes:
    """Canonical JSON: equal orders give equal bytes."""
    return msgspec.json.encode(order, order="sorted")


def decode(document: bytes) -> ServeOrder:
    """Raises OrderError, naming the field."""
    try:
        order = msgspec.json.decode(document, type=ServeOrder)
    except msgspec.DecodeError as error:
        raise OrderError(f"not a serve order: {error}") from error
    if order.version != ORDER_VERSION:
        raise OrderError(f"serve order version {order.version} is not supported here, expected {ORDER_VERSION}")
    return order


def revision_of(order: ServeOrder) -> str:
    """Ten hexadecimal digits that change exactly when the order does."""
    return hashlib.sha256(encode(order)).hexdigest()[:10]
