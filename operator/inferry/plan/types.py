"""What a world shows of a deployment, and what it is asked to make of it. No pods, no processes."""

from dataclasses import dataclass
from enum import StrEnum

from inferry.api.model_deployment import ModelDeployment
from inferry.api.status import DeploymentStatus
from inferry.decide.decision import Decision, NoDecision
from inferry_runtime.model.inspection import Inspection
from inferry_runtime.order import ServeOrder


class Phase(StrEnum):
    """Where a replica is in its life. Only `ready` says whether it may be sent requests."""

    PENDING = "Pending"
    """Nothing runs yet: waiting for a node, a port, an engine environment or an image."""
    DOWNLOADING = "Downloading"
    LOADING = "Loading"
    ANSWERED = "Answered"
    """It has answered a question, and no gateway has confirmed yet that it picks it: one may do so any moment."""
    READY = "Ready"
    BACKING_OFF = "BackingOff"
    """It failed and is started again later."""
    STOPPING = "Stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Something long that is under way. `total` is 0 when unknown; the unit is bytes or steps."""

    message: str
    done: int = 0
    total: int = 0
    per_second: float = 0.0
    """Of the same unit; 0 when unknown."""
    eta_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a replica last stopped, classified."""

    reason: str
    message: str
    hint: str
    restarts: int
    retry_at: float | None
    """Unix seconds of the next start; None when it will not be tried again."""
    log_tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    name: str
    revision: str
    phase: Phase
    ready: bool
    created_at: float
    """Unix seconds."""
    host: str = ""
    port: int = 0
    draining_since: float | None = None
    """Unix seconds; None while it may be picked."""
    in_flight: int | None = None
    """Requests running on it according to the gateways; None when they have not said."""
    progress: Progress | None = None
    note: str = ""
    """What it says of the model although it serves it; "" when there is nothing to be said."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All replicas of one deployment, every revision, sorted by name."""

    replicas: tuple[Replica, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionTarget:
    """`replicas` of them shall exist, draining ones not counted."""

    revision: str
    order: ServeOrder
    decision: Decision
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything the world has to bring about now. Sorted; planning twice gives the same plan."""

    revisions: tuple[RevisionTarget, ...]
    """Newest first. A revision that is observed but not listed keeps its replicas until they are drained or removed."""
    drain: tuple[str, ...]
    """Replicas to take out of rotation."""
    remove: tuple[str, ...]
    """Replicas to stop for good."""
    status: DeploymentStatus
    again_after: float | None = None
    """Seconds until the plan may change without anything else happening."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProblem:
    """Why the model could not be inspected."""

    reason: str
    message: str
    hint: str
    retry_at: float | None
    """Unix seconds of the next attempt; None when it waits for the spec to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInput:
    """Everything a plan depends on. The status last reported comes with the deployment."""

    deployment: ModelDeployment | None
    """None: it was deleted."""
    problems: tuple[tuple[str, str], ...] = ()
    """What is wrong with the spec itself: reason and sentence. Nothing moves while there is one, except that everything
    may be stopped."""
    model: Inspection | ModelProblem | None = None
    """None: its headers are being read."""
    decision: Decision | NoDecision | None = None
    """None: the model is not known yet."""
    observed: Observed
    now: float
    """Unix seconds."""
