"""A test run that is killed leaves no process."""

import asyncio
import sys
from pathlib import Path

import pytest

from support.local_machine import OWNER, LocalMachine, kill, until

RUN = "import os, subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:], str(os.getpid())])"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
async def test_an_owner_ends_with_the_test_run_that_started_it(tmp_path: Path, llamacpp_python: Path) -> None:
    local = LocalMachine(tmp_path, llamacpp_python.parents[2])
    local.apply("parrot")
    try:
        with local.log.open("wb") as log:
            command = (sys.executable, "-c", RUN, str(OWNER), str(local.home.root), str(local.port), "127.0.0.1")
            test_run = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        await until(lambda: local.is_settled("parrot"), lambda: local.story("parrot"))
        assert local.pids_of("llamacpp_server")
        test_run.kill()
        await test_run.wait()
        await until(lambda: not local.processes(), lambda: str(local.processes()))
    finally:
        for pid in local.processes():
            kill(pid)
