"""The decision: which engine, which version, with which arguments, where, and why not the others.

Pure: equal inputs give equal decisions, in whatever order the nodes come.
"""

from collections.abc import Sequence
from dataclasses import replace

from inferry.api.model_deployment import DeploymentSpec, EngineChoice
from inferry.api.quantity import QuantityError
from inferry.api.reasons import Reason
from inferry.catalog.catalog import Catalog, UnknownRelease
from inferry.decide.decision import Decision, NoDecision, Placement
from inferry.decide.fitting import Fit, limits_of
from inferry.decide.places import describe_nodes, describe_request, places
from inferry.decide.weighing import Question, Weighed, not_requested, weigh
from inferry_runtime.engines.base import EngineRelease, Rejection, Verdict
from inferry_runtime.engines.gates import ACCEPTED, Refusal, rejected
from inferry_runtime.engines.registry import ENGINES, UnknownEngine, engine_named
from inferry_runtime.engines.rules import rules_of
from inferry_runtime.hardware import Inventory
from inferry_runtime.model.facts import ModelFacts


def decide(facts: ModelFacts, spec: DeploymentSpec, inventory: Inventory, catalog: Catalog) -> Decision | NoDecision:
    """Every engine gets a verdict, also when nothing can be chosen. Takes no I/O and no clock."""
    try:
        limits = limits_of(spec)
    except QuantityError as error:
        return NoDecision(reason=Reason.INVALID_SPEC, message=f"spec.resources: {error}.", verdicts=())
    try:
        _known(spec, catalog)
    except UnknownEngine as error:
        return _misnamed(Reason.UNKNOWN_ENGINE, str(error), decide(facts, _any_engine(spec), inventory, catalog))
    except UnknownRelease as error:
        reason = Reason.UNKNOWN_ENGINE_VERSION
        return _misnamed(reason, error.message, decide(facts, _any_engine(spec), inventory, catalog))
    possible = places(inventory, spec.resources.accelerators)
    if not possible:
        return _nowhere(spec, inventory)
    question = Question(facts=facts, spec=spec, limits=limits, places=possible)
    return _answer(question, _ranked(question, catalog))


def _known(spec: DeploymentSpec, catalog: Catalog) -> None:
    if spec.engine.name is not None:
        engine_named(spec.engine.name)
        catalog.release(spec.engine.name, spec.engine.version)


def _any_engine(spec: DeploymentSpec) -> DeploymentSpec:
    return spec.model_copy(update={"engine": EngineChoice(context_length=spec.engine.context_length)})


def _misnamed(reason: Reason, message: str, otherwise: Decision | NoDecision) -> NoDecision:
    """What was asked for does not exist; the verdicts are those that its absence would give."""
    refusal = Refusal(reason=Rejection.NOT_REQUESTED, message=message, would_fit="A name the catalog has, or none.")
    verdicts = tuple(
        rejected(verdict.engine, refusal) if verdict.accepted else verdict for verdict in otherwise.verdicts
    )
    return NoDecision(reason=reason, message=message, verdicts=verdicts)


def _ranked(question: Question, catalog: Catalog) -> list[Weighed]:
    """All engines, best first, with what the user's wishes make of them."""
    weighed = [
        _by_policy(weigh(engine, _release(question.spec, catalog, engine.name), question), question)
        for engine in ENGINES.values()
    ]
    ranked = sorted(weighed, key=lambda one: (not one.takes_the_model, *one.rank))
    return _regretted(question.spec, ranked)


def _release(spec: DeploymentSpec, catalog: Catalog, engine: str) -> EngineRelease:
    """The version that is asked for where the engine has it, else its default."""
    offer = catalog.engines.get(engine)
    if offer is None:
        return EngineRelease(engine=engine, version="", variants=(), images={})
    return offer.releases.get(spec.engine.version or "", offer.releases[offer.default])


