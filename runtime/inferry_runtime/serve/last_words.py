"""The last report of a replica: to the termination log, and as an exit status."""

from dataclasses import replace
from pathlib import Path

from inferry_runtime import report
from inferry_runtime.report import ServeReport
from inferry_runtime.serve.failures import EXIT_FINAL, EXIT_RETRYABLE

TERMINATION_LOG_BYTES = 4096
"""Kubernetes cuts termination messages here."""
SHORTENED_CHARACTERS = 1000


def exit_status(last: ServeReport) -> int:
    if last.failure is None:
        return 0
    return EXIT_RETRYABLE if last.failure.retryable else EXIT_FINAL


def write(last: ServeReport, path: Path) -> None:
    """In place: in a pod the file is a mount and cannot be replaced. Raises OSError."""
    path.write_bytes(report.encode(shortened(last)))


def shortened(last: ServeReport) -> ServeReport:
    """Without the oldest log lines, and at the worst with a cut message, so that it is JSON to the end."""
    while last.failure and last.failure.log_tail and len(report.encode(last)) > TERMINATION_LOG_BYTES:
        last = replace(last, failure=replace(last.failure, log_tail=last.failure.log_tail[1:]))
    if last.failure and len(report.encode(last)) > TERMINATION_LOG_BYTES:
        message = last.failure.message[:SHORTENED_CHARACTERS]
        last = replace(last, message="", failure=replace(last.failure, message=message))
    return last
