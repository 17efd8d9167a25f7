"""A cluster for people: `PYTHONPATH=tests python -m cluster up`, and `down` when it is no longer wanted.

A control plane with the project's kinds and a few simulated nodes: objects are kept, pods are scheduled and become
Ready, nothing runs in them.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from cluster import definitions, kwok, plane
from cluster.api import Api
from cluster.build import BuildError, build, cache_folder
from cluster.components import components
from cluster.processes import ProcessError, kill_leftovers, living
from cluster.toolchain import ToolchainError

NODES: tuple[tuple[str, Mapping[str, int], Mapping[str, str]], ...] = (
    ("cpu-0", {}, {}),
    ("cpu-1", {}, {}),
    ("gpu-0", {"nvidia.com/gpu": 4}, {"nvidia.com/gpu.product": "NVIDIA-L4", "nvidia.com/gpu.memory": "23034"}),
)


def up() -> None:
    folder = _folder()
    if not (folder / "kubeconfig").exists() or not living(folder, _names()):
        _start(folder)
    print(f"export KUBECONFIG={folder / 'kubeconfig'}")
    print(f"export PATH={build(('kubectl',))['kubectl'].parent}:$PATH")


def down() -> None:
    kill_leftovers(_folder(), _names())
    shutil.rmtree(_folder(), ignore_errors=True)


def _start(folder: Path) -> None:
    programs = build((*plane.PROGRAMS, *kwok.PROGRAMS))
    # What is left of one that was not stopped properly.
    down()
    folder.mkdir(parents=True)
    running = plane.Plane(folder, programs)
    try:
        running.start()
        api = Api(running)
        definitions.install(api)
        kwok.start(api)
        simulation = kwok.Simulation(api)
        for name, resources, labels in NODES:
            simulation.node(name, resources=resources, labels=labels)
    except BaseException:
        running.stop()
        raise
    # Last: its presence says that everything is up.
    (folder / "kubeconfig").symlink_to(running.kubeconfig)


def _folder() -> Path:
    return cache_folder() / "cluster"


def _names() -> frozenset[str]:
    return frozenset(one.name for one in components())


def main() -> int:
    parser = argparse.ArgumentParser(prog="cluster", description="A cluster for people.")
    parser.add_argument("verb", choices=("up", "down"))
    verb = parser.parse_args().verb
    try:
        up() if verb == "up" else down()
    except (BuildError, ToolchainError, ProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
