"""Limits of control groups, locks, logs, ports and endings: small things a machine tells."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import msgspec
import pytest

from inferry.local import endings, hardware, lock, logs, ports, proc
from inferry.local.errors import AlreadyRunning
from inferry.local.home import LONGEST_SOCKET_PATH_BYTES, Home, default_home
from inferry.local.processes import Exit
from inferry_runtime.report import ServeFailure, ServeReport, Stage, encode


def group(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        pytest.param({"cpu_dot_max": "150000 100000\n"}, 1.5, id="version 2 with a limit"),
        pytest.param({"cpu_dot_max": "max 100000\n"}, None, id="version 2 without"),
        pytest.param(
            {"cpu__cpu_dot_cfs_quota_us": "200000\n", "cpu__cpu_dot_cfs_period_us": "100000\n"}, 2.0, id="version 1"
        ),
        pytest.param(
            {"cpu__cpu_dot_cfs_quota_us": "-1\n", "cpu__cpu_dot_cfs_period_us": "100000\n"}, None, id="1 without"
        ),
        pytest.param({}, None, id="no control groups"),
    ],
)
def test_cpu_limits_of_a_container_count(tmp_path: Path, files: dict[str, str], cpus: float | None) -> None:
    assert hardware.cpu_quota(group(tmp_path, **files)) == cpus


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({"memory_dot_max": "1073741824\n"}, 1 << 30, id="version 2 with a limit"),
        pytest.param({"memory_dot_max": "max\n"}, None, id="version 2 without"),
        pytest.param({"memory__memory_dot_limit_in_bytes": "2147483648\n"}, 1 << 31, id="version 1"),
        pytest.param({}, None, id="no control groups"),
    ],
)
def test_memory_limits_of_a_container_count(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    assert hardware.memory_limit(group(tmp_path, **files)) == limit


def test_this_machine_is_one_node_with_something_to_run_on() -> None:
    (node,) = hardware.machine().nodes
    assert node.cpus > 0
    assert 1 << 28 < node.memory_bytes <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("setting", "indices"),
    [
        pytest.param(None, (0, 1, 2), id="all when it is not set"),
        pytest.param("", (), id="none when it is empty"),
        pytest.param("2,0", (0, 2), id="by index"),
        pytest.param("GPU-b", (1,), id="by the beginning of a UUID"),
        pytest.param("1,7,0", (1,), id="up to the first that does not exist"),
        pytest.param("-1", (), id="none when it begins with one that does not exist"),
    ],
)
def test_devices_that_are_hidden_from_us_are_not_offered(setting: str | None, indices: tuple[int, ...]) -> None:
    assert hardware.visible(setting, ("GPU-a1", "GPU-b2", "GPU-c3")) == indices


def test_a_replica_sees_the_devices_it_was_given_and_no_others() -> None:
    assert hardware.given((1, 3))["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert hardware.given(()) == {}


def test_a_home_has_one_holder_who_says_where_it_answers(tmp_path: Path) -> None:
    path = tmp_path / "home" / "local.lock"
    assert lock.holder(path) is None
    with lock.held(path) as tell:
        starting = lock.holder(path)
        tell("http://127.0.0.1:9997")
        running = lock.holder(path)
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}, http://127.0.0.1:9997"), lock.held(path):
            pass
    assert starting == lock.Holder(pid=os.getpid(), address="")
    assert running == lock.Holder(pid=os.getpid(), address="http://127.0.0.1:9997")
    assert lock.holder(path) is None


def test_a_look_at_the_lock_does_not_keep_an_owner_out(tmp_path: Path) -> None:
    path = tmp_path / "local.lock"
    with lock.held(path):
        pass
    assert lock.holder(path) is None
    with lock.held(path):
        assert lock.holder(path) is not None


def test_the_environment_names_the_home() -> None:
    assert default_home({"INFERRY_HOME": "/somewhere"}) == Path("/somewhere")
    assert default_home({}) == Path.home() / ".inferry"
    assert default_home({"INFERRY_HOME": "beside"}) == Path.cwd() / "beside"
    assert default_home({"INFERRY_HOME": "~/there"}) == Path.home() / "there"


def test_a_deep_home_still_has_a_socket_the_kernel_takes() -> None:
    shallow, deep = Home(Path("/h")), Home(Path("/" + "d" * 200))
    assert shallow.gateway_socket == Path("/h/gateway/admin.sock")
    assert len(str(deep.gateway_socket)) <= LONGEST_SOCKET_PATH_BYTES
    assert deep.gateway_socket != Home(Path("/" + "e" * 200)).gateway_socket


def test_a_long_log_is_cut_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        assert not logs.rotate(log, limit_bytes=101)
        assert logs.rotate(log, limit_bytes=100)
        writer.write(b"more")
    assert log.read_bytes() == b"more"
    assert logs.older(log).read_bytes() == b"x" * 100


def test_a_log_that_is_gone_is_no_error(tmp_path: Path) -> None:
    assert not logs.rotate(tmp_path / "gone.log")


def test_a_process_that_left_a_report_is_believed(tmp_path: Path) -> None:
    said = ServeFailure(reason="WeightsDoNotFit", message="2 GiB too much.", hint="Smaller.", retryable=False)
    termination = tmp_path / "termination.json"
    termination.write_bytes(encode(ServeReport(stage=Stage.ENDED, failure=said)))
    assert endings.failure_of(termination, tmp_path / "log", Exit(code=1)) == said


@pytest.mark.parametrize("left", [None, b"", b"{half", msgspec.json.encode({"stage": "Ended"})])
def test_one_that_left_none_crashed_with_these_last_lines(tmp_path: Path, left: bytes | None) -> None:
    termination, log = tmp_path / "termination.json", tmp_path / "log"
    if left is not None:
        termination.write_bytes(left)
    log.write_bytes(b"old\n" * 50 + b"\x1b[31mTraceback\x1b[0m\r\n\n" + b"y" * 1000 + b"\n\xff half")
    failure = endings.failure_of(termination, log, Exit(code=-signal.SIGKILL))
    assert failure.reason == "EngineCrashed"
    assert "SIGKILL" in failure.message
    assert failure.log_tail[-3:] == ("Traceback", "y" * 500, "\ufffd half")
    assert len(failure.log_tail) == endings.TAIL_LINES


async def test_ports_are_free_and_never_promised_twice() -> None:
    first = ports.free_pair(())
    second = ports.free_pair(first)
    assert len({*first, *second}) == 4


async def test_a_listener_is_found_with_its_pid() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert not ports.is_free("127.0.0.1", port)
        assert proc.listener_on(port) == os.getpid()
    assert ports.is_free("127.0.0.1", port)


def test_nobody_listens_on_a_port_that_is_only_connected_from() -> None:
    with socket.socket() as unbound:
        unbound.bind(("127.0.0.1", 0))
        assert proc.listener_on(unbound.getsockname()[1]) is None
