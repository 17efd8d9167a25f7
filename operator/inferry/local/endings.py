"""Why a replica's process ended: its own last report when it left one, else what the system and its log say."""

import re
from pathlib import Path

import msgspec

from inferry.api.reasons import Reason, next_action
from inferry.local.processes import Exit
from inferry_runtime.report import ServeFailure, decode

TAIL_LINES = 20
TAIL_LINE_CHARACTERS = 500
# Enough for the last lines of any log without reading a large one.
_TAIL_BYTES = 32 * 1024
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def failure_of(termination: Path, log: Path, ending: Exit) -> ServeFailure:
    """The failure the process reported, or `EngineCrashed` with how it ended and the last lines of its log."""
    try:
        reported = decode(termination.read_bytes()).failure
    except (OSError, msgspec.DecodeError):
        reported = None
    if reported is not None:
        return reported
    return ServeFailure(
        reason=Reason.ENGINE_CRASHED,
        message=f"The replica's process {ending} without saying why.",
        hint=next_action(Reason.ENGINE_CRASHED),
        log_tail=tail(log),
    )


def tail(log: Path) -> tuple[str, ...]:
    """The last lines, without colours and control characters; empty when there is no log."""
    try:
        with log.open("rb") as file:
            size_bytes = file.seek(0, 2)
            file.seek(max(0, size_bytes - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    shown = (_CONTROL.sub("", line).rstrip()[:TAIL_LINE_CHARACTERS] for line in lines)
    return tuple(line for line in shown if line)[-TAIL_LINES:]
