"""Facts of a GGUF: the header of its first part, sums over all parts, and what a projector adds."""

from collections.abc import Sequence

from inferry_runtime.model import gguf_facts
from inferry_runtime.model.architectures import known
from inferry_runtime.model.errors import MalformedFile, ModelNotFound
from inferry_runtime.model.facts import Format, ModelFacts, Task, WeightFile
from inferry_runtime.model.gguf import read_header
from inferry_runtime.model.gguf_keys import GgufKeys
from inferry_runtime.model.listing import ListedFile, Repository
from inferry_runtime.model.parallel import each
from inferry_runtime.model.selection import Selection
from inferry_runtime.model.window import FIRST_WINDOW_BYTES

# Parts behind the first have no vocabulary, only 2 to 30 KiB of tensor names.
PART_WINDOW_BYTES = 16 << 10


def gguf_model(repository: Repository, selection: Selection) -> tuple[ModelFacts, tuple[ListedFile, ...]]:
    """The facts and the files to fetch, weights first. Raises ModelError."""

    def read(file: ListedFile) -> GgufKeys:
        first = PART_WINDOW_BYTES if file in selection.weights[1:] else FIRST_WINDOW_BYTES
        return GgufKeys(file.path, read_header(repository.open(file.path), file.path, first_bytes=first))

    files = selection.weights if selection.projector is None else (*selection.weights, selection.projector)
    read_files = each(read, files)
    parts = read_files[: len(selection.weights)]
    _check_parts(parts)
    _refuse_other_kinds(parts[0])
    projector = read_files[-1] if selection.projector is not None else None
    return _facts(selection, parts, projector), files


def _facts(selection: Selection, parts: Sequence[GgufKeys], projector: GgufKeys | None) -> ModelFacts:
    keys = parts[0]
    quantization, notes = gguf_facts.quantization(keys, selection.label)
    return ModelFacts(
        format=Format.GGUF,
        quantization=quantization,
        architecture=keys.architecture,
        tasks=_tasks(keys, projector),
        weights=tuple(WeightFile(path=file.path, size_bytes=file.size_bytes) for file in selection.weights),
        projectors=tuple(
            WeightFile(path=file.path, size_bytes=file.size_bytes)
            for file in (selection.projector,)
            if file is not None
        ),
        dtype=gguf_facts.dtype(quantization.label),
        context_length=keys.positive(".context_length"),
        parameters=sum(part.header.tensors.parameters for part in parts) or None,
        hidden_size=keys.positive(".embedding_length"),
        intermediate_size=keys.positive(".feed_forward_length"),
        vocabulary_size=keys.entries("tokenizer.ggml.tokens") or keys.positive(".vocab_size"),
        experts=keys.positive(".expert_count"),
        experts_per_token=keys.positive(".expert_used_count"),
        attention=gguf_facts.attention(keys),
        state_space=gguf_facts.state_space(keys),
        chat_template=gguf_facts.chat_template(keys),
        pooling=gguf_facts.pooling(keys),
        license=keys.text("general.license"),
        name=keys.text("general.name"),
        notes=(*notes, *gguf_facts.unknown_types(parts)),
    )


def _tasks(keys: GgufKeys, projector: GgufKeys | None) -> tuple[Task, ...]:
    own = gguf_facts.tasks(keys)
    return tuple(dict.fromkeys((*own, *(gguf_facts.projector_tasks(projector) if projector is not None else ()))))


def _refuse_other_kinds(keys: GgufKeys) -> None:
    if not keys.architecture:
        raise MalformedFile(f"{keys.file}: no general.architecture", hint="the file was made by no known converter")
    if keys.architecture in known().gguf.projector:
        raise ModelNotFound(f"{keys.file} is a projector, not a model", hint="name the model's own file")
    if keys.text("general.type") not in ("", "model"):
        raise ModelNotFound(
            f"{keys.file} is of type {keys.text('general.type')}, not a model", hint="name the model itself"
        )


def _check_parts(parts: Sequence[GgufKeys]) -> None:
    """That the files are the whole of one set, whatever they are called."""
    for index, part in enumerate(parts):
        count = part.natural("split.count") or 1
        number = part.natural("split.no") or 0
        if count != len(parts) or number != index:
            raise MalformedFile(
                f"{part.file}: part {number + 1} of {count} inside, part {index + 1} of {len(parts)} by its name",
                hint="keep the names the parts were published under, and all of them together",
            )
