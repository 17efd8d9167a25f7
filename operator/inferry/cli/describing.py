"""`inferry describe`: the whole story of one object, for a person."""

from inferry.api.model_deployment import ModelDeployment
from inferry.api.reasons import next_action
from inferry.api.status import Condition, DeploymentStatus, EngineVerdict, Resolved
from inferry.cli.homes import found
from inferry.cli.objects import NOT_RUNNING, as_document, is_running
from inferry.cli.output import Output, fields, note, paragraph, say, structured


def describe_one(name: str, output: Output) -> None:
    """Print the object, with what was decided, what is, and what to do."""
    deployment = found(name)
    running_now = is_running()
    if not running_now:
        note(NOT_RUNNING)
    if output.for_programs:
        structured(as_document(deployment), output)
        return
    fields(_head(deployment, running_now=running_now))
    status = deployment.status
    if status is None:
        say("\nnot seen by inferry yet: is `inferry local` running?")
        return
    if status.resolved is not None:
        say("\nResolved")
        fields(resolved_fields(status.resolved), indent=2)
    say("\nEngines")
    verdict_list(status.decision)
    say("\nConditions")
    _conditions(status)


def _head(deployment: ModelDeployment, *, running_now: bool) -> dict[str, str]:
    status = deployment.status
    progress = status.progress if status else None
    return {
        "Name": deployment.metadata.name,
        "Model": deployment.spec.model.source or deployment.spec.model.name or "",
        "Served as": ", ".join(deployment.served_names),
        "Replicas": f"{status.ready_replicas if status and running_now else 0} ready of {deployment.spec.replicas}",
        "Status": (status.phase if status else "Pending") if running_now else "NotRunning",
        "Progress": progress.message if progress else "",
    }


def resolved_fields(resolved: Resolved) -> dict[str, str]:
    """What was decided, as lines."""
    engine, model, resources = resolved.engine, resolved.model, resolved.resources
    estimate = resources.estimate
    return {
        "Engine": f"{engine.name} {engine.version} ({engine.variant})",
        "Arguments": "\n".join(f"{name}={value}" for name, value in engine.args.items()),
        "Extra": " ".join(engine.extra_args),
        "Model": f"{model.architecture}, {model.format}, {model.quantization or 'unquantized'}",
        "Parameters": model.parameters,
        "Context": f"{model.context_length} tokens" if model.context_length else "",
        "Tasks": ", ".join(model.tasks),
        "License": model.license,
        "Pinned at": model.revision,
        "Runs on": f"{resources.count} x {resources.accelerator}" if resources.count else "CPU",
        "Memory": f"{estimate.total} = weights {estimate.weights} + KV cache {estimate.kv_cache}"
        f" + compute {estimate.compute} + engine {estimate.overhead}",
        "Revision": resolved.revision,
    }


def verdict_list(verdicts: tuple[EngineVerdict, ...]) -> None:
    """Every engine, and what would make it fit."""
    width = max((len(verdict.engine) for verdict in verdicts), default=0)
    for verdict in verdicts:
        would_fit = f" Would fit: {verdict.would_fit}" if verdict.would_fit else ""
        head = f"  {'*' if verdict.chosen else ' '} {verdict.engine:<{width}}  "
        paragraph(f"{verdict.reason}: {verdict.message}{would_fit}", head)
    if not verdicts:
        say("    not decided yet")


def _conditions(status: DeploymentStatus) -> None:
    width = max((len(condition.type) for condition in status.conditions), default=0)
    for condition in status.conditions:
        since = f"{condition.reason}, since {condition.last_transition_time}"
        paragraph(f"{since}: {_advice(condition)}", f"  {condition.type:<{width}}  {condition.status:<7}  ")


def _advice(condition: Condition) -> str:
    action = "" if condition.status == "True" else next_action(condition.reason)
    return f"{condition.message} {action}".strip() if action not in condition.message else condition.message
