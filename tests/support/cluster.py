"""A real API server for tests, with simulated nodes when they want some. `make cluster-programs` builds it once."""

import re
import uuid
from collections.abc import Iterator

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


class Namespaces:
    """Makes namespaces that nobody else uses, named after the test; they go when it is over."""

    def __init__(self, api: Api, test: str) -> None:
        words = re.sub(r"[^a-z0-9]+", "-", test.lower())[:LONGEST_PART].strip("-")
        self._api, self._stem, self._made = api, f"{words}-{uuid.uuid4().hex[:6]}", 0

    def __call__(self) -> str:
        name = f"{self._stem}-{self._made}"
        self._made += 1
        self._api.create_namespace(name, {})
        return name

    def delete(self) -> None:
        """From now on nothing can be made in them; what is in them goes soon."""
        for number in range(self._made):
            self._api.delete(f"{NAMESPACES}/{self._stem}-{number}")


@pytest.fixture
def namespaces(api: Api, request: pytest.FixtureRequest) -> Iterator[Namespaces]:
    made = Namespaces(api, request.node.name)
    yield made
    made.delete()


@pytest.fixture
def namespace(namespaces: Namespaces) -> str:
    """For one test only."""
    return namespaces()


@pytest.fixture(scope="session")
def kwok_process(api: Api) -> Api:
    simulated.start(api)
    return api


@pytest.fixture
def kwok(kwok_process: Api, namespaces: Namespaces) -> Iterator[simulated.Simulation]:
    """Nodes and behaviours of pods for one test."""
    simulation = simulated.Simulation(kwok_process)
    yield simulation
    # First, else controllers would make again what is deleted with the nodes.
    namespaces.delete()
    simulation.close()
