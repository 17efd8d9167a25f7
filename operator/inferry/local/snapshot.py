"""Pure: deployments, their statuses and replicas -> what the gateway routes by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from inferry.api.model_deployment import ModelDeployment
from inferry.api.reasons import Reason, meaning_of
from inferry.api.snapshot import Endpoint, EndpointState, ServedModel, Snapshot
from inferry.local.accept import holders
from inferry.plan.status import waiting
from inferry.plan.types import Phase, Replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One deployment and what runs for it."""

    deployment: ModelDeployment
    """With the status last reported."""
    replicas: tuple[Replica, ...]
    routes: tuple[str, ...]
    """Of the engine that was chosen; empty while none is."""


def endpoint_id(replica: Replica) -> str:
    """A replica that is started again after a crash may answer on another port; then it is another endpoint."""
    return f"{replica.name}:{replica.port}"


def models(parts: Sequence[Part]) -> tuple[ServedModel, ...]:
    """Sorted by deployment; one that lost all its names to older ones is not served."""
    holding = holders([part.deployment for part in parts])
    served = (_model(part, holding) for part in parts)
    return tuple(sorted((model for model in served if model.names), key=lambda model: model.deployment))


def following(before: Snapshot, served: tuple[ServedModel, ...]) -> Snapshot:
    """The same snapshot when nothing differs, else one with the next version."""
    if before.models == served:
        return before
    return replace(before, version=before.version + 1, models=served)


def _model(part: Part, holding: Mapping[str, str]) -> ServedModel:
    deployment = part.deployment
    metadata, resolved = deployment.metadata, deployment.status.resolved if deployment.status else None
    endpoints = tuple(endpoint for replica in part.replicas if (endpoint := _endpoint(replica)) is not None)
    reason, message = _waiting(deployment, endpoints)
    return ServedModel(
        deployment=f"{metadata.namespace}/{metadata.name}",
        names=tuple(name for name in deployment.served_names if holding[name] == metadata.name),
        engine=resolved.engine.name if resolved else "",
        routes=part.routes,
        created=_unix_seconds(metadata.creation_timestamp),
        endpoints=endpoints,
        context_length=_context_length(deployment),
        waiting_reason=reason,
        waiting_message=message,
        waiting_ends=not reason or meaning_of(reason).heals,
    )


def _endpoint(replica: Replica) -> Endpoint | None:
    """Ready ones are picked; those that go keep their running answers; others have none."""
    leaving = replica.draining_since is not None or replica.phase is Phase.STOPPING
    if not replica.port or not (replica.ready or leaving):
        return None
    state = EndpointState.DRAINING if leaving else EndpointState.READY
    return Endpoint(id=endpoint_id(replica), host=replica.host, port=replica.port, state=state)


def _waiting(deployment: ModelDeployment, endpoints: Sequence[Endpoint]) -> tuple[str, str]:
    if any(endpoint.state is EndpointState.READY for endpoint in endpoints):
        return "", ""
    reason, message = waiting(deployment.status)
    if reason:
        return reason, message
    # The last replica has just gone, and the status does not say so yet.
    return Reason.STARTING, Reason.STARTING.meaning.sentence


def _context_length(deployment: ModelDeployment) -> int | None:
    if deployment.spec.engine.context_length is not None:
        return deployment.spec.engine.context_length
    resolved = deployment.status.resolved if deployment.status else None
    return resolved.model.context_length if resolved else None


def _unix_seconds(timestamp: str) -> int:
    return int(datetime.fromisoformat(timestamp).timestamp()) if timestamp else 0
