"""Build the programs of a cluster, once per machine: `PYTHONPATH=tests python -m cluster.build`.

They go to `~/.cache/inferry/cluster` (`INFERRY_CLUSTER_CACHE`), in folders named after everything that
decides what comes out, so a change of a version builds anew and an old checkout finds what it had. A folder named by
`KUBEBUILDER_ASSETS` is looked at first: what it holds is used as it is.
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import toolchain
from cluster.components import Component, components

LOOK_SECONDS = 1.0
PROGRESS_SECONDS = 15.0
TAIL_LINES = 30


class BuildError(Exception):
    """A program could not be built, or is not there."""


@dataclass(frozen=True)
class Programs:
    """Where each program lies."""

    paths: Mapping[str, Path]

    def __getitem__(self, name: str) -> Path:
        return self.paths[name]


def cache_folder() -> Path:
    named = os.environ.get("INFERRY_CLUSTER_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "inferry" / "cluster"


def built(names: Sequence[str] | None = None) -> Programs:
    """What is there already. Raises BuildError when something is missing."""
    found = {one.name: _place(one) for one in _wanted(names)}
    missing = [name for name, path in found.items() if not path.is_file()]
    if missing:
        raise BuildError(f"{', '.join(missing)} not built yet; run `make cluster-programs` (ten minutes, once).")
    return Programs(found)


def build(names: Sequence[str] | None = None) -> Programs:
    """Build what is missing, telling how far it is. Raises BuildError or ToolchainError.

    Two at once do not disturb each other: the second waits, then finds everything. After a kill, what was complete
    stays, and the rest is built from what the compiler has cached.
    """
    if all(_place(one).is_file() for one in _wanted(names)):
        return built(names)
    cache_folder().mkdir(parents=True, exist_ok=True)
    with _alone(cache_folder() / "build.lock") as lock:
        go = toolchain.find_go(cache_folder())
        missing = [one for one in _wanted(names) if not _place(one).is_file()]
        for number, component in enumerate(missing, start=1):
            _build_one(go, component, f"[{number}/{len(missing)}] {component.name} {component.version}", lock)
    return built(names)


def _wanted(names: Sequence[str] | None) -> tuple[Component, ...]:
    known = components()
    strangers = set(names or ()) - {one.name for one in known}
    if strangers:
        raise BuildError(f"No such program: {', '.join(sorted(strangers))}.")
    return tuple(one for one in known if names is None or one.name in names)


def _place(component: Component) -> Path:
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given and (Path(given) / component.name).is_file():
        return Path(given) / component.name
    return _own_place(component)


def _own_place(component: Component) -> Path:
    return cache_folder() / component.folder_name / component.name


@contextmanager
def _alone(path: Path) -> Iterator[int]:
    """One builder per cache. The system lets go of the lock when the last holder is gone, however it ended."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Somebody else is building; waiting for it ...", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _build_one(go: Path, component: Component, title: str, lock: int) -> None:
    print(f"{title}: building", flush=True)
    begin, place = time.monotonic(), _own_place(component)
    place.parent.mkdir(exist_ok=True)
    unfinished, log = place.with_suffix(".unfinished"), place.with_suffix(".log")
    flags = ["-v", "-trimpath", "-buildvcs=false", "-ldflags", component.linker_flags(), "-o", str(unfinished)]
    words = [*_gently(), str(go), "build", *flags, component.package]
    with log.open("wb") as out:
        # The compiler holds the lock too: when only we are killed, the next builder waits for it to end.
        child = subprocess.Popen(
            words, cwd=component.module_folder, env=toolchain.environment(), stdout=out, stderr=out, pass_fds=(lock,)
        )
        try:
            _watch(child, log, title, begin)
        finally:
            child.terminate()
            child.wait()
    if child.returncode:
        raise BuildError(f"{title}: {' '.join(words)} failed:\n{_tail(log)}")
    unfinished.rename(place)
    log.unlink()
    print(f"{title}: {time.monotonic() - begin:.0f} s", flush=True)


def _watch(child: subprocess.Popen[bytes], log: Path, title: str, begin: float) -> None:
    """The compiler names each package when it is done with it."""
    told = begin
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(LOOK_SECONDS)
            return
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            packages = log.read_bytes().count(b"\n")
            print(f"{title}: {packages} packages compiled, {told - begin:.0f} s", flush=True)


def _tail(log: Path) -> str:
    with log.open() as lines:
        return "".join(deque(lines, TAIL_LINES))


def _gently() -> tuple[str, ...]:
    """Ten minutes of compiling must not slow down whoever works here."""
    return ("nice", "-n", "19") if shutil.which("nice") else ()


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the programs of a cluster, once per machine.")
    parser.add_argument("names", nargs="*", help="only these")
    chosen = parser.parse_args(words).names or None
    try:
        programs = build(chosen)
    except (BuildError, toolchain.ToolchainError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{', '.join(programs.paths)}: in {cache_folder()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
