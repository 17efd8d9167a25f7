"""One engine against every place: its verdict and, when it is accepted, where and how it would run.

Gates in order: format, quantization, hardware, architecture, task, arguments, memory, installed, policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inferry.api.model_deployment import DeploymentSpec
from inferry.api.quantity import format_bytes
from inferry.decide.fitting import Fit, Fitting, Limits, describe_estimate
from inferry.decide.places import Place
from inferry.decide.ranking import preference
from inferry_runtime.engines.base import Engine, EngineRelease, Rejection, Verdict
from inferry_runtime.engines.gates import Refusal, names, rejected, unserved_tasks
from inferry_runtime.engines.rules import rules_of
from inferry_runtime.engines.schema import check_arguments
from inferry_runtime.model.facts import Format, ModelFacts

_ANYWHERE = frozenset(
    {
        Rejection.FORMAT_NOT_SUPPORTED,
        Rejection.QUANTIZATION_NOT_SUPPORTED,
        Rejection.ARCHITECTURE_NOT_SUPPORTED,
        Rejection.ENGINE_VERSION_TOO_OLD,
        Rejection.TASK_NOT_SUPPORTED,
    }
)
"""Refusals that are about the model and the engine alone, so that they hold at every place."""

_GATE = {reason.value: position for position, reason in enumerate(Rejection)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be decided, the same for every engine."""

    facts: ModelFacts
    spec: DeploymentSpec
    limits: Limits
    places: Sequence[Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """An engine at the place that suits it best, or at the one where it came furthest."""

    engine: Engine
    release: EngineRelease
    verdict: Verdict
    place: Place
    rank: tuple[int, int]
    """Alternative, then preference among engines there; lower is better."""
    fit: Fit | None = None

    @property
    def takes_the_model(self) -> bool:
        """Nothing about model, hardware and memory speaks against it; it may still not be the one."""
        return self.fit is not None


def weigh(engine: Engine, release: EngineRelease, question: Question) -> Weighed:
    """The best outcome over all places. There is at least one place."""
    unsuitable = _unsafe(question) or _arguments(engine, release, question.spec)
    outcomes: list[Weighed] = []
    for place in question.places:
        if place.offload and not rules_of(engine.name).partial_offload:
            continue
        outcomes.append(_at(engine, release, question, place, unsuitable))
        if _settled(question, outcomes[-1]):
            break
    accepted = [outcome for outcome in outcomes if outcome.verdict.accepted]
    # Both keep the first among equals: the places come in the order of preference.
    if accepted:
        return min(accepted, key=_sacrifice)
    return _explained(question, max(outcomes, key=lambda outcome: _progress(question, outcome)))


def _settled(question: Question, outcome: Weighed) -> bool:
    """No other place can do better: the model itself is refused, or the preferred place gives all that is wanted."""
    if outcome.fit is None or not outcome.verdict.accepted:
        return outcome.verdict.reason in _ANYWHERE
    wanted = _fitting(question, outcome.engine, outcome.place)
    intent, first = outcome.fit.intent, question.places[0].alternative
    return (
        outcome.place.alternative == first
        and intent.context_length >= wanted.wanted_context
        and intent.parallel >= wanted.rules.default_parallel
    )


def not_requested(weighed: Weighed, why: str, would_fit: str) -> Weighed:
    """It could, and is left out all the same."""
    refusal = Refusal(reason=Rejection.NOT_REQUESTED, message=why, would_fit=would_fit)
    return replace(weighed, verdict=rejected(weighed.engine.name, refusal))


def _sacrifice(outcome: Weighed) -> tuple[int, int, int]:
    """What a place costs the user: a worse alternative, then context, then parallelism."""
    intent = outcome.fit.intent if outcome.fit else None
    context, parallel = (intent.context_length, intent.parallel) if intent else (0, 0)
    return outcome.place.alternative, -context, -parallel


def _at(
    engine: Engine, release: EngineRelease, question: Question, place: Place, unsuitable: Refusal | None
) -> Weighed:
    accelerator = place.accelerator
    order = preference(question.facts.format, accelerator.vendor if accelerator else None)
    rank = (place.alternative, order.index(engine.name))
    verdict = engine.accepts(question.facts, place.hardware, release)
    weighed = Weighed(engine=engine, release=release, verdict=verdict, place=place, rank=rank)
    if not verdict.accepted:
        return weighed
    refusal = _drives(engine, place) or _tasks(engine, question) or _heads(engine, question, place) or unsuitable
    if refusal is not None:
        return replace(weighed, verdict=rejected(engine.name, refusal))
    fitting = _fitting(question, engine, place)
    found = fitting.fit()
    if found is None:
        return replace(weighed, verdict=rejected(engine.name, _NOT_EXPLAINED_YET))
    refusal = _installed(engine, release, question.spec, place)
    verdict = rejected(engine.name, refusal) if refusal else _accepted(verdict, fitting, found)
    return replace(weighed, verdict=verdict, fit=found)


# What would fit takes a search, which is worth doing only for the one place that is shown.
_NOT_EXPLAINED_YET = Refusal(reason=Rejection.INSUFFICIENT_MEMORY, message="", would_fit="")


def _explained(question: Question, weighed: Weighed) -> Weighed:
    if weighed.verdict.reason != Rejection.INSUFFICIENT_MEMORY:
        return weighed
    refusal = _fitting(question, weighed.engine, weighed.place).refusal()
    return replace(weighed, verdict=rejected(weighed.engine.name, refusal))


def _progress(question: Question, outcome: Weighed) -> tuple[int, int]:
    """How many gates it passed; of places that are too small, the largest."""
    short = outcome.verdict.reason == Rejection.INSUFFICIENT_MEMORY
    budget = _fitting(question, outcome.engine, outcome.place).budget_bytes if short else 0
    return _GATE[outcome.verdict.reason], budget


def _fitting(question: Question, engine: Engine, place: Place) -> Fitting:
    return Fitting(engine=engine, facts=question.facts, spec=question.spec, limits=question.limits, place=place)


def _accepted(verdict: Verdict, fitting: Fitting, found: Fit) -> Verdict:
    intent, place = found.intent, fitting.place
    at_once = f"each of {intent.parallel} requests at once" if intent.parallel > 1 else "one request"
    budget = format_bytes(fitting.budget_bytes)
    sentences = (
        verdict.message,
        f"On {place.describe()} {intent.context_length} tokens for {at_once} take {describe_estimate(found.estimate)} "
        f"of {budget}.",
        "Part of it stays in host memory." if place.offload else "",
        fitting.note(intent),
    )
    return replace(verdict, message=" ".join(sentence for sentence in sentences if sentence))


def _unsafe(question: Question) -> Refusal | None:
    if question.facts.format is not Format.PICKLE or question.spec.model.integrity.allow_unsafe_formats:
        return None
    return Refusal(
        reason=Rejection.UNSAFE_FORMAT,
        message="The weights are pickle files, which can run code when they are loaded.",
        would_fit="The same model as safetensors, or spec.model.integrity.allowUnsafeFormats: true.",
    )


def _arguments(engine: Engine, release: EngineRelease, spec: DeploymentSpec) -> Refusal | None:
    schema = engine.argument_schema(release.version)
    problems = check_arguments(schema, spec.engine.args) if schema else ()
    if not problems:
        return None
    nearest = next((problem.nearest for problem in problems if problem.nearest), "")
    return Refusal(
        reason=Rejection.UNKNOWN_ENGINE_ARGUMENT,
        message=f"{rules_of(engine.name).title} {release.version} does not take these engine.args: "
        + " ".join(problem.message for problem in problems),
        would_fit=f"{nearest} instead." if nearest else "The argument left out, or its value corrected.",
    )


def _drives(engine: Engine, place: Place) -> Refusal | None:
    rules = rules_of(engine.name)
    if place.accelerator is None or place.accelerator.vendor in rules.accelerators:
        return None
    return Refusal(
        reason=Rejection.ACCELERATOR_MISSING,
        message=f"{rules.title} drives accelerators of {names(rules.accelerators)}, {place.describe()} is of "
        f"{place.accelerator.vendor}.",
        would_fit=f"An accelerator of {names(rules.accelerators)}, or none.",
    )


def _tasks(engine: Engine, question: Question) -> Refusal | None:
    """What the user named has to be served; of what the files suggest, one task is enough."""
    unserved = unserved_tasks(engine.name, question.facts) if question.spec.model.tasks else ()
    if not unserved:
        return None
    return Refusal(
        reason=Rejection.TASK_NOT_SUPPORTED,
        message=f"spec.model.tasks asks for {names(unserved)}, which {rules_of(engine.name).title} cannot answer "
        "for this model.",
        would_fit=f"spec.model.tasks without {names(unserved)}.",
    )


def _heads(engine: Engine, question: Question, place: Place) -> Refusal | None:
    attention = question.facts.attention
    if not rules_of(engine.name).splits_heads or place.count < 2 or attention is None:
        return None
    if attention.heads % place.count == 0:
        return None
    counts = [str(count) for count in range(1, place.count) if attention.heads % count == 0]
    return Refusal(
        reason=Rejection.PLATFORM_NOT_SUPPORTED,
        message=f"{rules_of(engine.name).title} cannot divide {attention.heads} attention heads over {place.count} "
        "devices.",
        would_fit=f"{names(counts)} devices.",
    )


def _installed(engine: Engine, release: EngineRelease, spec: DeploymentSpec, place: Place) -> Refusal | None:
    variant = engine.variant(place.hardware)
    if spec.engine.image or variant in release.variants:
        return None
    title = f"{rules_of(engine.name).title} {release.version}"
    return Refusal(
        reason=Rejection.ENGINE_NOT_INSTALLED,
        message=f"{title} takes the model on {place.describe()}, but this build does not install its {variant} "
        "variant yet.",
        would_fit=f"A catalog entry that offers the {variant} variant of {title}, or spec.engine.image.",
    )
