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
    type: ConditionType = Field(description="What it is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(description="Why, in one word that does not change between releases.")
    message: str = Field(description="Why, and what to do about it, in sentences.")
    observed_generation: int = Field(default=0, description="Generation of the spec it was found for.")
    last_transition_time: str = Field(description="RFC 3339; moves only when `status` flips.")


class ResolvedEngine(StatusRecord):
    name: str = Field(description="Which engine serves it.")
    version: str = Field(description="Version of the engine; stays until the spec changes.")
    variant: str = Field(default="", description="Which build of the engine: cpu or cuda.")
    image: str = Field(default="", description="Container image of the engine.")
    args: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="All arguments the engine is started with, decided and given."
    )
    extra_args: tuple[str, ...] = Field(default=(), description="Raw arguments appended unchecked.")
    request: str = Field(
        default="",
        description="Fingerprint of the part of the spec this was decided for; while it is the same, the engine stays.",
    )


class ResolvedModel(StatusRecord):
    revision: str = Field(description="Commit, or digest of the files, that is served.")
    format: str = Field(description="How the weights are stored.")
    architecture: str = Field(description="As the model's own files name it.")
    quantization: str = Field(default="", description="As the model's own files name it; empty for none.")
    parameters: str = Field(default="", description="How many, such as 494M.")
    context_length: int | None = Field(default=None, description="Longest context it was trained for, in tokens.")
    tasks: tuple[str, ...] = Field(default=(), description="What it can be asked to do.")
    license: str = Field(default="", description="As the source tells it.")
    bytes: int = Field(default=0, description="Size of all files that are fetched.")
    source: str = Field(default="", description="URI it is fetched from, without a revision.")
    request: str = Field(
        default="",
        description="Fingerprint of `spec.model` when the revision was pinned; while it is the same, the pin holds.",
    )


class MemoryEstimate(StatusRecord):
    weights: str = Field(description="The weights.")
    kv_cache: str = Field(description="The cache of keys and values at the full context.")
    compute: str = Field(description="Activations and scratch buffers.")
    overhead: str = Field(description="The engine itself.")
    total: str = Field(description="All of it, per replica.")


class ResolvedResources(StatusRecord):
    accelerator: str = Field(default="", description="Product each replica runs on; empty for CPU.")
    count: int = Field(default=0, description="Devices per replica.")
    estimate: MemoryEstimate = Field(description="Memory one replica needs.")


class Resolved(StatusRecord):
    engine: ResolvedEngine = Field(description="The engine and how it is started.")
    model: ResolvedModel = Field(description="The model as its own files describe it.")
    resources: ResolvedResources = Field(description="What one replica runs on and needs.")
    revision: str = Field(description="Changes exactly when replicas have to be replaced.")


class EngineVerdict(StatusRecord):
    engine: str = Field(description="Which engine.")
    chosen: bool = Field(description="Whether it serves the model.")
    reason: str = Field(description="Accepted, or why not, in one word.")
    message: str = Field(description="Why, with the numbers.")
    would_fit: str = Field(default="", description="What would have to change for it to fit.")


class ProgressStatus(StatusRecord):
    """The slowest replica's long-running work."""

    message: str = Field(description="What it does and how far it is.")
    percent: int | None = Field(default=None, description="0 to 100, where the end is known.")
    eta_seconds: int | None = Field(default=None, description="Seconds left, where they can be told.")


class DeploymentStatus(StatusRecord):
    observed_generation: int = Field(default=0, description="Generation of the spec this status is about.")
    phase: str = Field(default="", description="A word for people, the reason of `Ready`; nothing branches on it.")
    replicas: int = Field(default=0, description="Replicas that run or start; draining ones are not counted.")
    ready_replicas: int = Field(default=0, description="Replicas that have answered a question.")
    updated_replicas: int = Field(default=0, description="Replicas of the newest revision.")
    selector: str = Field(default="", description="Label selector of the replicas, for the scale subresource.")
    resolved: Resolved | None = Field(default=None, description="Everything that was decided.")
    decision: tuple[EngineVerdict, ...] = Field(default=(), description="What every engine said, best first.")
    progress: ProgressStatus | None = Field(default=None, description="The slowest replica's long-running work.")
    conditions: tuple[Condition, ...] = Field(default=(), description="What holds, what does not, and why.")
