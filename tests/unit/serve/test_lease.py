import fcntl
from pathlib import Path

import pytest

from inferry_runtime.serve import lease


def test_a_lease_is_held_as_long_as_somebody_has_locked_it(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    assert not lease.is_held(path)
    with path.open("w") as owner:
        assert not lease.is_held(path)
        fcntl.flock(owner, fcntl.LOCK_EX)
        assert lease.is_held(path)
        fcntl.flock(owner, fcntl.LOCK_UN)
        assert not lease.is_held(path)
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Clock:
    """Moves on by its step at each look."""

    def __init__(self, step_seconds: float) -> None:
        self.now = 0.0
        self.step = step_seconds

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.mark.parametrize("grace", [0.004, 0.04])
async def test_the_grace_is_counted_from_when_it_was_last_held(tmp_path: Path, grace: float) -> None:
    clock = Clock(step_seconds=0.001)
    path = tmp_path / "lease"
    await lease.lost(path, grace, clock)
    assert clock.now == pytest.approx(grace + clock.step)


async def test_an_owner_who_comes_back_within_the_grace_starts_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    looks: list[float] = []
    with path.open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)

        def clock() -> float:
            looks.append(float(len(looks)))
            if len(looks) == 10:
                fcntl.flock(owner, fcntl.LOCK_UN)
            return looks[-1] * 0.001

        await lease.lost(path, 0.004, clock)
    assert len(looks) > 12
