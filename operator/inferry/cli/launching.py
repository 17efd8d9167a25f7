"""From flags to an object: `inferry launch` and `inferry run` write the same ModelDeployment a person would."""

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from inferry.api.load import load_text
from inferry.api.model_deployment import API_VERSION, KIND, ModelDeployment, Scalar
from inferry.cli.homes import here
from inferry.cli.objects import apply_all
from inferry.cli.paths import absolute_source
from inferry.cli.refusal import INVALID_INPUT, Refusal
from inferry.local import objects

# The part of an object name that is made from a source; leaves room for whatever is added to it.
LONGEST_MADE_NAME = 53


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    source: str | None = None
    model: str | None = None
    size: str | None = None
    format: str | None = None
    quantization: str | None = None
    name: str | None = None
    engine: str | None = None
    replicas: int = 1
    context_length: int | None = None
    arguments: tuple[str, ...] = ()
    served_names: tuple[str, ...] = ()


def deployment_for(request: LaunchRequest, *, folder: Path) -> ModelDeployment:
    """Relative paths are taken from `folder`. Raises Refusal when the flags contradict each other or mean nothing."""
    if bool(request.source) == bool(request.model):
        raise Refusal("give a SOURCE or --model, one of them", code=INVALID_INPUT)
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": request.name or made_name(request.source or request.model or "")},
        "spec": _said(
            model=_said(
                source=absolute_source(request.source, folder) if request.source else None,
                name=request.model,
                size=request.size,
                format=request.format,
                quantization=request.quantization,
            ),
            servedNames=list(request.served_names) or None,
            engine=_said(
                name=request.engine,
                contextLength=request.context_length,
                args=dict(_assignment(text) for text in request.arguments) or None,
            )
            or None,
            replicas=None if request.replicas == 1 else request.replicas,
        ),
    }
    return _checked(document)


def _checked(document: object) -> ModelDeployment:
    """The same checks, and the same sentences, as for a file."""
    loaded = load_text(json.dumps(document, ensure_ascii=False), "flags")
    if loaded.problems:
        told = (problem.told() for problem in loaded.problems)
        raise Refusal("\n".join(("nothing was changed:", *told)), code=INVALID_INPUT)
    return loaded.deployments[0]


def made_name(source: str) -> str:
    """A valid object name from the last telling part of a source: `hf://Qwen/Qwen2.5-0.5B@main` -> `qwen2.5-0.5b`."""
    path = re.sub(r"^[a-z0-9]+://", "", source).split("@")[0].rstrip("/")
    parts = [part for part in path.split("/") if part]
    telling = [part for part in parts if part.lower() not in {"gguf", "safetensors", "model", "models"}]
    last = (telling or parts or ["model"])[-1].removesuffix(".gguf")
    plain = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    dashed = re.sub(r"[^a-z0-9.]+", "-", plain.lower())[:LONGEST_MADE_NAME]
    return re.sub(r"-*\.[-.]*", ".", dashed).strip("-.") or "model"


def _said(**values: object) -> dict[str, object]:
    """Only what was given, so that the stored YAML shows only what was given."""
    return {name: value for name, value in values.items() if value is not None}


def _assignment(text: str) -> tuple[str, Scalar]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Refusal(f"--arg {text!r} is not name=value", hint="for example --arg n_ctx=4096", code=INVALID_INPUT)
    return name.strip(), _scalar(value.strip())


def _scalar(text: str) -> Scalar:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


def launch_model(request: LaunchRequest, *, wait: bool, timeout: float) -> None:
    """Write the object; wait for it when asked to."""
    apply_all((launched(request),), wait=wait, timeout=timeout)


def launched(request: LaunchRequest) -> ModelDeployment:
    """The object the flags describe. Raises Refusal when a name nobody gave is that of an object of another model."""
    deployment = deployment_for(request, folder=Path.cwd())
    name, source = deployment.metadata.name, deployment.spec.model.source or deployment.spec.model.name
    taken = {other.metadata.name: other for other in objects.listed(here())}.get(name)
    if request.name is None and taken is not None and taken.spec.model != deployment.spec.model:
        there = taken.spec.model.source or taken.spec.model.name
        raise Refusal(
            f"the name {name!r} made from {source} belongs to a modeldeployment of another model, {there}",
            hint=f"choose another with --name, or give --name {name} to replace that one",
            code=INVALID_INPUT,
        )
    return deployment
