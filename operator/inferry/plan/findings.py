"""Conditions of one deployment, each with what is wrong and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from inferry.api.conditions import Finding, Truth, rfc3339, roll_up
from inferry.api.reasons import Reason, meaning_of, next_action
from inferry.api.status import ConditionType, ProgressStatus
from inferry.decide.decision import Decision, NoDecision
from inferry.plan.progress import progress_status, slowest
from inferry.plan.rollout import stands
from inferry.plan.types import Failure, ModelProblem, Phase, PlanInput, Replica
from inferry_runtime.order import IntegrityPolicy

_BUSY: Final = {
    Phase.PENDING: Reason.PREPARING,
    Phase.DOWNLOADING: Reason.DOWNLOADING,
    Phase.LOADING: Reason.LOADING,
    Phase.ANSWERED: Reason.ANNOUNCING,
    Phase.READY: Reason.ENGINE_NOT_HEALTHY,
    Phase.BACKING_OFF: Reason.BACKING_OFF,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is there, sorted out once for all conditions."""

    given: PlanInput
    suspended: bool
    desired: int
    target: str | None
    """Revision that shall run; None while it is not known."""
    new: tuple[Replica, ...]
    """Standing replicas of the target revision, or of any while there is no target."""
    old: tuple[Replica, ...]
    leaving: int
    """Replicas that drain or stop."""

    @property
    def progress(self) -> ProgressStatus | None:
        """Of the slowest replica of the target revision."""
        return progress_status(slowest(self.new))

    @property
    def ready(self) -> int:
        return sum(replica.ready for replica in (*self.new, *self.old))

    @property
    def failure(self) -> Failure | None:
        """The worst of the unready replicas of the target revision."""
        failed = [replica for replica in self.new if replica.failure is not None and not replica.ready]
        worst = min(failed, key=lambda replica: (-_restarts(replica), replica.name), default=None)
        return None if worst is None else worst.failure


def situation(given: PlanInput, target: str | None, desired: int) -> Situation:
    """`desired` is 0 for a suspended deployment."""
    standing = [replica for replica in given.observed.replicas if stands(replica)]
    new = tuple(replica for replica in standing if target in (None, replica.revision))
    return Situation(
        given=given,
        suspended=given.deployment is not None and given.deployment.spec.suspend,
        desired=desired,
        target=target,
        new=new,
        old=tuple(replica for replica in standing if replica not in new),
        leaving=len(given.observed.replicas) - len(standing),
    )


def findings(now: Situation) -> tuple[Finding, ...]:
    """All conditions, Ready last."""
    children = (
        _accepted(now),
        _model_ready(now),
        _engine_selected(now),
        _scheduled(now),
        _available(now),
        _progressing(now),
    )
    return (*children, roll_up(children))


def _accepted(now: Situation) -> Finding:
    if now.given.problems:
        sentences = " ".join(sentence for _, sentence in now.given.problems)
        return _finding(ConditionType.ACCEPTED, "False", now.given.problems[0][0], sentences)
    decision = now.given.decision
    if isinstance(decision, NoDecision) and meaning_of(decision.reason).about is ConditionType.ACCEPTED:
        return _finding(ConditionType.ACCEPTED, "False", decision.reason, decision.message)
    return _finding(ConditionType.ACCEPTED, "True", Reason.ACCEPTED)


def _model_ready(now: Situation) -> Finding:
    about = ConditionType.MODEL_READY
    model = now.given.model
    if now.given.problems:
        return _finding(about, "Unknown", Reason.WAITING, "The spec has to be corrected first.")
    if model is None:
        return _finding(about, "Unknown", Reason.INSPECTING)
    if isinstance(model, ModelProblem):
        return _finding(about, "False", model.reason, _retried(model.message, model.hint, model.reason, model.retry_at))
    return _bytes_ready(now)


def _bytes_ready(now: Situation) -> Finding:
    about = ConditionType.MODEL_READY
    failure = now.failure
    if failure is not None and meaning_of(failure.reason).about is about:
        return _finding(about, "False", failure.reason, _failed(failure))
    placed = [replica for replica in now.new if replica.phase is not Phase.PENDING]
    fetching = [replica for replica in placed if replica.phase is Phase.DOWNLOADING]
    if len(fetching) < len(placed):
        return _bytes_here(now)
    if fetching:
        return _finding(about, "False", Reason.DOWNLOADING, _doing(slowest(fetching), Reason.DOWNLOADING))
    return _finding(about, "True", Reason.INSPECTED)


def _bytes_here(now: Situation) -> Finding:
    about = ConditionType.MODEL_READY
    note = next((replica.note for replica in now.new if replica.note), "")
    if note:
        return _finding(about, "True", Reason.DIGESTS_DIFFER, _advised(note, Reason.DIGESTS_DIFFER))
    deployment = now.given.deployment
    unchecked = deployment is not None and deployment.spec.model.integrity.policy is IntegrityPolicy.OFF
    return _finding(about, "True", Reason.NOT_VERIFIED if unchecked else Reason.MODEL_VERIFIED)


