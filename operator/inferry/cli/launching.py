"""From flags to an object: `inferry launch` and `inferry run` write the same ModelDeployment a person would."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from inferry.api.model_deployment import DeploymentSpec, EngineChoice, Metadata, Model, ModelDeployment, Scalar
from inferry.cli.objects import apply_all
from inferry.cli.paths import absolute_source
from inferry.cli.refusal import INVALID_INPUT, Refusal

RecordT = TypeVar("RecordT", Model, EngineChoice)

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
    """Relative paths are taken from `folder`. Raises Refusal when the flags contradict each other."""
    if (request.source is None) == (request.model is None):
        raise Refusal("give a SOURCE or --model, one of them", code=INVALID_INPUT)
    source = None if request.source is None else absolute_source(request.source, folder)
    return ModelDeployment(
        metadata=Metadata(name=request.name or made_name(request.source or request.model or "")),
        spec=DeploymentSpec(
            model=_said(
                Model,
                source=source,
                name=request.model,
                size=request.size,
                format=request.format,
                quantization=request.quantization,
            ),
            engine=_said(
                EngineChoice,
                name=request.engine,
                context_length=request.context_length,
                args=dict(_assignment(text) for text in request.arguments) or None,
            ),
            replicas=request.replicas,
            served_names=request.served_names,
        ),
    )


def made_name(source: str) -> str:
    """A valid object name from the last telling part of a source: `hf://Qwen/Qwen2.5-0.5B@main` -> `qwen2.5-0.5b`."""
    path = re.sub(r"^[a-z0-9]+://", "", source).split("@")[0].rstrip("/")
    parts = [part for part in path.split("/") if part]
    telling = [part for part in parts if part.lower() not in {"gguf", "safetensors", "model", "models"}]
    last = (telling or parts or ["model"])[-1].removesuffix(".gguf")
    dashed = re.sub(r"[^a-z0-9.]+", "-", last.lower())[:LONGEST_MADE_NAME]
    return re.sub(r"-*\.[-.]*", ".", dashed).strip("-.") or "model"


def _said(kind: type[RecordT], **values: object) -> RecordT:
    """Only what was given, so that the stored YAML shows only what was given."""
    return kind.model_validate({name: value for name, value in values.items() if value is not None})


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
    apply_all((deployment_for(request, folder=Path.cwd()),), wait=wait, timeout=timeout)
