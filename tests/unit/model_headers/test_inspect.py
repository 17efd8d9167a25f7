"""A whole inspection: what is opened, what is fetched, what is passed on, what is refused."""

import json

import pytest

from inferry_runtime.model.errors import MalformedFile, ModelError, ModelNotFound, UnsafeFormat
from inferry_runtime.model.facts import Format, Task
from inferry_runtime.model.inspect import inspect
from inferry_runtime.model.inspection import InspectionRequest
from unit.model_headers import configs
from unit.model_headers.builders import (
    MemoryRepository,
    MemorySource,
    gguf,
    llama_metadata,
    looked_at,
    model,
    safetensors,
)

REQUEST = InspectionRequest(source="hf://org/m")


def sharded(names: list[str], index: list[str] | None = None) -> dict[str, bytes | MemorySource]:
    weight_map = {f"t{n}": name for n, name in enumerate(index if index is not None else names)}
    return {
        "config.json": json.dumps(configs.LLAMA_31_8B).encode(),
        "model.safetensors.index.json": json.dumps({"weight_map": weight_map}).encode(),
        **{name: safetensors({f"t{n}": ("BF16", (4,), 8)}) for n, name in enumerate(names)},
    }


def test_weights_come_first_and_the_revision_is_the_repository_s() -> None:
    repository = MemoryRepository(model(configs.LLAMA_31_8B, tokenizer__json=b"{}"), license="llama3.1", revision="abc")
    found = inspect(repository, REQUEST, "hf://org/m")
    assert [file.path for file in found.files] == ["model.safetensors", "config.json", "tokenizer.json"]
    assert (found.source, found.revision, found.facts.license, found.primary) == ("hf://org/m", "abc", "llama3.1", "")


def test_only_headers_and_settings_are_opened() -> None:
    repository = MemoryRepository(
        model(
            configs.LLAMA_31_8B,
            tokenizer__json=b"{}",
            tokenizer_config__json=b"{}",
            README__md=b"x",
            generation_config__json=b"{}",
        )
    )
    inspect(repository, REQUEST, "hf://org/m")
    assert sorted(repository.opened) == ["config.json", "model.safetensors", "tokenizer_config.json"]


def test_twice_is_the_same() -> None:
    contents = model(configs.GEMMA_3_12B, tokenizer__json=b"{}")
    assert looked_at(contents) == looked_at(contents)


def test_shards_are_those_of_the_index() -> None:
    names = [f"model-{n:05}-of-00002.safetensors" for n in (1, 2)] + ["extra.safetensors"]
    found = looked_at({**sharded(names, names[:2]), "unused.safetensors": b"junk"})
    assert [file.path for file in found.facts.weights] == names[:2]
    assert found.facts.parameters == 8


def test_an_index_that_names_more_than_the_numbered_shards_is_followed() -> None:
    names = ["model-00001-of-00001.safetensors", "mtp.safetensors"]
    assert [file.path for file in looked_at(sharded(names)).facts.weights] == names


def test_an_index_that_names_what_is_not_there_is_malformed() -> None:
    contents = sharded(["model-00001-of-00002.safetensors"], [f"model-{n:05}-of-00002.safetensors" for n in (1, 2)])
    with pytest.raises(
        MalformedFile, match=r"'model-00002-of-00002\.safetensors', which is not there \(1 of 2 missing\)"
    ):
        looked_at(contents)


def test_a_shard_that_is_cut_short_is_named() -> None:
    contents = sharded([f"model-{n:05}-of-00009.safetensors" for n in range(1, 10)])
    contents["model-00007-of-00009.safetensors"] = b"\xff" * 20
    with pytest.raises(MalformedFile, match=r"^model-00007-of-00009\.safetensors: "):
        looked_at(contents)


def test_a_repository_s_own_python_comes_only_when_it_is_asked_for() -> None:
    plain = looked_at(model(configs.LLAMA_31_8B, modeling_x__py=b""))
    own = looked_at(model(configs.PHI_3_MINI_4K, modeling_x__py=b""))
    assert "modeling_x.py" not in [file.path for file in plain.files]
    assert "modeling_x.py" in [file.path for file in own.files] and own.facts.remote_code


def test_pickles_are_refused_unless_allowed() -> None:
    contents: dict[str, bytes | MemorySource] = {
        "config.json": json.dumps(configs.LLAMA_31_8B).encode(),
        "pytorch_model.bin": b"\x80\x04",
    }
    with pytest.raises(UnsafeFormat, match=r"pytorch_model\.bin"):
        looked_at(contents)
    found = looked_at(contents, allow_unsafe_formats=True)
    assert (found.facts.format, found.facts.parameters) == (Format.PICKLE, None)
    assert found.facts.attention is not None


def test_what_the_user_says_of_the_task_wins() -> None:
    found = looked_at(model(configs.QWEN_25_7B), tasks=("Rerank", "rerank", "chat"))
    assert found.facts.tasks == (Task.RERANK, Task.CHAT)


def test_an_unknown_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(ModelError, match="there is no task 'embedding'") as caught:
        looked_at(model(configs.QWEN_25_7B), tasks=("embedding",))
    assert caught.value.hint == "use embed"


def test_the_hub_s_license_wins_over_the_file_s() -> None:
    repository = MemoryRepository({"m-Q4_K_M.gguf": gguf(llama_metadata())}, license="mit")
    assert inspect(repository, REQUEST, "x").facts.license == "mit"
    assert looked_at({"m-Q4_K_M.gguf": gguf(llama_metadata())}).facts.license == "llama3.1"


def test_the_weights_say_their_type_when_the_configuration_does_not() -> None:
    assert looked_at(model(configs.MINILM)).facts.dtype == "bfloat16"


def test_a_choice_is_noted_in_the_facts() -> None:
    found = looked_at({f"m-{label}.gguf": gguf({"general.architecture": "llama"}) for label in ("Q4_K_M", "Q8_0")})
    assert found.facts.notes[0].startswith("Q4_K_M was chosen of 2 quantizations")


def test_a_single_weight_file_without_configuration_is_explained() -> None:
    with pytest.raises(ModelNotFound, match=r"without config\.json"):
        looked_at({"model.safetensors": safetensors({"a": ("F16", (1,), 2)})})


def test_a_split_model_of_40_gb_costs_its_headers_and_less_than_a_mebibyte() -> None:
    tokens: list[object] = [f"token number {n}" for n in range(100_000)]
    sources: dict[str, bytes | MemorySource] = {}
    headers = 0
    for number in range(8):
        first = llama_metadata(tokenizer__ggml__tokens=tokens) if number == 0 else {}
        tensors = [(f"blk.{n}.ffn_down.weight", (4096, 4096), 1) for n in range(number * 100, number * 100 + 100)]
        head = gguf({**first, "split.no": ("u16", number), "split.count": ("u16", 8)}, tensors, data=False)
        headers += len(head)
        sources[f"m-F16-{number + 1:05}-of-00008.gguf"] = MemorySource(head, size_bytes=5_000_000_000)
    found = looked_at(sources)
    assert found.facts.weight_bytes == 40_000_000_000
    assert found.facts.parameters == 800 * 4096 * 4096
    read = sum(source.bytes_read for source in sources.values() if isinstance(source, MemorySource))
    assert headers > 2_000_000 and read < headers + (1 << 20)