def _engine_selected(now: Situation) -> Finding:
    about = ConditionType.ENGINE_SELECTED
    decision = now.given.decision
    if isinstance(decision, Decision):
        where = f" on {decision.placement.accelerator}" if decision.placement.accelerator else ""
        message = f"{decision.engine} {decision.version} ({decision.variant}){where}."
        return _finding(about, "True", Reason.ENGINE_SELECTED, message)
    if isinstance(decision, NoDecision) and meaning_of(decision.reason).about is not ConditionType.ACCEPTED:
        return _finding(about, "False", decision.reason, _advised(decision.message, decision.reason))
    return _finding(about, "Unknown", Reason.DECIDING)


def _scheduled(now: Situation) -> Finding:
    about = ConditionType.SCHEDULED
    if now.desired == 0:
        return _finding(about, "True", _at_rest(now))
    if now.target is None and not now.new:
        return _finding(about, "Unknown", Reason.WAITING, "It is not known yet what shall run.")
    pending = [replica for replica in now.new if replica.phase is Phase.PENDING]
    missing = now.desired - len(now.new) - len(now.old)
    if not pending and missing <= 0:
        return _finding(about, "True", Reason.SCHEDULED)
    failure = next((replica.failure for replica in pending if replica.failure is not None), None)
    if failure is not None:
        return _finding(about, "False", failure.reason, _failed(failure))
    return _finding(about, "False", Reason.PREPARING, _doing(slowest(pending), Reason.PREPARING))


def _available(now: Situation) -> Finding:
    about = ConditionType.AVAILABLE
    if now.desired == 0:
        return _finding(about, "False", _at_rest(now))
    if now.ready:
        return _finding(about, "True", Reason.AVAILABLE, _count(now))
    if now.failure is not None:
        return _finding(about, "False", now.failure.reason, _failed(now.failure))
    furthest = max(now.new, key=lambda replica: list(Phase).index(replica.phase), default=None)
    reason = Reason.NO_REPLICAS if furthest is None else _BUSY.get(furthest.phase, Reason.LOADING)
    return _finding(about, "False", reason, _doing(furthest, reason))


def _progressing(now: Situation) -> Finding:
    about = ConditionType.PROGRESSING
    if now.target is None and now.desired:
        return _finding(
            about, "False", Reason.WAITING, "Nothing moves until the spec, the model and the engine are settled."
        )
    if now.failure is not None:
        return _finding(about, "False", now.failure.reason, _failed(now.failure) + _kept(now))
    if now.old and now.desired:
        ready = sum(replica.ready for replica in now.new)
        return _finding(
            about, "True", Reason.ROLLING_OUT, f"{ready} of {now.desired} replicas are of the new revision."
        )
    ready = sum(replica.ready for replica in now.new)
    if ready < now.desired:
        reason = Reason.SCALING if ready else Reason.STARTING
        return _finding(about, "True", reason, _doing(slowest(now.new), reason))
    if now.leaving or len(now.new) > now.desired:
        return _finding(about, "True", Reason.DRAINING)
    return _finding(about, "False", Reason.COMPLETE)


def _kept(now: Situation) -> str:
    answering = sum(replica.ready for replica in now.old)
    if answering == 0:
        return ""
    who = "1 replica" if answering == 1 else f"{answering} replicas"
    return f" {who} of the revision before {'keeps' if answering == 1 else 'keep'} answering."


def _at_rest(now: Situation) -> Reason:
    return Reason.SUSPENDED if now.suspended else Reason.SCALED_TO_ZERO


def _count(now: Situation) -> str:
    return f"{now.ready} of {now.desired} replicas answer."


def _doing(replica: Replica | None, reason: Reason) -> str:
    progress = progress_status(replica)
    return progress.message if progress is not None else _meaning_text(reason)


def _failed(failure: Failure) -> str:
    text = _retried(failure.message, failure.hint, failure.reason, failure.retry_at)
    times = "once" if failure.restarts == 1 else f"{failure.restarts} times"
    return f"{text} Restarted {times}." if failure.restarts else text


def _retried(message: str, hint: str, reason: str, retry_at: float | None) -> str:
    when = "" if retry_at is None else f" Next try at {rfc3339(retry_at)}."
    return _advised(message, reason, hint) + when


def _advised(message: str, reason: str, hint: str = "") -> str:
    """The sentence and the next action, each ending in a full stop."""
    parts: Sequence[str] = (message, hint or next_action(reason))
    return " ".join(_sentence(part) for part in parts if part)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _finding(about: ConditionType, status: Truth, reason: str, message: str = "") -> Finding:
    return Finding(type=about, status=status, reason=str(reason), message=message or _meaning_text(reason))


def _meaning_text(reason: str) -> str:
    return _advised(meaning_of(reason).sentence, reason)


def _restarts(replica: Replica) -> int:
    return 0 if replica.failure is None else replica.failure.restarts
