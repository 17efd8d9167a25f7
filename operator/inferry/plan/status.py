"""The status of a deployment: what was decided, what is there, what it waits for."""

from inferry.api.conditions import Finding, condition, merge
from inferry.api.labels import selector
from inferry.api.model_deployment import DeploymentSpec, ModelDeployment
from inferry.api.quantity import format_bytes, format_count
from inferry.api.reasons import Reason
from inferry.api.status import (
    ConditionType,
    DeploymentStatus,
    EngineVerdict,
    MemoryEstimate,
    Resolved,
    ResolvedEngine,
    ResolvedModel,
    ResolvedResources,
)
from inferry.decide.decision import Decision, NoDecision
from inferry.plan.findings import findings, situation
from inferry.plan.pins import engine_request, model_request
from inferry.plan.types import Observed, PlanInput, RevisionTarget
from inferry_runtime.memory import Estimate
from inferry_runtime.model.inspection import Inspection


def deployment_status(
    deployment: ModelDeployment, given: PlanInput, target: RevisionTarget | None, desired: int
) -> DeploymentStatus:
    """Equal inputs give equal statuses. What cannot be known now, such as the engine while the hub is away, stays as
    it was reported last."""
    now = situation(given, target.revision if target else None, desired)
    before = deployment.status or DeploymentStatus()
    conditions = merge(before.conditions, findings(now), deployment.metadata.generation, given.now)
    ready = condition(conditions, ConditionType.READY)
    return DeploymentStatus(
        observed_generation=deployment.metadata.generation,
        phase=ready.reason if ready else "",
        replicas=len(now.new) + len(now.old),
        ready_replicas=now.ready,
        updated_replicas=len(now.new) if target else 0,
        selector=selector(deployment.metadata.name),
        resolved=_resolved(deployment.spec, given, target) or before.resolved,
        decision=_verdicts(given.decision) or before.decision,
        progress=now.progress,
        conditions=conditions,
    )


def deleting_status(observed: Observed) -> DeploymentStatus:
    """Nobody reads it from the object, which is gone; it is for those who look while the replicas end."""
    return DeploymentStatus(
        phase=Reason.DELETING.value,
        replicas=len(observed.replicas),
        ready_replicas=sum(replica.ready for replica in observed.replicas),
    )


def with_apply_failure(
    status: DeploymentStatus, before: DeploymentStatus | None, message: str, now: float
) -> DeploymentStatus:
    """The planned status when the world refused the plan's next step."""
    about = ConditionType.PROGRESSING
    action = Reason.APPLY_FAILED.meaning.next_action
    finding = Finding(type=about, status="False", reason=Reason.APPLY_FAILED.value, message=f"{message} {action}")
    (failed,) = merge(before.conditions if before else (), (finding,), status.observed_generation, now)
    conditions = tuple(failed if condition.type is about else condition for condition in status.conditions)
    return status.model_copy(update={"conditions": conditions})


def waiting(status: DeploymentStatus | None) -> tuple[str, str]:
    """Why nothing answers and what is being done about it, for clients; ("", "") when a replica answers."""
    if status is None:
        return Reason.STARTING.value, Reason.STARTING.meaning.sentence
    if status.ready_replicas:
        return "", ""
    ready = condition(status.conditions, ConditionType.READY)
    if ready is None:
        return Reason.STARTING.value, Reason.STARTING.meaning.sentence
    return ready.reason, ready.message


def _verdicts(decision: Decision | NoDecision | None) -> tuple[EngineVerdict, ...]:
    if decision is None:
        return ()
    chosen = decision.engine if isinstance(decision, Decision) else None
    return tuple(
        EngineVerdict(
            engine=verdict.engine,
            chosen=verdict.engine == chosen,
            reason=verdict.reason,
            message=verdict.message,
            would_fit=verdict.would_fit,
        )
        for verdict in decision.verdicts
    )


def _resolved(spec: DeploymentSpec, given: PlanInput, target: RevisionTarget | None) -> Resolved | None:
    if target is None or not isinstance(given.model, Inspection):
        return None
    decision = target.decision
    return Resolved(
        engine=_engine(spec, decision),
        model=_model(spec, given.model),
        resources=ResolvedResources(
            accelerator=decision.placement.accelerator,
            count=decision.placement.count,
            estimate=_estimate(decision.estimate),
        ),
        revision=target.revision,
    )


def _engine(spec: DeploymentSpec, decision: Decision) -> ResolvedEngine:
    return ResolvedEngine(
        name=decision.engine,
        version=decision.version,
        variant=decision.variant,
        image=decision.image,
        args=dict(sorted(decision.arguments.items())),
        extra_args=decision.extra_arguments,
        request=engine_request(spec),
    )


def _model(spec: DeploymentSpec, model: Inspection) -> ResolvedModel:
    facts = model.facts
    quantization = facts.quantization
    return ResolvedModel(
        revision=model.revision,
        format=facts.format.value,
        architecture=facts.architecture,
        quantization=quantization.label or ("" if quantization.method == "none" else quantization.method),
        parameters="" if facts.parameters is None else format_count(facts.parameters),
        context_length=facts.context_length,
        tasks=tuple(task.value for task in facts.tasks),
        license=facts.license,
        bytes=sum(file.size_bytes for file in model.files),
        source=model.source,
        request=model_request(spec),
    )


def _estimate(estimate: Estimate) -> MemoryEstimate:
    return MemoryEstimate(
        weights=format_bytes(estimate.weights_bytes),
        kv_cache=format_bytes(estimate.kv_cache_bytes),
        compute=format_bytes(estimate.compute_bytes),
        overhead=format_bytes(estimate.overhead_bytes),
        total=format_bytes(estimate.total_bytes),
    )
