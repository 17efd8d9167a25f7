"""Conditions as values: what is found, how it replaces what was there, and how it adds up to Ready."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from inferry.api.reasons import Reason, meaning_of
from inferry.api.status import Condition, ConditionType

Truth = Literal["True", "False", "Unknown"]

_NEEDED: Final = (ConditionType.ACCEPTED, ConditionType.MODEL_READY, ConditionType.ENGINE_SELECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A condition before it has a time and a generation."""

    type: ConditionType
    status: Truth
    reason: str
    message: str


def rfc3339(unix_seconds: float) -> str:
    """UTC, whole seconds, as Kubernetes writes times."""
    return datetime.fromtimestamp(int(unix_seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merge(
    previous: Sequence[Condition], findings: Iterable[Finding], generation: int, now: float
) -> tuple[Condition, ...]:
    """The findings as conditions, in the order of `ConditionType`. A time moves only where `status` flips; a
    previous condition of a type without a finding is dropped."""
    before = {condition.type: condition for condition in previous}
    order = {type_: position for position, type_ in enumerate(ConditionType)}
    return tuple(
        _condition(finding, before.get(finding.type), generation, now)
        for finding in sorted(findings, key=lambda finding: order[finding.type])
    )


def _condition(finding: Finding, before: Condition | None, generation: int, now: float) -> Condition:
    same = before is not None and before.status == finding.status
    return Condition(
        type=finding.type,
        status=finding.status,
        reason=finding.reason,
        message=finding.message,
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before is not None and same else rfc3339(now),
    )


def roll_up(findings: Sequence[Finding]) -> Finding:
    """Ready: would a request be answered, by what the spec asks for?

    The first of Accepted, ModelReady and EngineSelected that is not True is copied, unless time may heal it and a
    replica answers meanwhile. Then Available decides; nothing running because nothing is wanted is Ready.
    """
    found = {finding.type: finding for finding in findings}
    available = found[ConditionType.AVAILABLE]
    if available.reason == Reason.SUSPENDED:
        return _ready("False", available)
    for type_ in _NEEDED:
        if type_ in found and _blocks(found[type_], available):
            return _ready(found[type_].status, found[type_])
    if available.status == "True":
        message = f"{available.message}{_obstacle(found.get(ConditionType.PROGRESSING))}"
        return Finding(type=ConditionType.READY, status="True", reason=Reason.READY.value, message=message)
    return _ready("True" if available.reason == Reason.SCALED_TO_ZERO else "False", available)


def _blocks(finding: Finding, available: Finding) -> bool:
    if finding.status == "True":
        return False
    return not (available.status == "True" and meaning_of(finding.reason).heals)


def _obstacle(progressing: Finding | None) -> str:
    """What keeps the rest from coming up, for those who look at Ready alone."""
    if progressing is None or progressing.status != "False" or progressing.reason == Reason.COMPLETE:
        return ""
    return f" {progressing.message}"


def _ready(status: Truth, cause: Finding) -> Finding:
    return Finding(type=ConditionType.READY, status=status, reason=cause.reason, message=cause.message)


def condition(conditions: Iterable[Condition], type_: ConditionType) -> Condition | None:
    """The one of this type, if it is there."""
    return next((condition for condition in conditions if condition.type == type_), None)
