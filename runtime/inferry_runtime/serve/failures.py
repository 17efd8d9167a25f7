"""Why a replica ended, in words the rooms above know. Pure: log lines and exit status in, one ServeFailure out."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from inferry_runtime.engines.base import Signature
from inferry_runtime.model.errors import ModelError
from inferry_runtime.report import ServeFailure

EXIT_RETRYABLE = 10
"""`serve` ended with a failure that time or another place may heal."""
EXIT_FINAL = 11
"""`serve` ended with a failure that stays until somebody changes the deployment."""

REPORT_LINES = 20
REPORT_CHARACTERS = 500

FINAL_REASONS = frozenset(
    {
        "ChecksumOrPartialDownload",
        "DriverTooOld",
        "GpuArchUnsupported",
        "InvalidArguments",
        "InvalidOrder",
        "KVCacheDoesNotFit",
        "ModelNotFound",
        "ProjectorMissing",
        "QuantizerPackageMissing",
        "UnknownArchitecture",
        "UnknownEngineArgument",
        "WeightsDoNotFit",
    }
)
"""Starting the same order again on the same machine ends the same way."""


class ServeError(Exception):
    """The replica has to end; `failure` says why."""

    def __init__(self, failure: ServeFailure) -> None:
        super().__init__(f"{failure.reason}: {failure.message}")
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEnd:
    """How an engine process ended, and what was seen around it."""

    status: int
    """Exit status, or the negative number of the signal that ended it."""
    lines: Sequence[str]
    """The last lines of its log."""
    was_ready: bool
    out_of_memory_kills: int = 0
    """Processes the kernel has killed for memory on this machine while the engine ran."""


def failure(reason: str, message: str, *, hint: str = "", lines: Sequence[str] = ()) -> ServeFailure:
    return ServeFailure(
        reason=reason,
        message=message,
        hint=hint,
        retryable=reason not in FINAL_REASONS,
        log_tail=tuple(line[:REPORT_CHARACTERS] for line in lines[-REPORT_LINES:]),
    )


def of_model(error: ModelError) -> ServeFailure:
    return ServeFailure(reason=error.reason, message=error.message, hint=error.hint, retryable=error.retryable)


def of_engine(end: EngineEnd, signatures: Sequence[Signature]) -> ServeFailure:
    """A known line in the log names the cause best; then the signal; then the last line that complains."""
    named = None if end.was_ready and end.status == -signal.SIGKILL else _by_signature(end, signatures)
    return named or _by_signal(end) or _by_status(end)


def of_port(host: str, port: int, error: OSError) -> ServeFailure:
    return failure(
        "PortUnavailable",
        f"port {port} on {host or 'all addresses'} cannot be used: {error.strerror or error}",
        hint="Another process listens there; stop it or choose another port.",
    )


def _by_signature(end: EngineEnd, signatures: Sequence[Signature]) -> ServeFailure | None:
    for signature in signatures:
        for line in end.lines:
            if signature.pattern.search(line):
                return failure(signature.reason, line.strip(), hint=signature.hint, lines=end.lines)
    return None


def _by_signal(end: EngineEnd) -> ServeFailure | None:
    if end.status == -signal.SIGKILL and end.out_of_memory_kills > 0:
        return failure(
            "HostOutOfMemory",
            "the kernel killed the engine because memory ran out",
            hint="Give it more memory, or lower spec.engine.contextLength.",
            lines=end.lines,
        )
    if end.status < 0:
        name = signal.Signals(-end.status).name
        return failure(
            "EngineCrashed", f"the engine was ended by {name}", hint=_SIGNAL_HINTS.get(name, ""), lines=end.lines
        )
    return None


_SIGNAL_HINTS = {
    "SIGILL": "This build of the engine uses instructions that the processor does not have; choose another version.",
    "SIGBUS": "Memory behind a file vanished: check the disk, and the size of /dev/shm.",
    "SIGKILL": "Somebody killed it, or a memory limit did; look at the limits and at the kernel's log.",
}


def _by_status(end: EngineEnd) -> ServeFailure:
    when = "after it was ready" if end.was_ready else "before it was ready"
    complaint = _complaint(end.lines)
    says = f": {complaint}" if complaint else ""
    return failure("EngineCrashed", f"the engine ended with status {end.status} {when}{says}", lines=end.lines)


def _complaint(lines: Sequence[str]) -> str:
    for line in reversed(lines):
        if any(word in line for word in (" E ", "rror", "FATAL", "fatal", "Traceback", "assert")):
            return line.strip()[:REPORT_CHARACTERS]
    return lines[-1].strip()[:REPORT_CHARACTERS] if lines else ""
