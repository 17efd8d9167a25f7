"""`kill -9` at random moments, again and again, until a fetch is done: nothing is lost, nothing comes twice."""

import random
import subprocess
import threading
from pathlib import Path

import pytest

from component.model_store.world import FILES, SIZE, Start, Tuning, content, outcome, wait_for_word_about
from hub.server import Fault, Hub

CASES = {
    "one connection": Tuning(connections=1, request_bytes=400_000, settle_bytes=100_000),
    "four connections": Tuning(connections=4, request_bytes=300_000, settle_bytes=100_000),
}


@pytest.mark.parametrize("tuning", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("seed", range(3))
def test_a_fetch_that_is_killed_at_random_ends_right_and_fetches_nothing_twice(
    hub: Hub, start: Start, tmp_path: Path, tuning: Tuning, seed: int
) -> None:
    chance = random.Random(seed)
    kills = 0
    while True:
        process = start(tmp_path / "store", tuning)
        arrived = hub.wait_until_sent(
            hub.sent_bytes() + chance.randrange(SIZE // 3), lambda process=process: process.poll() is not None
        )
        if not arrived:
            break
        try:
            # Some further moment: in the middle of a write, a hash, a rename.
            process.wait(timeout=chance.random() * 0.02)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
    root = Path(str(outcome(process)["root"]))
    assert content(root) == FILES
    assert kills >= 1
    assert hub.sent_bytes() <= SIZE + kills * tuning.connections * tuning.request_bytes
    assert list((tmp_path / "store" / "partial").glob("*.data")) == []


def test_two_processes_at_once_fetch_each_byte_once_and_the_second_shows_the_first_ones_progress(
    hub: Hub, start: Start, tmp_path: Path, gate: threading.Event
) -> None:
    hub.fail(Fault(match="/lfs/", times=1, gate=gate))
    tuning = Tuning(connections=1, request_bytes=10_000_000, settle_bytes=100_000)
    first = start(tmp_path / "store", tuning)
    assert hub.wait_until_sent(2_000_000, lambda: first.poll() is not None)
    second = start(tmp_path / "store", tuning)
    # The first one is stuck in its first weights, the second has fetched everything else and now watches.
    assert wait_for_word_about(second, "a-00001-of-00002.safetensors") > 0
    gate.set()
    roots = {str(outcome(process)["root"]) for process in (first, second)}
    assert len(roots) == 1
    assert content(Path(roots.pop())) == FILES
    assert hub.sent_bytes() == SIZE


def test_when_the_first_of_two_is_killed_the_second_goes_on_where_it_was(
    hub: Hub, start: Start, tmp_path: Path, gate: threading.Event
) -> None:
    hub.fail(Fault(match="/lfs/", times=1, gate=gate))
    tuning = Tuning(connections=1, request_bytes=10_000_000, settle_bytes=100_000)
    first = start(tmp_path / "store", tuning)
    assert hub.wait_until_sent(2_000_000, lambda: first.poll() is not None)
    second = start(tmp_path / "store", tuning)
    seen = wait_for_word_about(second, "a-00001-of-00002.safetensors")
    first.kill()
    assert content(Path(str(outcome(second)["root"]))) == FILES
    # Of the half that was sent to the first, the second had seen this much on disk; it never asked for it again.
    kept = seen - (SIZE - len(FILES["a-00001-of-00002.safetensors"]))
    assert kept > 2_000_000
    assert hub.sent_bytes() <= SIZE + 2_500_000 - kept