def _by_policy(weighed: Weighed, question: Question) -> Weighed:
    """The last gate: an engine that could is left out when it was not asked for."""
    if weighed.verdict.reason not in (ACCEPTED, Rejection.ENGINE_NOT_INSTALLED):
        return weighed
    name, asked = weighed.engine.name, question.spec.engine
    title = rules_of(name).title
    if asked.name is not None and asked.name != name and weighed.verdict.accepted:
        why = f"{title} could serve it, and the deployment asks for {rules_of(asked.name).title}."
        return not_requested(weighed, why, f"spec.engine.name: {name}, or none.")
    if asked.name is None and asked.version and asked.version != weighed.release.version:
        why = f"The deployment asks for version {asked.version}, which {title} does not have."
        return not_requested(weighed, why, "spec.engine.version together with spec.engine.name.")
    if asked.name is None and question.facts.format in rules_of(name).on_request:
        why = f"{title} takes {question.facts.format} files only when it is asked for."
        return not_requested(weighed, why, f"spec.engine.name: {name}.")
    return weighed


def _regretted(spec: DeploymentSpec, ranked: list[Weighed]) -> list[Weighed]:
    """Says of the engine that ranks first, and is only not installed, that it would be chosen."""
    best = ranked[0]
    if best.verdict.reason != Rejection.ENGINE_NOT_INSTALLED or spec.engine.name not in (None, best.engine.name):
        return ranked
    message = f"It would be chosen: {best.verdict.message}"
    return [replace(best, verdict=replace(best.verdict, message=message)), *ranked[1:]]


def _answer(question: Question, ranked: Sequence[Weighed]) -> Decision | NoDecision:
    verdicts = tuple(one.verdict for one in ranked)
    for one in ranked:
        if one.verdict.accepted and one.fit is not None:
            return _decision(question, one, one.fit, verdicts)
    return _none(question.spec, verdicts)


def _decision(question: Question, chosen: Weighed, fit: Fit, verdicts: tuple[Verdict, ...]) -> Decision:
    asked, place = question.spec.engine, chosen.place
    variant = chosen.engine.variant(place.hardware)
    accelerator = place.accelerator
    return Decision(
        engine=chosen.engine.name,
        version=chosen.release.version,
        variant=variant,
        image=asked.image or chosen.release.images.get(variant, ""),
        arguments=chosen.engine.arguments(question.facts, place.hardware, fit.intent),
        extra_arguments=asked.extra_args,
        context_length=fit.intent.context_length,
        parallel=fit.intent.parallel,
        placement=Placement(
            node=place.hardware.name,
            accelerator=accelerator.product if accelerator else "",
            vendor=accelerator.vendor if accelerator else "",
            count=place.count,
        ),
        estimate=fit.estimate,
        verdicts=verdicts,
    )


def _none(spec: DeploymentSpec, verdicts: tuple[Verdict, ...]) -> NoDecision:
    named = next((verdict for verdict in verdicts if verdict.engine == spec.engine.name), None)
    if named is not None:
        return NoDecision(reason=named.reason, message=_with_hint(named), verdicts=verdicts)
    # Memory is the last gate of all: an engine that stopped there takes the model, only not here.
    nearest = next((verdict for verdict in verdicts if verdict.reason == Rejection.INSUFFICIENT_MEMORY), None)
    if nearest is not None:
        return NoDecision(reason=Reason.INSUFFICIENT_MEMORY, message=_with_hint(nearest), verdicts=verdicts)
    why = " ".join(verdict.message for verdict in verdicts)
    return NoDecision(
        reason=Reason.NO_COMPATIBLE_ENGINE, message=f"No engine takes this model here. {why}", verdicts=verdicts
    )


def _with_hint(verdict: Verdict) -> str:
    return f"{verdict.message} It would fit with: {verdict.would_fit}"


def _nowhere(spec: DeploymentSpec, inventory: Inventory) -> NoDecision:
    """No node at all, or none with the accelerators that were asked for."""
    if not inventory.nodes:
        refusal = Refusal(
            reason=Rejection.PLATFORM_NOT_SUPPORTED,
            message="There is no node to run on.",
            would_fit="A node that is ready and may be scheduled on.",
        )
    else:
        wanted = ", then ".join(describe_request(request) for request in spec.resources.accelerators)
        refusal = Refusal(
            reason=Rejection.ACCELERATOR_MISSING,
            message=f"spec.resources.accelerators asks for {wanted}; the nodes have {describe_nodes(inventory.nodes)}.",
            would_fit="A node with these accelerators, or another alternative, such as vendor: cpu.",
        )
    verdicts = tuple(rejected(name, refusal) for name in ENGINES)
    return NoDecision(reason=Reason.NO_MATCHING_NODES, message=refusal.message, verdicts=verdicts)
