"""The operator as one process: reflectors, the lease, the control loop, kopf, and its own health."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from inferry.catalog.load import load_catalog
from inferry.control.errors import WorldError
from inferry.control.loop import Controller
from inferry.control.world import Key
from inferry.decide.decide import decide
from inferry.kubernetes import kinds
from inferry.kubernetes.client import ApiClient
from inferry.kubernetes.credentials import Credentials
from inferry.kubernetes.health import Health, served
from inferry.kubernetes.lease import Lease, LeaseName
from inferry.kubernetes.reflector import PAGE
from inferry.kubernetes.reports import Reports
from inferry.kubernetes.state import ClusterState
from inferry.kubernetes.views import PodView
from inferry.kubernetes.watching import registry, watch
from inferry.kubernetes.world import KubernetesWorld, WorldChoices
from inferry.kubernetes.writer import Writer

log = logging.getLogger(__name__)

WORKERS: Final = 32
"""Each waits for a few writes of some 10 ms: together they keep one core busy."""

RESYNC_SECONDS: Final = 600.0
"""How long a deletion that no watch has told of may go unnoticed."""

AGAIN_SECONDS: Final = 2.0
"""How often it is looked whether the CRD has been installed meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorOptions:
    credentials: Credentials
    namespace: str = ""
    """Only this one; "" for all."""
    lease_namespace: str = "default"
    lease_name: str = "inferry-operator"
    health_host: str = "0.0.0.0"
    health_port: int = 8080
    workers: int = WORKERS
    world: WorldChoices = field(default_factory=WorldChoices)
    catalog_overrides: tuple[Path, ...] = ()
    read_progress: bool = True
    """Ask replicas how far they are; needs a way from here to pods."""


class Operator:
    """One process. `run` it once; `stop` ends it cleanly."""

    def __init__(
        self, options: OperatorOptions, client: ApiClient, in_flight: Callable[[PodView], int | None] | None = None
    ) -> None:
        """Raises CatalogFileError."""
        self.stop = asyncio.Event()
        self._options = options
        self._client = client
        self.state = ClusterState(self._look, self._look_at_all)
        self.lease = Lease(client, _lease_name(options))
        self._reports = Reports(self.state.pods, self._look)
        catalog = load_catalog(*options.catalog_overrides)
        world = KubernetesWorld(
            state=self.state,
            writer=Writer(client, self.lease.fence),
            catalog=catalog,
            choices=options.world,
            reports=self._reports.said,
            in_flight=in_flight or _unknown,
        )
        self.controller = Controller(
            world, partial(decide, catalog=catalog), validate=world.problems, workers=options.workers
        )
        self._watches = self.state.reflectors(client, options.namespace)
        self.health = Health(
            client=client,
            state=self.state,
            watches=self._watches,
            statistics=self.controller.statistics,
            leading=self.lease.holds,
        )

    async def run(self, on_leading: Callable[[], None] = lambda: None) -> None:
        """Until a signal or `stop`. Raises LeaseLost when another operator may have taken over: the process has to
        end then."""
        options = self._options
        async with served(self.health, options.health_host, options.health_port), asyncio.TaskGroup() as group:
            following = [group.create_task(one.run(), name=one.path) for one in self._watches]
            leading = group.create_task(self._lead(on_leading), name="lead")
            stopping = group.create_task(self.stop.wait(), name="stop")
            await asyncio.wait({leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await self._end(leading)
            for task in (*following, stopping):
                task.cancel()

    async def _end(self, leading: asyncio.Task[None]) -> None:
        """Gives kopf, which sees the same `stop`, the time to leave by itself when it is there."""
        if not leading.done() and not self.lease.holds():
            leading.cancel()
        await asyncio.wait({leading})

    async def _lead(self, on_leading: Callable[[], None]) -> None:
        await asyncio.gather(*(watch.synced.wait() for watch in self._watches))
        await self.lease.acquire()
        try:
            await self._work(on_leading)
        finally:
            await self.lease.release()

    async def _work(self, on_leading: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self.lease.keep(), name="lease")
            # Replicas are known already: without their deployments they would look as if those had been deleted.
            await self._once_listed()
            loops = [group.create_task(loop) for loop in self._loops()]
            on_leading()

            async def ending() -> None:
                # kopf waits for whoever waits for it, too.
                self.stop.set()
                for loop in loops:
                    loop.cancel()
                await asyncio.wait(loops)
                keeping.cancel()
                await self.lease.release()

            handlers = registry(self._options.credentials, self.state.deployments, self._look_at, ending)
            await watch(handlers, self._options.namespace, self.stop)

    def _loops(self) -> Sequence[Coroutine[None, None, None]]:
        asking = [self._reports.run()] if self._options.read_progress else []
        return [self.controller.run(), self._resync(), *asking]

    async def _once_listed(self) -> None:
        """Waits for the API server, and for the CRD: kopf would watch nothing for ever."""
        while True:
            try:
                await self._list_deployments()
                return
            except WorldError as error:
                log.warning("ModelDeployments cannot be listed", extra={"error": str(error)})
            await asyncio.sleep(AGAIN_SECONDS)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            try:
                there = await self._list_deployments()
            except WorldError as error:
                log.warning("resync failed", extra={"error": str(error)})
                continue
            for key in set(self.state.deployments.keys()) - there:
                self._look_at(self.state.deployments.drop(key))

    async def _list_deployments(self) -> frozenset[Key]:
        """Everything there is, and everything that changed since it was seen last is looked at. Raises WorldError."""
        path, parameters = kinds.DEPLOYMENTS.path(self._options.namespace), {"limit": str(PAGE)}
        found: set[Key] = set()
        while True:
            page = msgspec.json.decode(await self._client.get(path, parameters), type=_Page)
            for item in page.items:
                metadata = msgspec.json.decode(item, type=_Item).metadata
                found.add(Key(metadata.namespace, metadata.name))
                self._look_at(self.state.deployments.put_json(item))
            if not page.metadata.next:
                return frozenset(found)
            parameters["continue"] = page.metadata.next

    def _look(self, key: Key) -> None:
        self.controller.add(key)

    def _look_at(self, keys: Collection[Key]) -> None:
        for key in keys:
            self.controller.add(key)

    def _look_at_all(self) -> None:
        self._look_at(tuple(self.state.deployments.keys()))


class _Name(msgspec.Struct, frozen=True):
    name: str
    namespace: str


class _Item(msgspec.Struct, frozen=True):
    metadata: _Name


class _More(msgspec.Struct, frozen=True):
    next: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct, frozen=True):
    metadata: _More
    items: tuple[msgspec.Raw, ...] = ()


async def run_operator(options: OperatorOptions) -> None:
    """Raises LeaseLost and CatalogFileError."""
    async with ApiClient(options.credentials) as client:
        await Operator(options, client).run()


def _lease_name(options: OperatorOptions) -> LeaseName:
    identity = f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"
    return LeaseName(namespace=options.lease_namespace, name=options.lease_name, identity=identity)


def _unknown(_: PodView) -> int | None:
    return None
