"""The world made of processes on one machine: what the control loop sees of it, and what it does to it."""

import asyncio
from collections.abc import Callable, Mapping

from inferry.api.model_deployment import ModelDeployment
from inferry.api.problems import FieldProblem
from inferry.api.reasons import Reason
from inferry.api.status import DeploymentStatus
from inferry.catalog.catalog import Catalog
from inferry.control.errors import WorldError
from inferry.control.reconcile import spec_problems
from inferry.control.sources import NOTHING, access
from inferry.control.world import Key
from inferry.local import hardware
from inferry.local.accept import holders
from inferry.local.gateway_word import GatewayWord
from inferry.local.keeper import ObjectKeeper
from inferry.local.replicas import Replicas
from inferry.local.secret_files import SecretFiles
from inferry.plan.request import inspection_request
from inferry.plan.types import Observed, Phase, Plan, Replica, RevisionTarget
from inferry_runtime.hardware import Inventory, Vendor
from inferry_runtime.model.inspection import Inspection


class LocalWorld:
    """`inferry.control.world.World` of this machine."""

    def __init__(
        self,
        *,
        keeper: ObjectKeeper,
        secrets: SecretFiles,
        replicas: Replicas,
        gateway: GatewayWord,
        catalog: Catalog,
        environment: Mapping[str, str],
        reported: Callable[[], None],
    ) -> None:
        self._keeper = keeper
        self._secrets = secrets
        self._replicas = replicas
        self._gateway = gateway
        self._catalog = catalog
        self._environment = environment
        self._reported = reported
        # Asking a GPU driver takes long, and nobody adds hardware to a running machine.
        self._machine: hardware.Machine | None = None

    async def deployment(self, key: Key) -> ModelDeployment | None:
        return self._keeper.get(key)

    async def observe(self, key: Key) -> Observed:
        return Observed(replicas=tuple(self._gateway.about(replica) for replica in self._replicas.of(key)))

    async def inspect(self, deployment: ModelDeployment) -> Inspection:
        """Raises ModelError."""
        from inferry_runtime.model.remote import inspect_source

        model = deployment.spec.model
        request = inspection_request(model, self._catalog)
        named = model.secret_ref
        secret = self._secrets.variables(named.name, request.source) if named else NOTHING
        rights = access(request.source, model.mirror, self._environment, secret)
        return await asyncio.to_thread(inspect_source, request, rights)

    async def inventory(self) -> Inventory:
        return (await self._hardware()).inventory

    async def apply(self, key: Key, plan: Plan) -> None:
        """Raises WorldError when the state folder cannot be written."""
        try:
            for target in plan.revisions:
                await self._create_missing(key, target)
            for name in plan.drain:
                self._replicas.drain(name)
        except OSError as error:
            raise WorldError(f"the state of {key.name} cannot be written: {error}.") from error
        for name in plan.remove:
            self._replicas.remove(name)
        if plan.drain:
            self._gateway.look_now()

    async def report(self, key: Key, status: DeploymentStatus) -> None:
        """Raises WorldError when the state folder cannot be written."""
        try:
            written = self._keeper.report(key, status)
        except OSError as error:
            raise WorldError(f"the status of {key.name} cannot be written: {error}.") from error
        if written:
            self._reported()

    async def forget(self, key: Key) -> None:
        self._keeper.forget(key)

    def problems(self, deployment: ModelDeployment) -> tuple[tuple[str, str], ...]:
        """What is wrong with it by itself, and beside the other deployments of this machine: reason and sentence."""
        conflicts = name_conflicts(deployment, holders(self._keeper.all()))
        return (*spec_problems(deployment), *((problem.reason, problem.sentence()) for problem in conflicts))

    async def _create_missing(self, key: Key, target: RevisionTarget) -> None:
        standing = [one for one in self._replicas.of(key) if one.revision == target.revision and _stands(one)]
        placement = target.decision.placement
        devices = (await self._hardware()).devices if placement.vendor == Vendor.NVIDIA else ()
        for _ in range(target.replicas - len(standing)):
            self._replicas.create(key, target.revision, target.order, accelerators=placement.count, devices=devices)

    async def _hardware(self) -> hardware.Machine:
        if self._machine is None:
            self._machine = await asyncio.to_thread(hardware.survey, self._environment)
        return self._machine


def name_conflicts(deployment: ModelDeployment, holding: Mapping[str, str]) -> tuple[FieldProblem, ...]:
    """Pure: one problem for every served name that an older deployment has."""
    mine = deployment.metadata.name
    others = {name: holding.get(name, mine) for name in deployment.served_names}
    return tuple(
        FieldProblem(
            path=("spec", "servedNames"),
            value=name,
            message=f"belongs to the older deployment {other}.",
            reason=Reason.NAME_CONFLICT,
        )
        for name, other in others.items()
        if other != mine
    )


def _stands(replica: Replica) -> bool:
    return replica.draining_since is None and replica.phase is not Phase.STOPPING
