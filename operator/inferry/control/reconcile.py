"""One look at one deployment: look, decide, plan, apply, report. No queue, no log, no metrics: that is the loop's."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from inferry.api.model_deployment import DeploymentSpec, EngineChoice, Model, ModelDeployment, Resources
from inferry.api.status import DeploymentStatus
from inferry.api.validate import validate
from inferry.control.clock import Clock
from inferry.control.errors import WorldError
from inferry.control.inspections import Inspections
from inferry.control.outcome import AgainAfter, Done, Gone, Outcome
from inferry.control.world import Key, World
from inferry.decide.decision import Decision, NoDecision
from inferry.plan.pins import model_request, pinned_engine, with_engine
from inferry.plan.plan import make_plan
from inferry.plan.status import with_apply_failure
from inferry.plan.types import Observed, Plan, PlanInput
from inferry_runtime.hardware import Inventory
from inferry_runtime.model.facts import ModelFacts
from inferry_runtime.model.inspection import Inspection

Validate = Callable[[ModelDeployment], tuple[tuple[str, str], ...]]
"""What is wrong with the spec: reason and sentence. A world adds what it alone can see: a name is taken."""

Decide = Callable[[ModelFacts, DeploymentSpec, Inventory], Decision | NoDecision]

REMOVAL_SECONDS: Final = 1.0
"""How often a deletion is looked at while replicas are ending: a world need not tell when the last one is gone."""


@dataclass(frozen=True, slots=True)
class _Question:
    """All a decision depends on besides the catalog."""

    inspection: Inspection
    model: Model
    engine: EngineChoice
    resources: Resources
    inventory: Inventory
    pin: tuple[str, str] | None


def spec_problems(deployment: ModelDeployment) -> tuple[tuple[str, str], ...]:
    """What is wrong with the spec by itself."""
    return tuple((problem.reason.value, problem.sentence()) for problem in validate(deployment.spec))


class Reconciler:
    """Remembers only what can be worked out again: what models are, and what was decided for equal questions."""

    def __init__(
        self, world: World, decide: Decide, validate: Validate, inspections: Inspections, clock: Clock
    ) -> None:
        self._world = world
        self._decide_fresh = decide
        self._validate = validate
        self._inspections = inspections
        self._clock = clock
        self._decided: dict[Key, tuple[_Question, Decision | NoDecision]] = {}

    async def reconcile(self, key: Key) -> Outcome:
        """Raises WorldError; anything else that comes out of it is a defect."""
        deployment = await self._world.deployment(key)
        observed = await self._world.observe(key)
        if deployment is None:
            return await self._remove(key, observed)
        given = await self._look(key, deployment, observed)
        plan = make_plan(given)
        await self._apply(key, deployment, plan, told=not _is_read_again(given))
        return Done() if plan.again_after is None else AgainAfter(plan.again_after)

    def forget(self, key: Key) -> None:
        """The next look inspects and decides anew."""
        self._inspections.forget(key)
        self._decided.pop(key, None)

    async def _remove(self, key: Key, observed: Observed) -> Outcome:
        self.forget(key)
        if not observed.replicas:
            await self._world.forget(key)
            return Gone()
        plan = make_plan(PlanInput(deployment=None, observed=observed, now=self._clock.now()))
        await self._world.apply(key, plan)
        return AgainAfter(min(plan.again_after or REMOVAL_SECONDS, REMOVAL_SECONDS))

    async def _look(self, key: Key, deployment: ModelDeployment, observed: Observed) -> PlanInput:
        problems = self._validate(deployment)
        model = None if problems else self._inspections.look(key, deployment)
        inventory = await self._world.inventory() if isinstance(model, Inspection) else None
        decision = None
        if isinstance(model, Inspection) and inventory is not None:
            decision = self._decide(key, deployment, model, inventory)
        return PlanInput(
            deployment=deployment,
            problems=problems,
            model=model,
            decision=decision,
            observed=observed,
            now=self._clock.now(),
        )

    async def _apply(self, key: Key, deployment: ModelDeployment, plan: Plan, *, told: bool) -> None:
        try:
            await self._world.apply(key, plan)
        except WorldError as error:
            status = with_apply_failure(plan.status, deployment.status, error.message, self._clock.now())
            await self._report(key, deployment, status)
            raise
        if told:
            await self._report(key, deployment, plan.status)

    async def _report(self, key: Key, deployment: ModelDeployment, status: DeploymentStatus) -> None:
        if status != deployment.status:
            await self._world.report(key, status)

    def _decide(
        self, key: Key, deployment: ModelDeployment, inspection: Inspection, inventory: Inventory
    ) -> Decision | NoDecision:
        spec = deployment.spec
        pin = pinned_engine(deployment)
        question = _Question(inspection, spec.model, spec.engine, spec.resources, inventory, pin)
        known = self._decided.get(key)
        if known is not None and known[0] == question:
            return known[1]
        decision = self._with_pin(inspection.facts, spec, inventory, pin)
        self._decided[key] = (question, decision)
        return decision

    def _with_pin(
        self, facts: ModelFacts, spec: DeploymentSpec, inventory: Inventory, pin: tuple[str, str] | None
    ) -> Decision | NoDecision:
        """The engine that was chosen stays while it still fits; the verdicts are those of today."""
        fresh = self._decide_fresh(facts, spec, inventory)
        if pin is None or not isinstance(fresh, Decision) or (fresh.engine, fresh.version) == pin:
            return fresh
        kept = self._decide_fresh(facts, with_engine(spec, *pin), inventory)
        return fresh if isinstance(kept, NoDecision) else _with_verdicts(kept, fresh)


def _is_read_again(given: PlanInput) -> bool:
    """A model that was known before a restart is being read: what the status says of it holds until that is done."""
    status = given.deployment.status if given.deployment is not None else None
    if given.deployment is None or status is None or status.resolved is None or given.problems:
        return False
    same = status.resolved.model.request == model_request(given.deployment.spec)
    return given.model is None and same and status.observed_generation == given.deployment.metadata.generation


def _with_verdicts(kept: Decision, fresh: Decision) -> Decision:
    first = [verdict for verdict in fresh.verdicts if verdict.engine == kept.engine]
    if not all(verdict.accepted for verdict in first):
        return kept
    return replace(kept, verdicts=(*first, *(verdict for verdict in fresh.verdicts if verdict not in first)))
