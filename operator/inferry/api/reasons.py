"""Every reason a condition can carry. What each means and what to do about it stands in `reasons.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

import msgspec

from inferry.api.status import ConditionType


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    about: ConditionType
    """The condition that tells it first; others may repeat it."""
    sentence: str
    next_action: str
    """What a person can do; "" when nothing has to be done."""
    heals: bool
    """Time may heal it: it does not count against Ready while another replica answers."""


class Reason(StrEnum):
    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    UNKNOWN_MODEL = "UnknownModel"
    UNKNOWN_ENGINE = "UnknownEngine"
    UNKNOWN_ENGINE_VERSION = "UnknownEngineVersion"
    UNKNOWN_ENGINE_ARGUMENT = "UnknownEngineArgument"
    INVALID_ARGUMENTS = "InvalidArguments"
    NAME_CONFLICT = "NameConflict"
    INSPECTED = "Inspected"
    MODEL_VERIFIED = "ModelVerified"
    DIGESTS_DIFFER = "DigestsDiffer"
    NOT_VERIFIED = "NotVerified"
    INSPECTING = "Inspecting"
    DOWNLOADING = "Downloading"
    MODEL_ERROR = "ModelError"
    INVALID_SOURCE = "InvalidSource"
    MODEL_NOT_FOUND = "ModelNotFound"
    REVISION_NOT_FOUND = "RevisionNotFound"
    GATED_OR_UNAUTHORIZED = "GatedOrUnauthorized"
    HUB_UNREACHABLE = "HubUnreachable"
    MALFORMED_FILE = "MalformedFile"
    CHECKSUM_OR_PARTIAL_DOWNLOAD = "ChecksumOrPartialDownload"
    DIGEST_MISMATCH = "DigestMismatch"
    UNSAFE_FORMAT = "UnsafeFormat"
    DISK_FULL = "DiskFull"
    ENGINE_SELECTED = "EngineSelected"
    DECIDING = "Deciding"
    NO_COMPATIBLE_ENGINE = "NoCompatibleEngine"
    NO_MATCHING_NODES = "NoMatchingNodes"
    FORMAT_NOT_SUPPORTED = "FormatNotSupported"
    QUANTIZATION_NOT_SUPPORTED = "QuantizationNotSupported"
    PLATFORM_NOT_SUPPORTED = "PlatformNotSupported"
    ACCELERATOR_MISSING = "AcceleratorMissing"
    ARCHITECTURE_NOT_SUPPORTED = "ArchitectureNotSupported"
    ENGINE_VERSION_TOO_OLD = "EngineVersionTooOld"
    TASK_NOT_SUPPORTED = "TaskNotSupported"
    INSUFFICIENT_MEMORY = "InsufficientMemory"
    ENGINE_NOT_INSTALLED = "EngineNotInstalled"
    NOT_REQUESTED = "NotRequested"
    SCHEDULED = "Scheduled"
    PREPARING = "Preparing"
    UNSCHEDULABLE = "Unschedulable"
    ENVIRONMENT_FAILED = "EnvironmentFailed"
    PORT_UNAVAILABLE = "PortUnavailable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONTAINER_NOT_STARTED = "ContainerNotStarted"
    QUOTA_EXCEEDED = "QuotaExceeded"
    POD_REJECTED = "PodRejected"
    AVAILABLE = "Available"
    LOADING = "Loading"
    ANNOUNCING = "Announcing"
    BACKING_OFF = "BackingOff"
    NO_REPLICAS = "NoReplicas"
    ENGINE_CRASHED = "EngineCrashed"
    ENGINE_NOT_HEALTHY = "EngineNotHealthy"
    PROBE_FAILED = "ProbeFailed"
    INVALID_ORDER = "InvalidOrder"
    UNKNOWN_ARCHITECTURE = "UnknownArchitecture"
    WEIGHTS_DO_NOT_FIT = "WeightsDoNotFit"
    KV_CACHE_DOES_NOT_FIT = "KVCacheDoesNotFit"
    GPU_MEMORY_BUSY = "GpuMemoryBusy"
    HOST_OUT_OF_MEMORY = "HostOutOfMemory"
    SHARED_MEMORY_TOO_SMALL = "SharedMemoryTooSmall"
    DRIVER_TOO_OLD = "DriverTooOld"
    GPU_ARCH_UNSUPPORTED = "GpuArchUnsupported"
    QUANTIZER_PACKAGE_MISSING = "QuantizerPackageMissing"
    NCCL_INIT_FAILED = "NcclInitFailed"
    PROJECTOR_MISSING = "ProjectorMissing"
    COMPLETE = "Complete"
    ROLLING_OUT = "RollingOut"
    SCALING = "Scaling"
    STARTING = "Starting"
    WAITING = "Waiting"
    DRAINING = "Draining"
    APPLY_FAILED = "ApplyFailed"
    READY = "Ready"
    SCALED_TO_ZERO = "ScaledToZero"
    SUSPENDED = "Suspended"
    DELETING = "Deleting"

    @property
    def meaning(self) -> Meaning:
        return _meanings()[self.value]


OTHER = Meaning(
    about=ConditionType.AVAILABLE,
    sentence="Something went wrong that has no name yet.",
    next_action="Read the message and `inferry logs`.",
    heals=True,
)


def meaning_of(reason: str) -> Meaning:
    """Also for reasons that came from elsewhere and are not in the enum: they get `OTHER`."""
    return _meanings().get(reason, OTHER)


def next_action(reason: str) -> str:
    """What a person can do about it; "" when nothing has to be done."""
    return meaning_of(reason).next_action


@cache
def _meanings() -> Mapping[str, Meaning]:
    document = files("inferry.api").joinpath("reasons.json").read_bytes()
    return msgspec.json.decode(document, type=dict[str, Meaning])
