"""Verbs on objects: apply, list, scale, terminate. They read and write files; the loop does the rest."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from inferry.api.conditions import condition
from inferry.api.load import Loaded, load_files, load_text
from inferry.api.model_deployment import ModelDeployment
from inferry.api.status import ConditionType
from inferry.cli.homes import found, here, running
from inferry.cli.output import Output, note, say, structured, table
from inferry.cli.paths import absolute_source
from inferry.cli.refusal import INVALID_INPUT, Refusal
from inferry.cli.waiting import wait_until_gone, wait_until_ready
from inferry.local import objects
from inferry.local.errors import NotRunning

STANDARD_INPUT = Path("-")
NOT_RUNNING = "inferry is not running here: statuses are what was last seen; start it with `inferry local`"


def apply_files(paths: Sequence[Path], *, wait: bool, timeout: float) -> None:
    """All files are read and checked before the first object is written."""
    apply_all(read_all(paths), wait=wait, timeout=timeout)


def apply_all(deployments: Sequence[ModelDeployment], *, wait: bool, timeout: float) -> None:
    """Write each object and say what became of it."""
    home = here()
    before = {known.metadata.name: known for known in objects.listed(home)}
    for deployment in deployments:
        name = deployment.metadata.name
        objects.save(home, deployment)
        say(f"modeldeployment/{name} {_verb(before.get(name), deployment)}")
    if wait:
        running("waiting needs it")
        for deployment in deployments:
            wait_until_ready(home, deployment, timeout=timeout)
    elif not is_running():
        note("inferry is not running here; the objects are served when `inferry local` starts")


def _verb(before: ModelDeployment | None, after: ModelDeployment) -> str:
    if before is None:
        return "created"
    return "unchanged" if before.spec == after.spec else "configured"


def is_running() -> bool:
    """Whether anybody keeps the statuses of this home true."""
    try:
        running("")
    except NotRunning:
        return False
    return True


def read_all(paths: Sequence[Path]) -> tuple[ModelDeployment, ...]:
    """Objects of all files, relative sources made absolute. Raises Refusal that lists every problem."""
    loaded = [(path, _load(path)) for path in paths]
    problems = [str(problem) for _, one in loaded for problem in one.problems] + _defined_twice(loaded)
    if problems:
        raise Refusal("\n".join(("nothing was changed:", *problems)), code=INVALID_INPUT)
    deployments = tuple(_beside(deployment, _folder(path)) for path, one in loaded for deployment in one.deployments)
    if not deployments:
        raise Refusal(f"no ModelDeployment in {', '.join(map(str, paths))}", code=INVALID_INPUT)
    return deployments


def _defined_twice(loaded: Sequence[tuple[Path, Loaded]]) -> list[str]:
    """Within one file or folder the loader says so itself."""
    first: dict[str, Path] = {}
    twice = []
    for path, one in loaded:
        for name in (deployment.metadata.name for deployment in one.deployments):
            if first.setdefault(name, path) != path:
                twice.append(f"{path}: {name} is also in {first[name]}; an object can be applied once")
    return twice


def _load(path: Path) -> Loaded:
    return load_text(sys.stdin.read(), "standard input") if path == STANDARD_INPUT else load_files(path)


def _folder(path: Path) -> Path:
    return Path.cwd() if path == STANDARD_INPUT else (path if path.is_dir() else path.parent)


def _beside(deployment: ModelDeployment, folder: Path) -> ModelDeployment:
    """Relative model folders are meant relative to the file that names them."""
    model = deployment.spec.model
    if model.source is None:
        return deployment
    moved = model.model_copy(update={"source": absolute_source(model.source, folder)})
    return deployment.model_copy(update={"spec": deployment.spec.model_copy(update={"model": moved})})


def list_all(output: Output) -> None:
    """Every object of this home."""
    listed = objects.listed(here())
    running_now = is_running()
    if listed and not running_now:
        note(NOT_RUNNING)
    if output.for_programs:
        structured([as_document(deployment) for deployment in listed], output)
        return
    now = datetime.now(UTC)
    wide = output is Output.WIDE
    columns = ("NAME", "MODEL", "ENGINE", "READY", "STATUS", "AGE", *(("REVISION", "MESSAGE") if wide else ()))
    rows = [_row(deployment, now, wide=wide, running_now=running_now) for deployment in listed]
    table(columns, rows, empty="nothing here yet: try `inferry launch SOURCE` or `inferry apply -f FILE`")


def _row(deployment: ModelDeployment, now: datetime, *, wide: bool, running_now: bool) -> tuple[str, ...]:
    status, model = deployment.status, deployment.spec.model
    ready = condition(status.conditions, ConditionType.READY) if status else None
    resolved = status.resolved if status else None
    row = (
        deployment.metadata.name,
        model.source or model.name or "",
        resolved.engine.name if resolved else "-",
        f"{status.ready_replicas if status and running_now else 0}/{deployment.spec.replicas}",
        (ready.reason if ready else "Pending") if running_now else "NotRunning",
        _age(deployment.metadata.creation_timestamp, now),
    )
    return (*row, resolved.revision if resolved else "-", ready.message if ready else "") if wide else row


def _age(created: str, now: datetime) -> str:
    if not created:
        return "-"
    seconds = max(0, int((now - datetime.fromisoformat(created)).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def as_document(deployment: ModelDeployment) -> dict[str, object]:
    """The object as `kubectl get -o json` would show it."""
    dumped = deployment.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    return {"apiVersion": deployment.api_version, "kind": deployment.kind} | dumped


def names() -> tuple[str, ...]:
    """Names of all objects of this home."""
    return tuple(deployment.metadata.name for deployment in objects.listed(here()))


def scale_to(name: str, replicas: int, *, wait: bool, timeout: float) -> None:
    """Change one number of the user's object."""
    home = here()
    deployment = found(name)
    scaled = deployment.model_copy(update={"spec": deployment.spec.model_copy(update={"replicas": replicas})})
    objects.save(home, scaled)
    say(f"modeldeployment/{name} scaled to {replicas}")
    if wait:
        running("waiting needs it")
        wait_until_ready(home, scaled, timeout=timeout)


def terminate_one(name: str, *, wait: bool, timeout: float) -> None:
    """Delete the object; its replicas finish what they are answering."""
    home = here()
    found(name)
    objects.delete(home, name)
    if wait and is_running():
        wait_until_gone(home, name, timeout=timeout)
    say(f"modeldeployment/{name} deleted")
