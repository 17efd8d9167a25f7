"""A disk that is too small, or becomes so: said in numbers, and healed by space alone."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from component.model_store.world import FILES, SIZE, Start, Tuning, content, outcome
from hub.orders import order_everything
from hub.server import Hub
from inferry_runtime.model.errors import NoSpace
from inferry_runtime.model.listing import Access
from inferry_runtime.model.store import FetchProgress, Store

TUNING = Tuning(connections=2, request_bytes=500_000, settle_bytes=100_000)


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system of its own where we may make one."""

    root: Path
    real: bool


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    root = tmp_path / "disk"
    root.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(root)], capture_output=True, check=False
    )
    yield SmallDisk(root, mounted.returncode == 0)
    if mounted.returncode == 0:
        subprocess.run(["umount", str(root)], check=True)


def test_a_disk_that_fills_up_on_the_way_is_no_space_and_the_rest_comes_when_there_is_some(
    hub: Hub, start: Start, disk: SmallDisk
) -> None:
    if disk.real:
        fill_up_on_the_way(hub, disk.root)
    else:
        stop_at_a_file_size(hub, start, disk.root)
    sent = hub.sent_bytes()
    process = start(disk.root / "store", TUNING)
    assert content(Path(str(outcome(process)["root"]))) == FILES
    assert hub.sent_bytes() <= SIZE + TUNING.connections * TUNING.request_bytes
    assert hub.sent_bytes() > sent


def fill_up_on_the_way(hub: Hub, root: Path) -> None:
    filler = root / "filler"

    def fill(progress: FetchProgress) -> None:
        if progress.done_bytes > 1_000_000 and not filler.exists():
            free = os.statvfs(root)
            filler.write_bytes(bytes(free.f_bavail * free.f_frsize))

    order = order_everything("hf://org/name", Access(mirror=hub.url))
    hub.requests.clear()
    with pytest.raises(NoSpace, match="bytes are needed"):
        Store(root / "store", tuning=TUNING, clock=EveryTime()).ensure(order, Access(), fill)
    filler.unlink()


def stop_at_a_file_size(hub: Hub, start: Start, root: Path) -> None:
    process = start(root / "store", TUNING, 4_000_000)
    assert outcome(process)["error"] == "DiskFull"


class EveryTime:
    """A clock by which every report is due."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 1.0
        return self._now

    def wall(self) -> float:
        return 0.0

    def wait(self, seconds: float, cancelled: object = None) -> None:
        """Never needed here."""


def test_a_limit_on_file_size_is_no_space_too(start: Start, tmp_path: Path) -> None:
    process = start(tmp_path / "store", TUNING, 4_000_000)
    assert outcome(process)["error"] == "DiskFull"
    assert process.returncode == 3


def test_a_disk_that_is_too_small_is_refused_before_anything_is_fetched(
    hub: Hub, start: Start, disk: SmallDisk
) -> None:
    if disk.real:
        (disk.root / "filler").write_bytes(bytes(8 << 20))
        process = start(disk.root / "store", TUNING)
        said = outcome(process)
        assert said["error"] == "DiskFull"
        assert f"{SIZE} bytes are needed" in str(said["message"])
        assert hub.sent_bytes() == 0
