"""One deployment, one look at the world, one plan. Pure: planning twice gives the same plan."""

from dataclasses import replace

from inferry.api.model_deployment import ModelDeployment
from inferry.decide.decision import Decision
from inferry.plan.order import revision, serve_order
from inferry.plan.rollout import next_moves
from inferry.plan.status import deleting_status, deployment_status
from inferry.plan.types import ModelProblem, Plan, PlanInput, RevisionTarget
from inferry_runtime.model.inspection import Inspection


def make_plan(given: PlanInput) -> Plan:
    """The next step towards what the spec asks for, and the status as it was before that step."""
    deployment = given.deployment
    if deployment is None:
        return _deletion(given)
    desired = 0 if deployment.spec.suspend else deployment.spec.replicas
    target = _target(deployment, given, desired)
    moves = next_moves(given.observed, target.revision if target else None, desired, given.now)
    return Plan(
        revisions=(replace(target, replicas=moves.wanted),) if target else (),
        drain=moves.drain,
        remove=moves.remove,
        status=deployment_status(deployment, given, target, desired),
        again_after=_soonest(moves.again_after, _retry_after(given)),
    )


def _deletion(given: PlanInput) -> Plan:
    moves = next_moves(given.observed, None, 0, given.now)
    return Plan(
        revisions=(),
        drain=moves.drain,
        remove=moves.remove,
        status=deleting_status(given.observed),
        again_after=moves.again_after,
    )


def _target(deployment: ModelDeployment, given: PlanInput, desired: int) -> RevisionTarget | None:
    if given.problems or not isinstance(given.decision, Decision) or not isinstance(given.model, Inspection):
        return None
    order = serve_order(deployment, given.decision, given.model)
    return RevisionTarget(
        revision=revision(order, given.decision, deployment), order=order, decision=given.decision, replicas=desired
    )


def _retry_after(given: PlanInput) -> float | None:
    if not isinstance(given.model, ModelProblem) or given.model.retry_at is None:
        return None
    return max(0.0, given.model.retry_at - given.now)


def _soonest(*delays: float | None) -> float | None:
    return min((delay for delay in delays if delay is not None), default=None)
