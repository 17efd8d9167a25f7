"""The protocol between the loop and what it drives: pods on a cluster, processes on a machine."""

from typing import NamedTuple, Protocol

from inferry.api.model_deployment import ModelDeployment
from inferry.api.status import DeploymentStatus
from inferry.plan.types import Observed, Plan
from inferry_runtime.hardware import Inventory
from inferry_runtime.model.inspection import Inspection


class Key(NamedTuple):
    namespace: str
    name: str


class World(Protocol):
    """Every method reads or writes what is there now; none remembers what it was asked before."""

    async def deployment(self, key: Key) -> ModelDeployment | None:
        """The user's object, with the status last reported; None when it is gone."""
        ...

    async def observe(self, key: Key) -> Observed: ...

    async def inspect(self, deployment: ModelDeployment) -> Inspection:
        """Facts of the model from its headers. Raises ModelError."""
        ...

    async def inventory(self) -> Inventory: ...

    async def apply(self, key: Key, plan: Plan) -> None:
        """Bring the plan about. Idempotent; returns when it is under way, not when it is done."""
        ...

    async def report(self, key: Key, status: DeploymentStatus) -> None:
        """Write the status if it differs from the one that is there."""
        ...

    async def forget(self, key: Key) -> None:
        """The deployment is gone and so are its replicas: drop everything else that was kept for it."""
        ...
