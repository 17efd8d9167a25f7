"""Real processes: started apart from us, recognised beyond their pids, ended with everything they started."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from inferry.local import proc, processes
from inferry.local.home import Home
from inferry.local.processes import ProcessIdentity
from inferry.local.replicas import end_strangers

FOREVER = "import time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
WITH_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def start(log: Path, code: str, *arguments: str) -> ProcessIdentity:
    return processes.spawn((sys.executable, "-c", code, *arguments), os.environ, log)


def says_up(log: Path) -> bool:
    return log.exists() and b"up" in log.read_bytes()


async def until_up(log: Path) -> None:
    async with asyncio.timeout(20):
        while not says_up(log):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)


async def test_a_process_leads_a_session_of_its_own_and_its_end_is_seen(tmp_path: Path) -> None:
    identity = start(tmp_path / "log", "print('hello'); raise SystemExit(3)")
    assert (await processes.wait(identity)).code == 3
    assert (tmp_path / "log").read_text() == "hello\n"
    assert not processes.is_alive(identity)


async def test_output_of_the_next_start_is_appended(tmp_path: Path) -> None:
    for word in ("one", "two"):
        await processes.wait(start(tmp_path / "log", f"import sys; sys.stderr.write('{word} ')"))
    assert (tmp_path / "log").read_text() == "one two "


async def test_a_process_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        processes.spawn((str(tmp_path / "no-such-program"),), {}, tmp_path / "log")


async def test_stopping_is_polite_and_leaves_no_zombie(tmp_path: Path) -> None:
    identity = start(tmp_path / "log", FOREVER)
    assert os.getsid(identity.pid) == identity.pid
    await processes.stop(identity, grace_seconds=20)
    assert str(identity.pid) not in os.listdir("/proc")


async def test_one_that_ignores_the_signal_is_killed_with_all_its_children(tmp_path: Path) -> None:
    identity = start(tmp_path / "log", WITH_CHILD, DEAF)
    await until_up(tmp_path / "log")
    assert len(processes.session_members(identity)) == 2
    await processes.stop(identity, grace_seconds=0.1)
    assert processes.session_members(identity) == ()


async def test_what_a_dead_leader_left_behind_is_swept(tmp_path: Path) -> None:
    identity = start(tmp_path / "log", WITH_CHILD, FOREVER)
    await until_up(tmp_path / "log")
    processes.send(identity, signal.SIGKILL)
    assert (await processes.wait(identity)).code == -signal.SIGKILL
    assert len(processes.session_members(identity)) == 1
    await processes.sweep(identity)
    assert processes.session_members(identity) == ()


async def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(tmp_path: Path) -> None:
    identity = start(tmp_path / "log", FOREVER)
    earlier = replace(identity, started="another-boot:1")
    assert not processes.is_alive(earlier)
    assert not processes.send(earlier, signal.SIGKILL)
    await processes.stop(earlier, grace_seconds=0.1)
    await processes.sweep(earlier)
    assert (await processes.wait(earlier)).code is None
    assert processes.is_alive(identity)
    await processes.stop(identity, grace_seconds=20)


async def test_the_end_of_a_process_that_is_not_ours_is_seen_too(tmp_path: Path) -> None:
    code = "import os, subprocess, sys; print(subprocess.Popen([sys.executable, '-c', sys.argv[1]]).pid, flush=True)"
    parent = start(tmp_path / "log", code, "import time; time.sleep(600)")
    await processes.wait(parent)
    orphan = processes.identify(int((tmp_path / "log").read_text()))
    assert orphan is not None
    waiting = asyncio.ensure_future(processes.wait(orphan))
    await asyncio.sleep(0)
    await processes.sweep(parent)
    assert (await waiting).code is None


async def test_what_lives_on_the_lease_of_a_home_without_a_record_is_ended(tmp_path: Path) -> None:
    home, other = Home(tmp_path / "a"), Home(tmp_path / "b")
    stranger = start(tmp_path / "1", FOREVER, "--lease", str(home.lock))
    spared = start(tmp_path / "2", FOREVER, "--lease", str(home.lock))
    neighbour = start(tmp_path / "3", FOREVER, "--lease", str(other.lock))
    await end_strangers(home, spared=(spared,))
    alive = [processes.is_alive(one) for one in (stranger, spared, neighbour)]
    for one in (stranger, spared, neighbour):
        await processes.stop(one, grace_seconds=20)
    assert alive == [False, True, True]


async def test_a_session_that_no_process_of_ours_leads_loses_only_ours(tmp_path: Path) -> None:
    home = Home(tmp_path)
    code = (
        "import subprocess, sys, time; subprocess.run([sys.executable, '-c', *sys.argv[1].split('|')]); time.sleep(600)"
    )
    shell = start(tmp_path / "log", code, "|".join((FOREVER, "--lease", str(home.lock))))
    await until_up(tmp_path / "log")
    await end_strangers(home, spared=())
    ours = [words for words in proc.command_lines().values() if str(home.lock) in words]
    shell_lives = processes.is_alive(shell)
    await processes.stop(shell, grace_seconds=20)
    assert (ours, shell_lives) == ([], True)
