"""Pure: what an API server would do to objects. Identity, generations, and who may be called what."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from inferry.api.model_deployment import ModelDeployment
from inferry.local.objects import joined


def accepted(written: ModelDeployment, recorded: ModelDeployment | None, *, now: datetime, uid: str) -> ModelDeployment:
    """`written` with uid, creation time and generation; the generation grows only when the spec differs."""
    if recorded is None:
        identity = {"uid": uid, "generation": 1, "creation_timestamp": timestamp(now)}
        base = written.model_copy(update={"status": None})
    else:
        generation = recorded.metadata.generation + (written.spec != recorded.spec)
        identity = {"generation": generation}
        base = joined(written, recorded)
    return base.model_copy(update={"metadata": base.metadata.model_copy(update=identity)})


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, with microseconds so that age orders objects applied together."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def holders(deployments: Sequence[ModelDeployment]) -> Mapping[str, str]:
    """Served name -> the deployment that has it: the oldest that asks for it."""
    holding: dict[str, str] = {}
    for deployment in sorted(deployments, key=_age):
        for name in deployment.served_names:
            holding.setdefault(name, deployment.metadata.name)
    return holding


def _age(deployment: ModelDeployment) -> tuple[str, str]:
    return deployment.metadata.creation_timestamp, deployment.metadata.name
