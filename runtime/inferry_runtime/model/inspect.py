"""From a repository to an inspection: list, select, read the headers, put the facts together. Reads headers only."""

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

from inferry_runtime.model.errors import ModelError, ModelNotFound, UnsafeFormat
from inferry_runtime.model.facts import Format, ModelFacts, Quantization, Task
from inferry_runtime.model.inspect_gguf import gguf_model
from inferry_runtime.model.inspect_tensors import tensor_model
from inferry_runtime.model.inspection import Inspection, InspectionRequest
from inferry_runtime.model.listing import Repository
from inferry_runtime.model.select import select
from inferry_runtime.order import OrderedFile

_UNQUANTIZED = frozenset({"none", "bf16", "fp16", "f16", "fp32", "f32", "bfloat16", "float16", "float32"})
_METHODS = frozenset({"gptq", "awq", "fp8", "fp4", "bnb", "compressed-tensors", "mlx"})
# "int4", "w4a16", "4bit", "8-bit", "fp8", "nvfp4"
_WIDTH = re.compile(r"(?:int|uint|w|q|(?:mx|nv)?fp)?-?(\d+)(?:a\d+|-?bits?)?")


def inspect(repository: Repository, request: InspectionRequest, source: str) -> Inspection:
    """`source` is the URI without a revision. Raises ModelError. Equal repositories give equal inspections."""
    tasks = asked_tasks(request.tasks)
    listed = repository.files()
    selection = select(listed, request)
    if selection.format is Format.PICKLE and not request.allow_unsafe_formats:
        raise UnsafeFormat(
            f"the weights are pickles ({selection.weights[0].path}), which can run code when they are loaded",
            hint="use a repository with safetensors or GGUF, or set spec.model.integrity.allowUnsafeFormats",
        )
    if selection.format is Format.GGUF:
        facts, files = gguf_model(repository, selection)
    else:
        facts, files = tensor_model(repository, selection, listed)
        _refuse_contradiction(facts, request)
    facts = replace(
        facts,
        tasks=tasks or facts.tasks,
        license=repository.license or facts.license,
        notes=(*selection.notes, *facts.notes),
    )
    return Inspection(
        source=source,
        facts=facts,
        revision=repository.revision,
        files=tuple(OrderedFile(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256) for file in files),
        primary=selection.weights[0].path if selection.format is Format.GGUF else selection.folder,
        projector=selection.projector.path if selection.projector else "",
    )


def asked_tasks(names: Sequence[str]) -> tuple[Task, ...]:
    """Raises ModelError for a task nobody knows, with the nearest one."""
    known_names = [task.value for task in Task]
    for name in names:
        if name.strip().lower() not in known_names:
            close = get_close_matches(name.lower(), known_names, n=1)
            hint = f"use {close[0]}" if close else f"use some of {', '.join(known_names)}"
            raise ModelError(f"model.tasks: there is no task {name!r}", hint=hint)
    return tuple(dict.fromkeys(Task(name.strip().lower()) for name in names))


def _refuse_contradiction(facts: ModelFacts, request: InspectionRequest) -> None:
    """There is one quantization here; a user who named another one is on the wrong repository."""
    if request.format.strip().lower() == "mlx" and facts.format is not Format.MLX:
        raise ModelNotFound("there are no MLX weights; these are ordinary safetensors", hint="leave model.format out")
    if request.quantization and _contradicts(facts.quantization, request.quantization.strip().lower()):
        there = facts.quantization.label or "unquantized"
        raise ModelNotFound(
            f"there is no quantization {request.quantization}; the weights are {there}",
            hint="leave model.quantization out, or name the repository that has it",
        )


def _contradicts(there: Quantization, wanted: str) -> bool:
    if wanted in _UNQUANTIZED or there.method == "none":
        return (wanted in _UNQUANTIZED) != (there.method == "none")
    if wanted in (there.method, there.label.lower()):
        return False
    if wanted in _METHODS - {"fp8", "fp4"}:
        return True
    width = _WIDTH.fullmatch(wanted)
    return width is not None and there.bits is not None and float(width[1]) != there.bits
