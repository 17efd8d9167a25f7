"""A real API server for tests, with simulated nodes when they want some. `make cluster-programs` builds it once."""

import itertools
import re
import uuid
from collections.abc import Callable, Iterator

import pytest

from cluster import definitions, plane
from cluster import kwok as simulated
from cluster.api import NAMESPACES, Api
from cluster.build import built
from cluster.sessions import session_folder

LONGEST_PART = 40


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """etcd, API server, controller manager and scheduler, with the project's kinds; one for all tests of a run."""
    programs = built((*plane.PROGRAMS, *simulated.PROGRAMS))
    with session_folder() as folder:
        running = plane.Plane(folder, programs)
        try:
            running.start()
            api = Api(running)
            definitions.install(api)
            yield api
            api.close()
        finally:
            running.stop()


@pytest.fixture
def namespaces(api: Api, request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Makes namespaces that nobody else uses, named after the test; they go when it is over."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:LONGEST_PART].strip("-")
    run, numbers, made = uuid.uuid4().hex[:6], itertools.count(), []

    def make() -> str:
        name = f"{words}-{run}-{next(numbers)}"
        api.create_namespace(name, {})
        made.append(name)
        return name

    yield make
    for name in made:
        api.delete(f"{NAMESPACES}/{name}")


@pytest.fixture
def namespace(namespaces: Callable[[], str]) -> str:
    """For one test only."""
    return namespaces()


@pytest.fixture(scope="session")
def kwok_process(api: Api) -> Api:
    simulated.start(api)
    return api


@pytest.fixture
def kwok(kwok_process: Api, namespaces: Callable[[], str]) -> Iterator[simulated.Simulation]:
    """Nodes and behaviours of pods for one test. It ends before the test's namespaces do, its pods with it."""
    simulation = simulated.Simulation(kwok_process)
    yield simulation
    simulation.close()
