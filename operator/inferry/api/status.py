"""`status` of a ModelDeployment: what was decided, what is, and why not. Only what is implemented."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class StatusRecord(BaseModel):
    """Lenient when read back: a newer version may have written more."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class ConditionType(StrEnum):
    ACCEPTED = "Accepted"
    MODEL_READY = "ModelReady"
    ENGINE_SELECTED = "EngineSelected"
    SCHEDULED = "Scheduled"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    READY = "Ready"


class Condition(StatusRecord):
    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    observed_generation: int = 0
    last_transition_time: str
    """RFC 3339; moves only when `status` flips."""


class ResolvedEngine(StatusRecord):
    """`request` fingerprints the part of the spec this was decided for: while it is the same, the engine stays."""

    name: str
    version: str
    variant: str = ""
    image: str = ""
    args: dict[str, str | int | float | bool] = Field(default_factory=dict)
    extra_args: tuple[str, ...] = ()
    request: str = ""


class ResolvedModel(StatusRecord):
    """`request` fingerprints `spec.model` as it was when `revision` was pinned: while it is the same, the pin holds."""

    revision: str
    format: str
    architecture: str
    quantization: str = ""
    parameters: str = ""
    context_length: int | None = None
    tasks: tuple[str, ...] = ()
    license: str = ""
    bytes: int = 0
    source: str = ""
    request: str = ""


class MemoryEstimate(StatusRecord):
    weights: str
    kv_cache: str
    compute: str
    overhead: str
    total: str


class ResolvedResources(StatusRecord):
    accelerator: str = ""
    count: int = 0
    estimate: MemoryEstimate


class Resolved(StatusRecord):
    engine: ResolvedEngine
    model: ResolvedModel
    resources: ResolvedResources
    revision: str
    """Hash of the serve order that new replicas start from."""


class EngineVerdict(StatusRecord):
    engine: str
    chosen: bool
    reason: str
    message: str
    would_fit: str = ""


class ProgressStatus(StatusRecord):
    """The slowest replica's long-running work."""

    message: str
    percent: int | None = None
    eta_seconds: int | None = None


class DeploymentStatus(StatusRecord):
    observed_generation: int = 0
    phase: str = ""
    """A word for people, the reason of `Ready`; nothing branches on it."""
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    selector: str = ""
    resolved: Resolved | None = None
    decision: tuple[EngineVerdict, ...] = ()
    progress: ProgressStatus | None = None
    conditions: tuple[Condition, ...] = ()
