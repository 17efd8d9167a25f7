"""A few rounds of what `chaos.py` does a hundred times."""

from pathlib import Path

from component.local.chaos import rounds


async def test_kills_at_random_moments_leave_no_trace(tmp_path: Path, llamacpp_python: Path) -> None:
    found = await rounds(4, 20, tmp_path, llamacpp_python.parents[2])
    assert not found.ledger.wrong
