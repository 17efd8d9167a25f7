"""What stays as it was decided, although the world moves on.

A branch moves and a catalog gets a new default version; neither may roll replicas that nobody touched. The commit and
the engine in `status.resolved` hold as long as the part of the spec they were resolved from is the same. Each carries a
fingerprint of that part, so that scaling or a restart of inferry moves nothing.
"""

import hashlib
from typing import Final

from pydantic import BaseModel

from inferry.api.model_deployment import DeploymentSpec, ModelDeployment

_WITH_COMMITS: Final = ("hf://", "modelscope://")
"""Other sources name their content by a digest of what is there now: asking for an older one finds nothing."""


def model_request(spec: DeploymentSpec) -> str:
    """Fingerprint of what decides which bytes are served."""
    return _fingerprint(spec.model)


def engine_request(spec: DeploymentSpec) -> str:
    """Fingerprint of what decides which engine serves them."""
    return _fingerprint(spec.model, spec.engine, spec.resources)


def with_pinned_revision(deployment: ModelDeployment) -> ModelDeployment:
    """The deployment as it is to be inspected: at the commit in its status, if that still holds."""
    pinned = deployment.status.resolved.model if deployment.status and deployment.status.resolved else None
    if pinned is None or pinned.request != model_request(deployment.spec):
        return deployment
    if not pinned.source.startswith(_WITH_COMMITS):
        return deployment
    model = deployment.spec.model.model_copy(update={"revision": pinned.revision})
    return deployment.model_copy(update={"spec": deployment.spec.model_copy(update={"model": model})})


def pinned_engine(deployment: ModelDeployment) -> tuple[str, str] | None:
    """Name and version of the engine that stays, if one does."""
    pinned = deployment.status.resolved.engine if deployment.status and deployment.status.resolved else None
    if pinned is None or pinned.request != engine_request(deployment.spec):
        return None
    return pinned.name, pinned.version


def with_engine(spec: DeploymentSpec, name: str, version: str) -> DeploymentSpec:
    """The spec as if it had asked for this engine."""
    engine = spec.engine.model_copy(update={"name": name, "version": version})
    return spec.model_copy(update={"engine": engine})


def _fingerprint(*parts: BaseModel) -> str:
    """Defaults are left out: a release that adds a field must not move anything."""
    text = "\n".join(part.model_dump_json(by_alias=True, exclude_defaults=True) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
