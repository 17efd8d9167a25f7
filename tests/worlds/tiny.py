"""A world small enough to hold in one's head: objects, replicas and models in dictionaries, trouble on request."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from inferry.api.model_deployment import ModelDeployment
from inferry.api.names import replica_name
from inferry.api.status import DeploymentStatus
from inferry.control.loop import Controller
from inferry.control.world import Key
from inferry.decide.decision import Decision, NoDecision
from inferry.plan.types import Failure, Observed, Phase, Plan, Replica
from inferry_runtime.hardware import Inventory
from inferry_runtime.model.inspection import Inspection
from worlds.clock import FakeClock
from worlds.replicas import advanced
from worlds.samples import a_decision, a_deployment, an_inspection, an_inventory


@dataclass
class TinyWorld:
    """`inferry.control.world.World`. Replicas move only when a test says so."""

    clock: FakeClock
    deployments: dict[Key, ModelDeployment] = field(default_factory=dict)
    replicas: dict[Key, dict[str, Replica]] = field(default_factory=dict)
    models: dict[str, Inspection] = field(default_factory=dict)
    """By the revision that is asked for; "" for none."""
    hardware: Inventory = field(default_factory=an_inventory)
    trouble: dict[str, Exception] = field(default_factory=dict)
    """Method name -> what it raises until a test takes it away."""
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    """Method name -> what it waits for before it does anything."""
    calls: Counter[str] = field(default_factory=Counter)
    inspected: list[str | None] = field(default_factory=list)
    busy: Counter[Key] = field(default_factory=Counter)
    forgotten: list[Key] = field(default_factory=list)

    async def deployment(self, key: Key) -> ModelDeployment | None:
        self.busy[key] += 1
        assert self.busy[key] == 1, "one key with two workers"
        try:
            await self._enter("deployment")
        finally:
            self.busy[key] -= 1
        return self.deployments.get(key)

    async def observe(self, key: Key) -> Observed:
        await self._enter("observe")
        replicas = self.replicas.get(key, {}).values()
        return Observed(replicas=tuple(sorted(replicas, key=lambda replica: replica.name)))

    async def inspect(self, deployment: ModelDeployment) -> Inspection:
        self.inspected.append(deployment.spec.model.revision)
        await self._enter("inspect")
        revision = deployment.spec.model.revision or ""
        return self.models[revision] if revision in self.models else an_inspection(revision=revision or "c0ffee")

    async def inventory(self) -> Inventory:
        await self._enter("inventory")
        return self.hardware

    async def apply(self, key: Key, plan: Plan) -> None:
        await self._enter("apply")
        replicas = self.replicas.setdefault(key, {})
        for name in plan.drain:
            replicas[name] = replace(replicas[name], draining_since=self.clock.now())
        for name in plan.remove:
            del replicas[name]
        for target in plan.revisions:
            standing = [one for one in replicas.values() if one.revision == target.revision and not one.draining_since]
            for _ in range(target.replicas - len(standing)):
                self._create(key, target.revision)

    async def report(self, key: Key, status: DeploymentStatus) -> None:
        await self._enter("report")
        if key in self.deployments:
            self.deployments[key] = self.deployments[key].model_copy(update={"status": status})

    async def forget(self, key: Key) -> None:
        await self._enter("forget")
        self.replicas.pop(key, None)
        self.forgotten.append(key)

    async def _enter(self, method: str) -> None:
        self.calls[method] += 1
        await asyncio.sleep(0)
        if method in self.gates:
            await self.gates[method].wait()
        if method in self.trouble:
            raise self.trouble[method]

    def _create(self, key: Key, revision: str) -> None:
        replicas = self.replicas[key]
        ordinal = next(n for n in range(1000) if replica_name(key.name, revision, n) not in replicas)
        name = replica_name(key.name, revision, ordinal)
        replicas[name] = Replica(
            name=name, revision=revision, phase=Phase.PENDING, ready=False, created_at=self.clock.now()
        )

    def change(self, key: Key, what: Callable[[Replica], Replica]) -> None:
        """To every replica of the deployment."""
        self.replicas[key] = {name: what(replica) for name, replica in self.replicas.get(key, {}).items()}

    def crash(self, key: Key) -> None:
        failure = Failure(reason="EngineCrashed", message="It crashed.", hint="", restarts=1, retry_at=None)
        self.change(key, lambda one: replace(one, phase=Phase.BACKING_OFF, ready=False, failure=failure))


@dataclass
class Stage:
    """A world with a controller running in it, and the verbs of a story."""

    world: TinyWorld
    clock: FakeClock
    controller: Controller
    decisions: list[tuple[str | None, str | None]]
    """Engine and version of every spec that was decided on."""

    async def apply(self, name: str = "qwen", **spec: object) -> Key:
        key = Key("default", name)
        before = self.world.deployments.get(key)
        deployment = a_deployment(name, generation=before.metadata.generation + 1 if before else 1, **spec)
        status = before.status if before else None
        self.world.deployments[key] = deployment.model_copy(update={"status": status})
        await self.look(key)
        return key

    async def delete(self, key: Key) -> None:
        del self.world.deployments[key]
        await self.look(key)

    async def look(self, key: Key) -> None:
        self.controller.add(key)
        await self.settle()

    async def settle(self) -> None:
        """Until nothing is left to look at now, inspections included."""
        for _ in range(5):
            await self.controller.settled()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def later(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            due = self.clock.next_due()
            self.clock.advance(min(end - self.clock.now(), due if due is not None else seconds))
            await self.settle()

    async def grow(self, key: Key) -> None:
        """Every replica becomes one phase readier, and somebody says so."""
        self.world.change(key, advanced)
        await self.look(key)

    async def until_rest(self, key: Key) -> None:
        """Everything goes well, until nothing changes any more."""
        for _ in range(60):
            before = dict(self.world.replicas.get(key, {}))
            await self.grow(key)
            await self.later(1.0)
            if before == self.world.replicas.get(key, {}):
                return
        raise AssertionError(f"not at rest: {self.world.replicas.get(key)}")

    def status(self, key: Key) -> DeploymentStatus:
        status = self.world.deployments[key].status
        assert status is not None
        return status

    def ready(self, key: Key) -> list[str]:
        replicas = self.world.replicas.get(key, {}).values()
        return sorted(one.name for one in replicas if one.ready and not one.draining_since)


Deciding = Callable[[str | None, str | None], Decision | NoDecision]


def by_request(engine: str | None, version: str | None) -> Decision | NoDecision:
    return a_decision(engine or "llamacpp", version or "1.0")


@asynccontextmanager
async def a_stage(*, workers: int = 2, decide: Deciding = by_request) -> AsyncIterator[Stage]:
    """Nothing outlives it."""
    clock = FakeClock()
    world = TinyWorld(clock)
    decisions: list[tuple[str | None, str | None]] = []

    def deciding(facts, spec, inventory):  # type: ignore[no-untyped-def]
        decisions.append((spec.engine.name, spec.engine.version))
        return decide(spec.engine.name, spec.engine.version)

    controller = Controller(world, deciding, clock=clock, workers=workers, random=lambda: 0.0)
    running = asyncio.create_task(controller.run())
    try:
        yield Stage(world, clock, controller, decisions)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
