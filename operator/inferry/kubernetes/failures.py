"""Why a replica does not answer, in the words of `inferry.api.reasons`. Pure: a pod's container states -> Failure."""

from typing import Final

import msgspec

from inferry.api.reasons import Reason
from inferry.kubernetes.views import PodView, ReplicaSetView, unix_seconds
from inferry.kubernetes.wire import ContainerStatus, Terminated
from inferry.plan.types import Failure
from inferry_runtime import report

FIRST_BACKOFF_SECONDS: Final = 10.0
LAST_BACKOFF_SECONDS: Final = 300.0
"""kubelet's delays before a container that ended is started again; they double in between."""

_IMAGE: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
_CONFIGURATION: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_KILLED: Final = 137
"""128 + SIGKILL."""


def of_pod(pod: PodView) -> Failure | None:
    """None while nothing is wrong with it."""
    if pod.unscheduled:
        return _failure(Reason.UNSCHEDULABLE, pod.unscheduled)
    container = pod.container
    if container is None:
        return None
    waiting = container.state.waiting
    if waiting is not None and waiting.reason in _IMAGE:
        return _failure(Reason.IMAGE_PULL_FAILED, waiting.message or waiting.reason)
    if waiting is not None and waiting.reason in _CONFIGURATION:
        return _failure(Reason.CONTAINER_NOT_STARTED, waiting.message or waiting.reason)
    ended = container.state.terminated or container.last_state.terminated
    return _of_end(ended, container) if ended is not None else None


def of_set(revision: ReplicaSetView) -> Failure | None:
    """Why pods of it cannot even be made."""
    if not revision.failure:
        return None
    quota = "exceeded quota" in revision.failure
    return _failure(Reason.QUOTA_EXCEEDED if quota else Reason.POD_REJECTED, revision.failure)


def _of_end(ended: Terminated, container: ContainerStatus) -> Failure | None:
    told = _told(ended)
    if told is None and ended.exit_code == 0:
        return None
    named = _named(ended) if told is None else told
    waits = container.state.running is None and container.state.terminated is None
    restarts = container.restart_count
    return Failure(
        reason=named.reason,
        message=named.message,
        hint=named.hint,
        restarts=restarts,
        retry_at=_retry_at(ended, restarts) if waits else None,
        log_tail=named.log_tail,
    )


def _told(ended: Terminated) -> report.ServeFailure | None:
    """What `serve` said itself; None when it could not, or had nothing to complain of."""
    try:
        return report.decode(ended.message.encode()).failure
    except msgspec.DecodeError:
        return None


def _named(ended: Terminated) -> report.ServeFailure:
    if ended.reason == "OOMKilled":
        message = "The replica used more memory than its limit, and the kernel killed it."
        return report.ServeFailure(reason=Reason.HOST_OUT_OF_MEMORY, message=message)
    lines = tuple(ended.message.strip().splitlines())[-20:]
    how = "was killed" if ended.exit_code == _KILLED else f"ended with status {ended.exit_code}"
    says = f": {lines[-1]}" if lines else ""
    return report.ServeFailure(reason=Reason.ENGINE_CRASHED, message=f"The replica {how}{says}.", log_tail=lines)


def _retry_at(ended: Terminated, restarts: int) -> float | None:
    finished = unix_seconds(ended.finished_at)
    if not finished:
        return None
    return finished + min(LAST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(max(0, restarts - 1), 10))


def _failure(reason: Reason, message: str) -> Failure:
    return Failure(reason=reason.value, message=message, hint="", restarts=0, retry_at=None)
