"""What is kept of a replica on disk, so that the next `inferry local` finds it running."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from inferry.local.files import write_whole
from inferry.local.home import ReplicaFolder
from inferry.local.processes import ProcessIdentity, sweep
from inferry.plan.types import Failure
from inferry_runtime.order import OrderError, ServeOrder, decode, encode, revision_of

RECORD_FORMAT = 1


class RecordError(ValueError):
    """The folder holds no replica that can be taken over; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One start of a replica: the process that leads its session, and where it answers on loopback."""

    process: ProcessIdentity
    engine: ProcessIdentity | None = None
    """Leads a session of its own; None until the process has said what it started."""
    port: int
    status_port: int
    started_at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRecord:
    name: str
    deployment: str
    """Name of the object."""
    revision: str
    order: str
    """`revision_of` the order beside it."""
    created_at: float
    """Unix seconds."""
    draining_since: float | None = None
    devices: tuple[int, ...] = ()
    """Indices of the accelerators it was given."""
    restarts: int = 0
    failures_in_a_row: int = 0
    failure: Failure | None = None
    run: Run | None = None
    """None while nothing runs."""
    ports: tuple[int, int] | None = None
    """Of the last start, engine and status; taken again when they are free."""
    format: int = RECORD_FORMAT


async def sweep_run(run: Run) -> None:
    """Leave nothing of it: neither of its own session nor of its engine's."""
    await sweep(run.process)
    if run.engine is not None:
        await sweep(run.engine)


def write(folder: ReplicaFolder, record: ReplicaRecord) -> None:
    write_whole(folder.record, msgspec.json.encode(record), durable=False)


def write_order(folder: ReplicaFolder, order: ServeOrder) -> None:
    write_whole(folder.order, encode(order), durable=False)


def read(folder: ReplicaFolder) -> tuple[ReplicaRecord, ServeOrder]:
    """Raises RecordError, also when the order beside the record is not the one it was written with."""
    try:
        record = msgspec.json.decode(folder.record.read_bytes(), type=ReplicaRecord)
        order = decode(folder.order.read_bytes())
    except (OSError, msgspec.DecodeError, OrderError) as error:
        raise RecordError(str(error)) from error
    if record.format != RECORD_FORMAT or record.name != folder.root.name:
        raise RecordError(f"record of {record.name!r} in format {record.format}")
    if revision_of(order) != record.order:
        raise RecordError(f"the order is {revision_of(order)}, the record says {record.order}")
    return record, order


def folders(root: Path) -> tuple[ReplicaFolder, ...]:
    """Of all replicas, sorted by name."""
    return tuple(ReplicaFolder(path) for path in sorted(root.iterdir()) if path.is_dir()) if root.is_dir() else ()


def remove(folder: ReplicaFolder) -> None:
    """The record goes first: a folder without one is nobody's."""
    folder.record.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder.root)
