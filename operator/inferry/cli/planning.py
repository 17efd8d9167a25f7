"""`inferry plan`: the same facts, decision and plan the loop would make, before anything runs."""

import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import yaml

from inferry.api.model_deployment import ModelDeployment
from inferry.api.status import DeploymentStatus
from inferry.catalog.catalog import Catalog
from inferry.catalog.load import load_catalog
from inferry.cli.describing import resolved_fields, verdict_list
from inferry.cli.homes import here
from inferry.cli.objects import read_all
from inferry.cli.output import Output, fields, say, structured
from inferry.cli.refusal import INVALID_INPUT, Refusal
from inferry.control.sources import access
from inferry.decide.decide import decide
from inferry.decide.decision import Decision, NoDecision
from inferry.local.hardware import machine
from inferry.local.secret_files import SecretFiles
from inferry.plan.plan import make_plan
from inferry.plan.request import inspection_request
from inferry.plan.types import Observed, PlanInput
from inferry_runtime.engines.base import Command, Launch
from inferry_runtime.engines.registry import engine_named
from inferry_runtime.hardware import Inventory
from inferry_runtime.model.inspection import Inspection
from inferry_runtime.model.remote import inspect_source
from inferry_runtime.order import ServeOrder

EXAMPLE_PORT = 8000
"""A free port is chosen when the process starts; the plan shows the one an engine has in a pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What would come of one object."""

    deployment: ModelDeployment
    inspection: Inspection
    decision: Decision | NoDecision
    status: DeploymentStatus
    order: ServeOrder | None
    command: Command | None


def plan_files(paths: Sequence[Path], inventory: Path | None, output: Output) -> None:
    """Print what would come of every object; exit code 1 when nothing would."""
    nodes = machine() if inventory is None else read_inventory(inventory)
    foreseen = [foresee(deployment, nodes) for deployment in read_all(paths)]
    if output.for_programs:
        structured([_document(one) for one in foreseen], output)
    else:
        for one in foreseen:
            _print(one)
    for one in foreseen:
        if isinstance(one.decision, NoDecision):
            raise Refusal(f"{one.deployment.metadata.name}: {one.decision.reason}: {one.decision.message}")


def foresee(deployment: ModelDeployment, inventory: Inventory) -> Foreseen:
    """Reads the model's headers and nothing else. Raises ModelError."""
    catalog = load_catalog()
    inspection = _inspected(deployment, catalog)
    decision = decide(inspection.facts, deployment.spec, inventory, catalog)
    plan = make_plan(
        PlanInput(deployment=deployment, model=inspection, decision=decision, observed=Observed(), now=time.time())
    )
    order = plan.revisions[0].order if plan.revisions else None
    return Foreseen(
        deployment=deployment,
        inspection=inspection,
        decision=decision,
        status=plan.status,
        order=order,
        command=None if order is None else _command(order),
    )


def _inspected(deployment: ModelDeployment, catalog: Catalog) -> Inspection:
    model = deployment.spec.model
    request = inspection_request(model, catalog)
    named = model.secret_ref
    secret = SecretFiles(here()).variables(named.name, request.source) if named else {}
    return inspect_source(request, access(request.source, model.mirror, os.environ, secret))


def _command(order: ServeOrder) -> Command:
    engine = order.engine
    environment = here().environments / f"{engine.name}-{engine.version}-{engine.variant}"
    launch = Launch(
        python=environment / "bin" / "python", model_root=here().store / "MODEL", host="127.0.0.1", port=EXAMPLE_PORT
    )
    return engine_named(engine.name).command(order, launch)


def read_inventory(path: Path) -> Inventory:
    """YAML or JSON: `nodes`, each as `inferry_runtime.hardware.Hardware`. Raises Refusal naming the field."""
    try:
        return msgspec.convert(yaml.safe_load(path.read_text()), Inventory)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise Refusal(f"{path} is not an inventory: {error}", code=INVALID_INPUT) from error


def _document(one: Foreseen) -> dict[str, object]:
    chosen = one.decision if isinstance(one.decision, Decision) else None
    return {
        "name": one.deployment.metadata.name,
        "facts": msgspec.to_builtins(one.inspection.facts),
        "verdicts": msgspec.to_builtins(one.decision.verdicts),
        "decision": msgspec.to_builtins(chosen),
        "memory": {**asdict(chosen.estimate), "total_bytes": chosen.estimate.total_bytes} if chosen else None,
        "order": msgspec.to_builtins(one.order),
        "command": msgspec.to_builtins(one.command),
    }


def _shell_lines(command: Command) -> list[str]:
    """To be pasted into a shell: a variable, or an option with its value, per line."""
    lines = [f"{name}={shlex.quote(value)}" for name, value in sorted(command.environment.items())]
    after_option = False
    for word in command.argv:
        if after_option and not word.startswith("-"):
            lines[-1] += f" {shlex.quote(word)}"
        else:
            lines.append(shlex.quote(word))
        after_option = word.startswith("--")
    return lines


def _print(one: Foreseen) -> None:
    say(f"{one.deployment.metadata.name}")
    if one.status.resolved is not None:
        fields(resolved_fields(one.status.resolved), indent=2)
    say("\n  Engines")
    verdict_list(one.status.decision)
    if one.command is not None:
        say("\n  Process, once per replica")
        say("    " + " \\\n      ".join(_shell_lines(one.command)))
    for sentence in one.inspection.facts.notes:
        say(f"\n  Note: {sentence}")
    say()
