"""Environments made by the real uv, from a package index on loopback that holds one tiny wheel."""

import asyncio
import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from inferry.local.environment_check import damage, recorded_files
from inferry.local.environment_errors import EnvironmentUnusable, IndexIncomplete, IndexUnreachable, UnknownEnvironment
from inferry.local.environments import EnvironmentStore
from inferry.plan.types import Progress
from support.replica import watched

WHEEL = "tinyengine-1.0-py3-none-any.whl"
FILES = {
    "tinyengine/__init__.py": b"ANSWER = 42\n",
    "tinyengine/words.txt": b"hello\n" * 100,
    "tinyengine-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinyengine\nVersion: 1.0\n",
    "tinyengine-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def make_wheel(folder: Path) -> Path:
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')},{len(content)}\n"
        for name, content in FILES.items()
    )
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        for name, content in FILES.items():
            wheel.writestr(name, content)
        wheel.writestr("tinyengine-1.0.dist-info/RECORD", record + "tinyengine-1.0.dist-info/RECORD,,\n")
    return folder / WHEEL


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The wheel that the index hands out; uv knows no other index and has nothing cached."""
    wheel = make_wheel(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = wheel.read_bytes() if self.path.endswith(WHEEL) else f'<a href="/{WHEEL}">{WHEEL}</a>'.encode()
            self.send_response(200)
            self.send_header("content-type", "application/zip" if self.path.endswith(WHEEL) else "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    yield wheel
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def requirements(tmp_path: Path, index: Path) -> Path:
    folder = tmp_path / "requirements"
    folder.mkdir()
    locked = f"tinyengine==1.0 --hash=sha256:{hashlib.sha256(index.read_bytes()).hexdigest()}\n"
    (folder / "tiny-1.0-cpu.txt").write_text(locked)
    (folder / "imports.json").write_text(json.dumps({"tiny": ["tinyengine"]}))
    return folder


def make(root: Path, requirements: Path, told: list[Progress] | None = None) -> Path:
    store = EnvironmentStore(root, requirements=requirements)
    return asyncio.run(store.ensure("tiny", "1.0", "cpu", (told if told is not None else []).append))


def answer(python: Path) -> str:
    return subprocess.check_output([python, "-c", "import tinyengine; print(tinyengine.ANSWER)"], text=True).strip()


def environments(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name != ".locks")


def test_an_environment_is_made_once_and_then_found(tmp_path: Path, requirements: Path) -> None:
    first, second = list[Progress](), list[Progress]()
    python = make(tmp_path / "envs", requirements, first)
    assert answer(python) == "42"
    assert [progress.message for progress in first][:2] == ["making an environment", "finding packages"]
    assert make(tmp_path / "envs", requirements, second) == python
    assert second == []
    assert len(environments(tmp_path / "envs")) == 1


def test_nothing_is_installed_where_the_user_stands(tmp_path: Path, requirements: Path) -> None:
    make(tmp_path / "envs", requirements)
    lookup = "import importlib.util as u; print(u.find_spec('tinyengine'))"
    assert subprocess.check_output([sys.executable, "-c", lookup], text=True).strip() == "None"


def test_other_packages_or_another_lock_get_another_environment(tmp_path: Path, requirements: Path) -> None:
    before = make(tmp_path / "envs", requirements)
    locked = requirements / "tiny-1.0-cpu.txt"
    locked.write_text(locked.read_text() + "# relocked\n")
    assert make(tmp_path / "envs", requirements) != before
    assert answer(before) == "42"


def test_every_installed_file_is_watched(tmp_path: Path, requirements: Path) -> None:
    environment = make(tmp_path / "envs", requirements).parents[1]
    assert {path.name for path, _ in recorded_files(environment)} >= {"__init__.py", "words.txt"}
    assert damage(environment) == ""


DAMAGES = {
    "a file is gone": lambda environment: next(environment.rglob("words.txt")).unlink(),
    "a file is cut off": lambda environment: next(environment.rglob("words.txt")).write_bytes(b"hel"),
    "its interpreter is gone": lambda environment: (environment / "bin" / "python").unlink(),
    "its interpreter leads nowhere": lambda environment: redirect(environment / "bin" / "python"),
    "it was never finished": lambda environment: (environment / "complete.json").unlink(),
    "everything but the folder is gone": lambda environment: [shutil.rmtree(environment), environment.mkdir()],
}


def redirect(link: Path) -> None:
    link.unlink()
    link.symlink_to("/nowhere/python")


@pytest.mark.parametrize("harm", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_environment_is_replaced(tmp_path: Path, requirements: Path, harm: object) -> None:
    broken = make(tmp_path / "envs", requirements).parents[1]
    assert callable(harm)
    harm(broken)
    assert damage(broken)
    python = make(tmp_path / "envs", requirements)
    assert answer(python) == "42"
    assert environments(tmp_path / "envs") == [python.parents[1].name]


def test_a_damaged_environment_stays_while_something_runs_from_it(tmp_path: Path, requirements: Path) -> None:
    old = make(tmp_path / "envs", requirements)
    engine = subprocess.Popen([old, "-c", "print('up', flush=True); input()"], stdin=-1, stdout=-1, text=True)
    with engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == "up\n"
        next(old.parents[1].rglob("words.txt")).unlink()
        new = make(tmp_path / "envs", requirements)
        assert new != old
        assert old.exists()
        assert answer(new) == "42"
        engine.communicate("\n")
    assert engine.returncode == 0


MAKER = """
import asyncio, os, signal, sys
from pathlib import Path
from inferry.local.environments import EnvironmentStore

