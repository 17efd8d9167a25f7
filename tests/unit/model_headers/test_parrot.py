"""The example model, as it is committed: both formats say the same."""

from pathlib import Path

import pytest

from inferry_runtime.model.facts import Attention, Format, Quantization, Task
from inferry_runtime.model.inspect import inspect
from inferry_runtime.model.inspection import Inspection, InspectionRequest
from inferry_runtime.model.local import LocalRepository

PARROT = Path(__file__).parents[3] / "examples" / "models" / "parrot"


def inspected(name: str) -> Inspection:
    with LocalRepository(str(PARROT / name)) as repository:
        return inspect(repository, InspectionRequest(source=str(PARROT / name)), f"file://{PARROT / name}")


def test_the_gguf_is_one_file_of_half_precision_floats() -> None:
    found = inspected("gguf")
    assert (found.facts.format, found.facts.architecture, found.facts.dtype) == (Format.GGUF, "llama", "float16")
    assert found.facts.quantization == Quantization(method="gguf", bits=None, label="F16")
    assert [file.path for file in found.files] == [found.primary]


def test_the_safetensors_come_with_configuration_and_tokenizer() -> None:
    found = inspected("safetensors")
    assert (found.facts.format, found.facts.architecture) == (Format.SAFETENSORS, "LlamaForCausalLM")
    assert found.facts.quantization == Quantization()
    assert found.primary == ""
    paths = [file.path for file in found.files]
    assert paths[0] == "model.safetensors"
    assert {"config.json", "tokenizer.json", "tokenizer_config.json"} <= set(paths)


@pytest.mark.parametrize(
    "fact",
    [
        "parameters",
        "context_length",
        "hidden_size",
        "intermediate_size",
        "vocabulary_size",
        "attention",
        "tasks",
        "chat_template",
    ],
)
def test_both_formats_tell_the_same(fact: str) -> None:
    assert getattr(inspected("gguf").facts, fact) == getattr(inspected("safetensors").facts, fact)


def test_the_cache_has_the_shape_the_model_was_trained_with() -> None:
    facts = inspected("safetensors").facts
    assert facts.attention == Attention(layers=3, heads=4, kv_heads=(2,), key_length=64, value_length=64)
    assert facts.tasks == (Task.GENERATE, Task.CHAT)
