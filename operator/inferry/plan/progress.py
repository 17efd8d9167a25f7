"""What the slowest replica is doing, for people: a sentence, a percentage, seconds left."""

from collections.abc import Iterable
from typing import Final

from inferry.api.quantity import format_bytes
from inferry.api.status import ProgressStatus
from inferry.plan.types import Phase, Progress, Replica

_ORDER: Final = (Phase.BACKING_OFF, Phase.PENDING, Phase.DOWNLOADING, Phase.LOADING, Phase.ANSWERED)
_MINUTE_SECONDS: Final = 60


def slowest(replicas: Iterable[Replica]) -> Replica | None:
    """The unready replica that is farthest from answering and says what it does; None when none says so."""
    telling = [replica for replica in replicas if replica.progress is not None and not replica.ready]
    return min(telling, key=_how_far, default=None)


def _how_far(replica: Replica) -> tuple[int, float, str]:
    stage = _ORDER.index(replica.phase) if replica.phase in _ORDER else len(_ORDER)
    return stage, _fraction(replica.progress) or 0.0, replica.name


def progress_status(replica: Replica | None) -> ProgressStatus | None:
    """As it stands in status; the message holds the numbers, so that it can be shown alone."""
    if replica is None or replica.progress is None:
        return None
    progress = replica.progress
    fraction = _fraction(progress)
    return ProgressStatus(
        message=_sentence(replica.phase, progress, fraction),
        percent=None if fraction is None else int(100 * fraction),
        eta_seconds=None if progress.eta_seconds is None else round(progress.eta_seconds),
    )


def _fraction(progress: Progress | None) -> float | None:
    if progress is None or progress.total <= 0:
        return None
    return min(1.0, max(0.0, progress.done / progress.total))


def _sentence(phase: Phase, progress: Progress, fraction: float | None) -> str:
    details = []
    if phase is Phase.DOWNLOADING and progress.total > 0:
        details.append(f"{format_bytes(progress.done)} of {format_bytes(progress.total)}")
        if progress.per_second > 0:
            details.append(f"{format_bytes(progress.per_second)}/s")
    if progress.eta_seconds is not None:
        details.append(f"{_duration(progress.eta_seconds)} left")
    percent = "" if fraction is None else f" {int(100 * fraction)} %"
    return f"{progress.message.rstrip('.')}{percent}" + (f" ({', '.join(details)})" if details else "")


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < _MINUTE_SECONDS:
        return f"{whole} s"
    if whole < 60 * _MINUTE_SECONDS:
        return f"{round(whole / _MINUTE_SECONDS)} min"
    hours, rest = divmod(whole, 60 * _MINUTE_SECONDS)
    return f"{hours} h {rest // _MINUTE_SECONDS} min"
