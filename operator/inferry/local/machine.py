"""What runs while `inferry local` runs, and who tells whom that something changed.

Object files -> keeper -> controller; replicas -> snapshot and controller; controller -> world -> replicas and status.
Everybody only says that something changed; whoever is told looks for himself.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path

from inferry.api.conditions import condition
from inferry.api.model_deployment import ModelDeployment
from inferry.api.reasons import Reason
from inferry.api.status import ConditionType
from inferry.catalog.catalog import Catalog
from inferry.control.loop import Controller
from inferry.control.sources import NOTHING
from inferry.control.world import Key
from inferry.decide.decide import decide
from inferry.local import logs
from inferry.local.accept import holders
from inferry.local.gateway_process import GatewayProcess
from inferry.local.gateway_word import GatewayWord
from inferry.local.home import file_stem
from inferry.local.keeper import ObjectKeeper, key_of
from inferry.local.publisher import SnapshotPublisher
from inferry.local.replicas import Found, Replicas
from inferry.local.secret_files import SecretFiles, UnusableSecret
from inferry.local.snapshot import Part
from inferry.local.workshop import Workshop
from inferry.local.world import LocalWorld, name_conflicts
from inferry_runtime.engines.registry import ENGINES
from inferry_runtime.model.facts import Task

logger = logging.getLogger(__name__)

# A person who applies a file waits for half of this on average; a look is one stat per object.
OBJECTS_POLL_SECONDS = 0.05
LOGS_POLL_SECONDS = 10.0
# A full disk does not empty itself in milliseconds.
AGAIN_SECONDS = 1.0

# Engines answer these only when they were started for it.
_NEEDS = {"/v1/embeddings": Task.EMBED.value, "/v1/rerank": Task.RERANK.value}


class Machine:
    def __init__(
        self,
        workshop: Workshop,
        gateway: GatewayProcess,
        publisher: SnapshotPublisher,
        catalog: Catalog,
        group: asyncio.TaskGroup,
    ) -> None:
        self.home = workshop.home
        self.gateway = gateway
        self._publisher = publisher
        self._keeper = ObjectKeeper(workshop.home)
        self._word = GatewayWord(gateway, publisher)
        self._differs = asyncio.Event()
        self._secrets = SecretFiles(workshop.home)
        self.replicas = Replicas(workshop, group, self._changed, self._credentials)
        world = LocalWorld(
            keeper=self._keeper,
            secrets=self._secrets,
            replicas=self.replicas,
            gateway=self._word,
            catalog=catalog,
            environment=workshop.environment,
            reported=self._differs.set,
        )
        self._controller = Controller(world, partial(decide, catalog=catalog), validate=world.problems)

    async def open(self, left: Sequence[Found]) -> None:
        """Know everything that is there before anything about it is said to the gateway. Raises OSError."""
        self._look_at_objects()
        self._secrets.refresh()
        await self.replicas.take_over(left)
        for key in self.replicas.deployments() | self._keeper.recorded():
            self._controller.add(key)
        self._publisher.publish(self._parts())

    async def answering(self) -> None:
        """The gateway answers, and has said what it routes by: nothing that was ready looks as if it were not. Raises
        GatewayFailed."""
        await self.gateway.answering()
        await self._word.look()

    def loops(self) -> tuple[Coroutine[None, None, None], ...]:
        """Each until it is cancelled."""
        return (
            self._controller.run(),
            self._watch_objects(),
            self._publish(),
            self._rotate_logs(),
            self.gateway.keep(self._word.look_now),
            self._word.watch(self._draining, self._look_at_draining, self._look_at_all),
        )

    def _changed(self, key: Key) -> None:
        self._differs.set()
        self._controller.add(key)

    async def _publish(self) -> None:
        """Changes that come together make one snapshot."""
        while True:
            await self._differs.wait()
            self._differs.clear()
            try:
                if self._publisher.publish(self._parts()):
                    self._word.look_now()
            except OSError as error:
                logger.error("snapshot cannot be written", extra={"reason": str(error)})
                self._differs.set()
                await asyncio.sleep(AGAIN_SECONDS)

    async def _watch_objects(self) -> None:
        while True:
            await asyncio.sleep(OBJECTS_POLL_SECONDS)
            try:
                self._look_at_objects()
                self._look_at_secrets()
            except OSError as error:
                logger.error("objects cannot be read", extra={"reason": str(error)})
                await asyncio.sleep(AGAIN_SECONDS)

    def _look_at_objects(self) -> None:
        changed = self._keeper.refresh()
        if not changed:
            return
        self._differs.set()
        for key in changed | self._with_shared_names():
            self._controller.add(key)

    def _look_at_secrets(self) -> None:
        """Only those that lack something are read again: what has its files goes on, whatever becomes of a secret."""
        changed = self._secrets.refresh()
        for deployment in self._keeper.all() if changed else ():
            named = deployment.spec.model.secret_ref
            if named is not None and file_stem(named.name) in changed and not _has_model(deployment):
                self._controller.refresh(key_of(deployment))
                self.replicas.try_again(key_of(deployment))

    def _credentials(self, key: Key, source: str) -> Mapping[str, str]:
        deployment = self._keeper.get(key)
        named = deployment.spec.model.secret_ref if deployment else None
        try:
            return self._secrets.variables(named.name, source) if named else NOTHING
        except UnusableSecret as error:
            # What is in the store needs none, and a fetch says itself what it lacks.
            logger.warning("replica starts without its secret", extra={"reason": error.message, "hint": error.hint})
            return NOTHING

    def _with_shared_names(self) -> frozenset[Key]:
        """Deployments that stand back behind older ones, or did: a name may have been freed for them."""
        holding = holders(self._keeper.all())
        return frozenset(key_of(one) for one in self._keeper.all() if _shares(one, holding))

    def _draining(self) -> bool:
        return any(replica.draining_since is not None for replica in self.replicas.all())

    def _look_at_draining(self) -> None:
        for key in self.replicas.deployments():
            if any(replica.draining_since is not None for replica in self.replicas.of(key)):
                self._controller.add(key)

    def _look_at_all(self) -> None:
        for key in self.replicas.deployments():
            self._controller.add(key)

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(LOGS_POLL_SECONDS)
            for log in (self.home.gateway_log, *(folder.log for folder in self.replicas.folders())):
                await asyncio.to_thread(_rotated, log)

    def _parts(self) -> list[Part]:
        return [
            Part(deployment=deployment, replicas=self.replicas.of(key_of(deployment)), routes=routes(deployment))
            for deployment in self._keeper.all()
        ]


def routes(deployment: ModelDeployment) -> tuple[str, ...]:
    """Of the engine that was chosen, as far as the model is there for them. Before one is, of all: whoever asks shall
    hear what is being waited for, not that the model cannot do it."""
    resolved = deployment.status.resolved if deployment.status else None
    engine = ENGINES.get(resolved.engine.name) if resolved else None
    if resolved is None or engine is None:
        return tuple(sorted({path for known in ENGINES.values() for path in known.routes}))
    tasks = resolved.model.tasks
    return tuple(path for path in engine.routes if not tasks or _NEEDS.get(path, tasks[0]) in tasks)


def _shares(deployment: ModelDeployment, holding: Mapping[str, str]) -> bool:
    accepted = condition(deployment.status.conditions, ConditionType.ACCEPTED) if deployment.status else None
    stood_back = accepted is not None and accepted.reason == Reason.NAME_CONFLICT
    return stood_back or bool(name_conflicts(deployment, holding))


def _has_model(deployment: ModelDeployment) -> bool:
    ready = condition(deployment.status.conditions, ConditionType.MODEL_READY) if deployment.status else None
    return ready is not None and ready.status == "True"


def _rotated(log: Path) -> None:
    try:
        logs.rotate(log)
    except OSError as error:
        logger.error("log cannot be rotated", extra={"log": str(log), "reason": str(error)})
