"""A test run leaves nothing behind, and takes away what one that was killed has left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.build import cache_folder
from cluster.processes import ProcessError, Processes, free_ports, living
from cluster.sessions import session_folder

TESTS = Path(__file__).parents[1]
SLEEPER = "import signal; signal.pause()"
# A test run that starts something, says where, and then is there until it is killed.
RUN = f"""
import signal, sys
from cluster.processes import Processes, living
from cluster.sessions import session_folder
with session_folder() as folder:
    processes = Processes(folder)
    processes.start("sleeper", [sys.executable, "-c", "{SLEEPER}", folder / "data"])
    processes.wait_until("sleeper", lambda: bool(living(folder)))
    print(folder, flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERRY_CLUSTER_CACHE", str(tmp_path))


def start_sleeper(processes: Processes) -> None:
    processes.start("sleeper", [sys.executable, "-c", SLEEPER, processes.folder / "data"])
    # The system shows a command line a moment after the program has begun.
    processes.wait_until("sleeper", lambda: bool(living(processes.folder)))


def test_nothing_is_left_of_a_run():
    with session_folder() as folder:
        processes = Processes(folder)
        start_sleeper(processes)
        assert living(folder) == (processes.pid("sleeper"),)
    assert living(folder) == ()
    assert not folder.exists()
    processes.kill_all()


def test_the_next_run_takes_away_what_a_killed_one_has_left():
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen([sys.executable, "-c", RUN], env=env, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        abandoned = Path(run.stdout.readline().strip())
        with session_folder():
            # It still lives: what it has is its own.
            assert living(abandoned)
        run.kill()
        run.wait()
        assert living(abandoned)
        with session_folder():
            assert living(abandoned) == ()
            assert not abandoned.exists()


def test_two_runs_at_once_have_folders_of_their_own():
    with session_folder() as one, session_folder() as another:
        assert one != another
        assert {one.parent, another.parent} == {cache_folder() / "sessions"}


def test_a_process_that_ends_too_early_is_told_with_its_last_words():
    with session_folder() as folder:
        processes = Processes(folder)
        processes.start("short", [sys.executable, "-c", "raise SystemExit('port is taken')", folder / "data"])
        with pytest.raises(ProcessError, match="short ended: port is taken"):
            processes.wait_until("short", lambda: False)
        processes.kill_all()


def test_only_programs_of_the_cluster_end_with_it_when_a_person_uses_it():
    with session_folder() as folder:
        processes = Processes(folder)
        start_sleeper(processes)
        assert living(folder, {"etcd"}) == ()
        assert living(folder, {Path(sys.executable).name}) == (processes.pid("sleeper"),)
        processes.kill_all()


def test_ports_are_different():
    assert len(set(free_ports(20))) == 20
