"""The world made of pods: what the control loop sees of a cluster, and what it does to it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from inferry.api.model_deployment import ModelDeployment
from inferry.api.problems import FieldProblem
from inferry.api.reasons import Reason
from inferry.api.status import DeploymentStatus
from inferry.catalog.catalog import Catalog
from inferry.control.errors import WorldError
from inferry.control.reconcile import spec_problems
from inferry.control.sources import NOTHING, access
from inferry.control.world import Key
from inferry.kubernetes import kinds, manifests
from inferry.kubernetes.accelerators import Offer
from inferry.kubernetes.client import Collection
from inferry.kubernetes.manifests import Owner
from inferry.kubernetes.observe import observed
from inferry.kubernetes.pods import Document, PodChoices, Wanted
from inferry.kubernetes.state import ClusterState
from inferry.kubernetes.steps import Steps, steps
from inferry.kubernetes.views import OwnedView, PodView, ReplicaSetView
from inferry.kubernetes.writer import Part, Writer
from inferry.plan.request import inspection_request
from inferry.plan.types import Observed, Plan, RevisionTarget
from inferry_runtime.hardware import Inventory
from inferry_runtime.model.errors import InvalidSource
from inferry_runtime.model.inspection import Inspection
from inferry_runtime.model.source import LocalPath, parse_source
from inferry_runtime.report import ServeReport

Seen = TypeVar("Seen", OwnedView, ReplicaSetView)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldChoices:
    """What an installation decides."""

    pods: PodChoices = field(default_factory=PodChoices)
    installed_in: str = "inferry"
    """Namespace of the gateway and the operator."""
    local_sources: bool = False
    """Whether paths may be models: the operator reads its own disk for them, and so does every pod."""


class KubernetesWorld:
    """`inferry.control.world.World` of a cluster."""

    def __init__(
        self,
        *,
        state: ClusterState,
        writer: Writer,
        catalog: Catalog,
        choices: WorldChoices,
        reports: Mapping[str, ServeReport],
        in_flight: Callable[[PodView], int | None] = lambda pod: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`reports` is what pods said last, by uid; `in_flight` what gateways say of a pod, None when they do not."""
        self._state = state
        self._writer = writer
        self._catalog = catalog
        self._choices = choices
        self._reports = reports
        self._in_flight = in_flight
        self._now = now

    async def deployment(self, key: Key) -> ModelDeployment | None:
        return self._state.deployments.get(key)

    async def observe(self, key: Key) -> Observed:
        uid = self._state.deployments.uid(key)
        pods = self._state.pods.of(key)
        counts = {pod.name: self._in_flight(pod) for pod in pods}
        return observed(uid, self._state.sets.of(key), pods, self._reports, counts)

    async def inspect(self, deployment: ModelDeployment) -> Inspection:
        """Raises ModelError. Without anybody's credentials: the operator may not read Secrets."""
        from inferry_runtime.model.remote import inspect_source

        model = deployment.spec.model
        request = inspection_request(model, self._catalog)
        if not self._choices.local_sources and isinstance(parse_source(request.source), LocalPath):
            raise InvalidSource(
                f"{request.source} is a path, and no pod has the operator's disk.",
                hint="Use a hub or an object store.",
            )
        return await asyncio.to_thread(inspect_source, request, access(request.source, model.mirror, NOTHING))

    async def inventory(self) -> Inventory:
        return self._state.offered.inventory

    async def apply(self, key: Key, plan: Plan) -> None:
        """Raises WorldError."""
        deployment = self._state.deployments.get(key)
        if deployment is None:
            # Everything belongs to the deployment that is gone: the garbage collector removes it.
            return
        uid = deployment.metadata.uid
        sets = [one for one in self._state.sets.of(key) if one.owner_uid == uid]
        todo = steps(plan, sets, self._state.pods.of(key))
        await self._mark(todo)
        await self._shrink(key, todo)
        if todo.target is not None:
            await self._ensure(key, deployment, *todo.target)

    async def report(self, key: Key, status: DeploymentStatus) -> None:
        """Raises WorldError."""
        owner = Owner(namespace=key.namespace, name=key.name, uid=self._state.deployments.uid(key))
        written = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        answer = await self._writer.report(owner, written)
        if answer is not None:
            self._state.deployments.put_json(answer)

    async def forget(self, key: Key) -> None:
        """Nothing is kept for it that the garbage collector does not remove."""

    def problems(self, deployment: ModelDeployment) -> tuple[tuple[str, str], ...]:
        """What is wrong with it by itself, and beside the other deployments of the cluster: reason and sentence."""
        conflicts = [
            FieldProblem(
                path=("spec", "servedNames"),
                value=name,
                message=f"belongs to the older deployment {holder.namespace}/{holder.name}.",
                reason=Reason.NAME_CONFLICT,
            )
            for name, holder in self._state.deployments.older_holders(deployment)
        ]
        return (*spec_problems(deployment), *((problem.reason, problem.sentence()) for problem in conflicts))

    async def _mark(self, todo: Steps) -> None:
        if todo.drain:
            await self._writer.mark(todo.drain, self._now())
        if todo.cheapen:
            await self._writer.mark(todo.cheapen, None)

    async def _shrink(self, key: Key, todo: Steps) -> None:
        if todo.scale:
            await self._writer.scale(todo.scale)
        if todo.delete_pods:
            await self._writer.delete(kinds.PODS, todo.delete_pods)
        if todo.delete_sets:
            names = {one.name for one in todo.delete_sets}
            orders = [one for one in self._state.owned[kinds.CONFIG_MAPS].of(key) if one.name in names]
            await self._writer.delete(kinds.REPLICA_SETS, todo.delete_sets)
            await self._writer.delete(kinds.CONFIG_MAPS, orders)

    async def _ensure(self, key: Key, deployment: ModelDeployment, target: RevisionTarget, count: int) -> None:
        owner = Owner(namespace=key.namespace, name=key.name, uid=deployment.metadata.uid)
        revision = self._revision(owner, deployment, target, count)
        if revision.seen is None and not await self._writer.is_there(owner):
            # The garbage collector would remove what is made for it, and it would be made again.
            self._state.deployments.drop(key, owner.uid)
            raise WorldError(f"{key.namespace}/{key.name} is gone.")
        around = [
            self._part(key, kinds.CONFIG_MAPS, manifests.config_map(owner, target.revision, target.order)),
            self._part(key, kinds.SERVICES, manifests.service(owner, target.order)),
            self._part(key, kinds.DISRUPTION_BUDGETS, manifests.disruption_budget(owner)),
            self._part(
                key,
                kinds.NETWORK_POLICIES,
                manifests.network_policy(owner, target.order, self._choices.installed_in),
            ),
        ]
        # Without its account no pod is admitted; everything else may come at the same time.
        await self._writer.ensure(owner, [self._part(key, kinds.SERVICE_ACCOUNTS, manifests.service_account(owner))])
        await self._writer.ensure(owner, [revision, *around])

    def _revision(self, owner: Owner, deployment: ModelDeployment, target: RevisionTarget, count: int) -> Part:
        secret = deployment.spec.model.secret_ref
        wanted = Wanted(
            target=target,
            resources=deployment.spec.resources,
            secret=secret.name if secret is not None else "",
            offer=self._offer(target),
        )
        document = manifests.replica_set(owner, wanted, self._choices.pods)
        seen = _named(document, self._state.sets.of(Key(owner.namespace, owner.name)))
        return Part(kind=kinds.REPLICA_SETS, document=document, seen=seen, replicas=count)

    def _offer(self, target: RevisionTarget) -> Offer | None:
        placement = target.decision.placement
        if not placement.count:
            return None
        return self._state.offered.offers.get((placement.vendor, placement.accelerator))

    def _part(self, key: Key, kind: Collection, document: Document) -> Part:
        return Part(kind=kind, document=document, seen=_named(document, self._state.owned[kind].of(key)))


def _named(document: Document, views: tuple[Seen, ...]) -> Seen | None:
    metadata = document["metadata"]
    name = metadata["name"] if isinstance(metadata, dict) else ""
    return next((view for view in views if view.name == name), None)
