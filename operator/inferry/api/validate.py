"""What a spec may not say although every field has the right type. Pure, and the same for a file, an object already
in the cluster and the console. The CRD's rules say the same where CEL can."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from inferry.api.model_deployment import Amounts, DeploymentSpec, EngineChoice, Model, Resources
from inferry.api.problems import FieldPath, FieldProblem, nearest
from inferry.api.quantity import QuantityError, parse_quantity
from inferry.api.reasons import Reason
from inferry_runtime.engines.registry import ENGINES
from inferry_runtime.hardware import Vendor
from inferry_runtime.model.errors import InvalidSource
from inferry_runtime.model.facts import Format, Task
from inferry_runtime.model.source import parse_source

FORMATS: Final = (Format.SAFETENSORS.value, Format.GGUF.value)
TASKS: Final = tuple(task.value for task in Task)
VENDORS: Final = (*(vendor.value for vendor in Vendor), "cpu")

SERVED_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,252}")
"""Ids of models on hubs (`org/name:tag`) and names of objects fit; spaces and leading slashes do not."""
OBJECT_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""RFC 1123 subdomain, as Kubernetes asks of names of objects."""

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def validate(spec: DeploymentSpec) -> tuple[FieldProblem, ...]:
    """Everything that is wrong, in the order of the fields; () when nothing is."""
    checks: tuple[Callable[[DeploymentSpec], Iterator[FieldProblem]], ...] = (
        lambda spec: _model(spec.model),
        _served_names,
        lambda spec: _engine(spec.engine),
        lambda spec: _resources(spec.resources),
    )
    return tuple(problem for check in checks for problem in check(spec))


def _model(model: Model) -> Iterator[FieldProblem]:
    at = ("spec", "model")
    if model.source and model.name:
        yield FieldProblem(path=at, message="has both source and name; keep one of them.", value=model.name)
    if not model.source and not model.name:
        yield FieldProblem(path=at, message="has neither source nor name; say where the model is.")
    if model.source:
        yield from _source((*at, "source"), model.source)
        yield from _only_with_name(at, model)
    if model.format is not None:
        yield from _one_of((*at, "format"), model.format, FORMATS)
    for position, task in enumerate(model.tasks):
        yield from _one_of((*at, "tasks", position), task, TASKS)
    if model.mirror is not None and not re.match(r"https?://[^/\s]+", model.mirror):
        message = "is not an endpoint; write it like https://hub.example."
        yield FieldProblem(path=(*at, "mirror"), message=message, value=model.mirror)
    if model.secret_ref is not None:
        yield from _object_name((*at, "secretRef", "name"), model.secret_ref.name)


def _only_with_name(at: FieldPath, model: Model) -> Iterator[FieldProblem]:
    for field, value in (("size", model.size), ("hub", model.hub)):
        if value is not None:
            yield FieldProblem(path=(*at, field), message="is for models of the catalog; leave it out.", value=value)


def _source(path: FieldPath, source: str) -> Iterator[FieldProblem]:
    try:
        parse_source(source)
    except InvalidSource as error:
        guess = error.hint.removeprefix("write ")
        exact = guess != error.hint and " " not in guess
        message = f"{error.message}." if exact else f"{error.message}; {error.hint}."
        near = guess if exact else ""
        yield FieldProblem(path=path, message=message, value=source, nearest=near, reason=Reason.INVALID_SOURCE)


def _served_names(spec: DeploymentSpec) -> Iterator[FieldProblem]:
    at = ("spec", "servedNames")
    for position, name in enumerate(spec.served_names):
        if name in spec.served_names[:position]:
            yield FieldProblem(path=(*at, position), message="stands there twice; remove one.", value=name)
        if not SERVED_NAME.fullmatch(name):
            message = "may have letters, digits and . _ : / @ + -, starts with a letter or digit, and has 253 at most."
            yield FieldProblem(path=(*at, position), message=message, value=name)


def _engine(engine: EngineChoice) -> Iterator[FieldProblem]:
    at = ("spec", "engine")
    if engine.name is not None and engine.name not in ENGINES:
        message = f"is not an engine; there are {', '.join(ENGINES)}."
        guess = nearest(engine.name, ENGINES)
        path = (*at, "name")
        yield FieldProblem(path=path, message=message, value=engine.name, nearest=guess, reason=Reason.UNKNOWN_ENGINE)
    if engine.name is None and engine.image is not None:
        message = "needs engine.name: nobody can see from an image which engine is in it."
        yield FieldProblem(path=(*at, "image"), message=message, value=engine.image)
    yield from _environment((*at, "env"), [variable.name for variable in engine.env])


def _environment(at: FieldPath, names: list[str]) -> Iterator[FieldProblem]:
    for position, name in enumerate(names):
        path = (*at, position, "name")
        if name in names[:position]:
            yield FieldProblem(path=path, message="is set twice; remove one.", value=name)
        if not _VARIABLE.fullmatch(name):
            yield FieldProblem(path=path, message="is not the name of an environment variable.", value=name)


def _resources(resources: Resources) -> Iterator[FieldProblem]:
    at = ("spec", "resources")
    for position, request in enumerate(resources.accelerators):
        if request.vendor is not None:
            yield from _one_of((*at, "accelerators", position, "vendor"), request.vendor, VENDORS)
    for field in ("cpu", "memory"):
        yield from _amounts(at, field, _amount(resources.requests, field), _amount(resources.limits, field))


def _amount(amounts: Amounts, field: str) -> str | None:
    return amounts.cpu if field == "cpu" else amounts.memory


def _amounts(at: FieldPath, field: str, request: str | None, limit: str | None) -> Iterator[FieldProblem]:
    parsed: list[float] = []
    for kind, text in (("requests", request), ("limits", limit)):
        if text is None:
            continue
        try:
            parsed.append(parse_quantity(text))
        except QuantityError:
            message = "is not a quantity; write it like 500m, 4, 512Mi or 8Gi."
            yield FieldProblem(path=(*at, kind, field), message=message, value=text)
            continue
        if parsed[-1] <= 0:
            yield FieldProblem(path=(*at, kind, field), message="has to be more than 0.", value=text)
    if request is not None and limit is not None and len(parsed) == 2 and parsed[0] > parsed[1]:
        message = f"is more than resources.limits.{field} ({limit}); raise the limit or lower the request."
        yield FieldProblem(path=(*at, "requests", field), message=message, value=request)


def _one_of(path: FieldPath, value: str, known: tuple[str, ...]) -> Iterator[FieldProblem]:
    if value not in known:
        message = f"is not one of {', '.join(known)}."
        yield FieldProblem(path=path, message=message, value=value, nearest=nearest(value, known))


def _object_name(path: FieldPath, name: str) -> Iterator[FieldProblem]:
    if len(name) > 253 or not OBJECT_NAME.fullmatch(name):
        message = "is not a name Kubernetes takes: lower-case letters, digits, - and . inside, 253 at most."
        yield FieldProblem(path=path, message=message, value=name, nearest=_lower_name(name))


def _lower_name(name: str) -> str:
    lowered = re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.")
    return lowered if lowered != name and OBJECT_NAME.fullmatch(lowered) else ""


def validate_name(name: str) -> tuple[FieldProblem, ...]:
    """`metadata.name` and `metadata.namespace` follow the same rule."""
    return tuple(_object_name(("metadata", "name"), name))
