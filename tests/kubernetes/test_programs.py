"""Programs are built once per machine, whole or not at all, whoever else builds and whatever is killed."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.build import BuildError, build, built, cache_folder
from cluster.components import components

TESTS = Path(__file__).parents[1]
PATIENCE_SECONDS = 30
# A compiler that does nothing, slowly when there is a gate: it waits until somebody opens it.
COMPILER = """#!/bin/sh
[ "$1" = env ] && { echo go1.99.0; exit; }
echo "$*" >> "$COMPILER_FOLDER/calls"
cd "$COMPILER_FOLDER"
[ -e broken ] && { echo "no such package"; exit 1; }
[ -e gate ] && { echo here > arrived; cat gate > /dev/null; }
while [ "$1" != -o ]; do shift; done
echo program > "$2"
"""


class Compiler:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "go"
        program.write_text(COMPILER)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def calls(self) -> list[str]:
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def close_gate(self) -> None:
        os.mkfifo(self.folder / "gate")
        os.mkfifo(self.folder / "arrived")

    def arrived(self) -> None:
        """Wait until a compiler stands at the gate."""
        (self.folder / "arrived").read_text()

    def open_gate(self) -> None:
        """For the one that waits; later ones find none."""
        with (self.folder / "gate").open("w"):
            (self.folder / "gate").unlink()


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    folder = tmp_path / "compiler"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("COMPILER_FOLDER", str(folder))
    monkeypatch.setenv("INFERRY_CLUSTER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return Compiler(folder)


@contextmanager
def builder(name: str) -> Iterator[subprocess.Popen[str]]:
    """Somebody else who builds."""
    words = [sys.executable, "-m", "cluster.build", name]
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def says(process: subprocess.Popen[str], words: str) -> None:
    """Wait for a line with these words."""
    assert process.stdout is not None
    assert any(words in line for line in process.stdout), f"never said: {words}"


def test_what_is_there_is_not_built_again(compiler: Compiler):
    first, second = build(["kwok"]), build(["kwok"])
    assert first["kwok"] == second["kwok"]
    assert first["kwok"].read_text() == "program\n"
    assert len(compiler.calls()) == 1


def test_a_server_is_told_its_version(compiler: Compiler):
    build(["kubectl"])
    (call,) = compiler.calls()
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in call


def test_a_failed_build_shows_what_the_compiler_said_and_leaves_no_program(compiler: Compiler):
    (compiler.folder / "broken").touch()
    with pytest.raises(BuildError, match="no such package"):
        build(["kwok"])
    with pytest.raises(BuildError, match="kwok not built yet"):
        built(["kwok"])


def test_two_builders_build_once(compiler: Compiler):
    compiler.close_gate()
    with builder("kwok") as first:
        compiler.arrived()
        with builder("kwok") as second:
            says(second, "waiting for it")
            compiler.open_gate()
            assert [process.wait(PATIENCE_SECONDS) for process in (first, second)] == [0, 0]
    assert len(compiler.calls()) == 1


def test_a_killed_builder_leaves_nothing_half_done_and_nobody_in_the_way(compiler: Compiler):
    compiler.close_gate()
    with builder("kwok") as first:
        compiler.arrived()
        first.send_signal(signal.SIGKILL)
        first.wait(PATIENCE_SECONDS)
        with builder("kwok") as second:
            # Its compiler lives on, and would write into the same file.
            says(second, "waiting for it")
            assert not list(cache_folder().glob("*/kwok"))
            compiler.open_gate()
            assert second.wait(PATIENCE_SECONDS) == 0
    assert built(["kwok"])["kwok"].read_text() == "program\n"


def test_a_ready_folder_is_used_as_it_is(compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ready = tmp_path / "ready"
    ready.mkdir()
    (ready / "etcd").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(ready))
    programs = build(["etcd", "kwok"])
    assert programs["etcd"] == ready / "etcd"
    assert [call.split()[-1] for call in compiler.calls()] == ["sigs.k8s.io/kwok/cmd/kwok"]


def test_an_unknown_program_is_refused():
    with pytest.raises(BuildError, match="No such program: kubeadm"):
        build(["kubeadm"])


def test_every_program_is_pinned():
    assert {one.name: one.version for one in components()} == {
        "etcd": "v3.6.16",
        "kube-apiserver": "v1.36.3",
        "kube-controller-manager": "v1.36.3",
        "kube-scheduler": "v1.36.3",
        "kubectl": "v1.36.3",
        "kwok": "v0.8.0",
        "helm": "v3.22.0",
    }