def tell(progress):
    if progress.message == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

store = EnvironmentStore(Path(sys.argv[1]), requirements=Path(sys.argv[2]))
print(asyncio.run(store.ensure("tiny", "1.0", "cpu", tell)))
"""


def maker(root: Path, requirements: Path, killed_at: str = "never") -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", MAKER, str(root), str(requirements), killed_at]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_many_processes_at_once_make_one_environment(tmp_path: Path, requirements: Path) -> None:
    makers = [maker(tmp_path / "envs", requirements) for _ in range(4)]
    pythons = {process.communicate()[0].strip() for process in makers}
    assert len(pythons) == 1
    python = Path(pythons.pop())
    assert answer(python) == "42"
    assert environments(tmp_path / "envs") == [python.parents[1].name]


@pytest.mark.parametrize("moment", ["making an environment", "finding packages", "trying the engine"])
def test_a_maker_that_is_killed_leaves_nothing_in_the_way(tmp_path: Path, requirements: Path, moment: str) -> None:
    with maker(tmp_path / "envs", requirements, moment) as killed:
        assert killed.wait() == -signal.SIGKILL
    assert any(name.startswith(".building-") for name in environments(tmp_path / "envs"))
    python = make(tmp_path / "envs", requirements)
    assert answer(python) == "42"
    assert environments(tmp_path / "envs") == [python.parents[1].name]


def test_a_cancelled_maker_takes_uv_with_it(tmp_path: Path, requirements: Path) -> None:
    slow = tmp_path / "uv"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    slow.chmod(0o755)
    os.mkfifo(tmp_path / "pid")

    async def start_and_cancel() -> int:
        store = EnvironmentStore(tmp_path / "envs", uv=slow, requirements=requirements)
        making = asyncio.create_task(store.ensure("tiny", "1.0", "cpu", lambda _: None))
        pid = int(await asyncio.to_thread((tmp_path / "pid").read_text))
        with watched(pid) as process:
            making.cancel()
            await asyncio.wait([making])
            assert process.ends()
        return pid

    assert asyncio.run(start_and_cancel()) > 0


def test_an_index_that_does_not_answer_is_told_apart(
    tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    with pytest.raises(IndexUnreachable, match="Failed to fetch"):
        make(tmp_path / "envs", requirements)


def test_other_bytes_under_the_locked_name_are_refused(tmp_path: Path, requirements: Path) -> None:
    locked = requirements / "tiny-1.0-cpu.txt"
    locked.write_text(f"tinyengine==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(IndexIncomplete):
        make(tmp_path / "envs", requirements)


def test_an_engine_that_cannot_be_imported_is_not_published(tmp_path: Path, requirements: Path) -> None:
    (requirements / "imports.json").write_text(json.dumps({"tiny": ["tinyengine", "not_there"]}))
    with pytest.raises(EnvironmentUnusable, match="not_there"):
        make(tmp_path / "envs", requirements)
    assert all(name.startswith(".building-") for name in environments(tmp_path / "envs"))


@pytest.mark.parametrize("version", ["2.0", "../requirements/tiny-1.0"])
def test_an_unknown_version_is_told_with_those_there_are(tmp_path: Path, requirements: Path, version: str) -> None:
    store = EnvironmentStore(tmp_path / "envs", requirements=requirements)
    with pytest.raises(UnknownEnvironment) as caught:
        asyncio.run(store.ensure("tiny", version, "cpu", lambda _: None))
    assert "tiny-1.0-cpu" in caught.value.hint
