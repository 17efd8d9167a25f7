"""What a GGUF's metadata says of memory, length and use, by llama.cpp's own rules."""

import pytest

from inferry_runtime.model.errors import MalformedFile, ModelNotFound
from inferry_runtime.model.facts import Attention, ModelFacts, Quantization, StateSpace, Task
from unit.model_headers.builders import F32, MemorySource, gguf, llama_metadata, looked_at


def facts(metadata: dict[str, object], name: str = "model.gguf") -> ModelFacts:
    return looked_at({name: gguf(metadata)}).facts  # type: ignore[arg-type]


def architecture(arch: str, **keys: object) -> dict[str, object]:
    """Metadata of a model of this architecture; keywords name its keys, "__" for a dot."""
    plain = {"block_count": 8, "embedding_length": 512, "attention.head_count": 8, "attention.head_count_kv": 2}
    named = {name.replace("__", "."): value for name, value in keys.items()}
    return {"general.architecture": arch, **{f"{arch}.{name}": value for name, value in {**plain, **named}.items()}}


def test_a_llama_is_described_in_full() -> None:
    found = facts(llama_metadata(), "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf")
    assert found.attention == Attention(layers=32, heads=32, kv_heads=(8,), key_length=128, value_length=128)
    assert found.quantization == Quantization(method="gguf", bits=4.0, label="Q4_K_M")
    assert (found.context_length, found.hidden_size, found.intermediate_size) == (131072, 4096, 14336)
    assert (found.vocabulary_size, found.chat_template, found.tasks) == (3, True, (Task.GENERATE, Task.CHAT))
    assert (found.name, found.license, found.architecture) == ("Meta Llama 3.1 8B Instruct", "llama3.1", "llama")
    assert found.notes == ()


SLIDING = {
    "gemma2 alternates": (architecture("gemma2", attention__sliding_window=4096), 4096, 4),
    "gemma2 has a window even when the file is silent": (architecture("gemma2"), 4096, 4),
    "gemma3 has one full layer of six": (architecture("gemma3", attention__sliding_window=512), 512, 7),
    "gpt-oss alternates": (architecture("gpt-oss", attention__sliding_window=128), 128, 4),
    "cohere2 has one full layer of four": (architecture("cohere2", attention__sliding_window=4096), 4096, 6),
    "modern-bert begins with a full layer": (architecture("modern-bert", attention__sliding_window=128), 128, 5),
    "a file may list its layers": (
        architecture(
            "gemma4",
            attention__sliding_window=1024,
            attention__sliding_window_pattern=[("bool", x % 4 != 3) for x in range(8)],
        ),
        1024,
        6,
    ),
    "a file may list all layers as sliding": (
        architecture("gemma4", attention__sliding_window=64, attention__sliding_window_pattern=[("bool", True)] * 8),
        64,
        8,
    ),
    "a file may give a period": (
        architecture("gemma3", attention__sliding_window=512, attention__sliding_window_pattern=2),
        512,
        4,
    ),
    "phi3's window is not used by llama.cpp": (architecture("phi3", attention__sliding_window=2047), None, 0),
    "a window llama.cpp knows nothing of is ignored": (architecture("llama", attention__sliding_window=4096), None, 0),
    "olmo2 without a window has none": (architecture("olmo2"), None, 0),
}


@pytest.mark.parametrize(("metadata", "window", "layers"), SLIDING.values(), ids=SLIDING)
def test_sliding_layers(metadata: dict[str, object], window: int | None, layers: int) -> None:
    found = facts(metadata).attention
    assert found is not None
    assert (found.sliding_window, found.sliding_layers, found.layers) == (window, layers, 8)


def test_heads_may_differ_from_layer_to_layer() -> None:
    found = facts(
        architecture("openelm", attention__head_count=[8] * 8, attention__head_count_kv=[1, 1, 2, 2, 3, 3, 4, 4])
    )
    assert found.attention is not None
    assert (found.attention.kv_heads, found.attention.heads) == ((1, 1, 2, 2, 3, 3, 4, 4), 8)


def test_sliding_layers_may_have_a_shape_of_their_own() -> None:
    pattern = [("bool", index % 4 != 3) for index in range(8)]
    metadata = architecture(
        "gemma4",
        attention__head_count_kv=[16, 16, 16, 4] * 2,
        attention__sliding_window=1024,
        attention__sliding_window_pattern=pattern,
        attention__key_length=512,
        attention__value_length=512,
        attention__key_length_swa=256,
        attention__value_length_swa=256,
    )
    found = facts(metadata).attention
    assert found is not None
    assert (found.kv_heads, found.key_length, found.value_length) == ((4,), 512, 512)
    assert (found.sliding_kv_heads, found.sliding_key_length, found.sliding_value_length) == (16, 256, 256)


def test_stated_head_lengths_win_over_the_quotient() -> None:
    found = facts(architecture("qwen3", attention__key_length=128, attention__value_length=96)).attention
    assert found is not None and (found.key_length, found.value_length) == (128, 96)


def test_missing_kv_heads_mean_as_many_as_heads() -> None:
    metadata = architecture("llama")
    del metadata["llama.attention.head_count_kv"]
    found = facts(metadata).attention
    assert found is not None and found.kv_heads == (8,)


def test_latent_attention_is_cached_as_one_vector() -> None:
    """DeepSeek-V3 as converted since llama.cpp stores latents."""
    mla = architecture(
        "deepseek2",
        block_count=61,
        embedding_length=7168,
        attention__head_count=128,
        attention__head_count_kv=1,
        attention__key_length=576,
        attention__value_length=512,
        attention__key_length_mla=192,
        attention__value_length_mla=128,
        attention__kv_lora_rank=512,
        rope__dimension_count=64,
        expert_count=256,
        expert_used_count=8,
    )
    found = facts(mla)
    assert found.attention == Attention(
        layers=61, heads=128, kv_heads=(1,), key_length=576, value_length=512, latent_length=576
    )
    assert (found.experts, found.experts_per_token) == (256, 8)


def test_older_files_of_the_same_model_are_cached_per_head() -> None:
    old = architecture(
        "deepseek2",
        attention__head_count_kv=8,
        attention__key_length=192,
        attention__value_length=128,
        attention__kv_lora_rank=512,
        rope__dimension_count=64,
    )
    found = facts(old).attention
    assert found is not None and found.latent_length is None and found.kv_heads == (8,)


def test_layers_that_predict_further_tokens_keep_no_cache() -> None:
    found = facts(architecture("glm4moe", block_count=47, nextn_predict_layers=1)).attention
    assert found is not None and found.layers == 46


def test_layers_that_share_a_cache_are_counted_once() -> None:
    found = facts(architecture("gemma4", block_count=35, attention__shared_kv_layers=20)).attention
    assert found is not None and found.layers == 15
    gemma3n = facts(architecture("gemma3n", block_count=35, attention__sliding_window=512)).attention
    assert gemma3n is not None and (gemma3n.layers, gemma3n.sliding_layers) == (20, 16)


DELTA = {"ssm__conv_kernel": 4, "ssm__inner_size": 4096, "ssm__state_size": 128, "ssm__group_count": 16}
# 3 columns of 2*16*128 + 4096 channels, and 32 value heads of 128 x 128.
DELTA_ELEMENTS = 3 * (2 * 16 * 128 + 4096) + 32 * 128 * 128
MAMBA = {"ssm__conv_kernel": 4, "ssm__inner_size": 1024, "ssm__state_size": 16}
STATE = {
    "qwen3next attends in every fourth layer": (
        architecture("qwen3next", **DELTA),
        2,
        StateSpace(layers=6, state_elements=DELTA_ELEMENTS),
    ),
    "qwen35 says how often": (
        architecture("qwen35", full_attention_interval=8, **DELTA),
        1,
        StateSpace(layers=7, state_elements=DELTA_ELEMENTS),
    ),
    "qwen35 may list its layers": (
        architecture("qwen35", attention__recurrent_layers=[("bool", True)] * 5 + [("bool", False)] * 3, **DELTA),
        3,
        StateSpace(layers=5, state_elements=DELTA_ELEMENTS),
    ),
    "mamba never attends": (
        architecture("mamba", attention__head_count=0, attention__head_count_kv=0, **MAMBA),
        0,
        StateSpace(layers=8, state_elements=3 * 1024 + 16 * 1024),
    ),
    "jamba marks attention by heads": (
        architecture("jamba", attention__head_count_kv=[0, 0, 0, 2, 0, 0, 0, 2], **MAMBA),
        2,
        StateSpace(layers=6, state_elements=3 * 1024 + 16 * 1024),
    ),
    "falcon-h1 has both in every layer": (
        architecture("falcon-h1", **MAMBA),
        8,
        StateSpace(layers=8, state_elements=3 * 1024 + 16 * 1024),
    ),
    "nemotron_h has layers that are feed-forward only": (
        architecture(
            "nemotron_h",
            attention__head_count_kv=[0, 0, 2, 0, 0, 0, 0, 2],
            feed_forward_length=[0, 9, 0, 9, 0, 9, 0, 0],
            **MAMBA,
        ),
        2,
        StateSpace(layers=3, state_elements=3 * 1024 + 16 * 1024),
    ),
    "lfm2 keeps a short convolution": (
        architecture("lfm2", shortconv__l_cache=3, attention__head_count_kv=[0, 0, 2, 0, 0, 2, 0, 0]),
        2,
        StateSpace(layers=6, state_elements=2 * 512),
    ),
    "kimi-linear keeps a matrix per head": (
        architecture(
            "kimi-linear", kda__head_dim=128, ssm__conv_kernel=4, attention__head_count_kv=[0, 0, 0, 1, 0, 0, 0, 1]
        ),
        2,
        StateSpace(layers=6, state_elements=3 * 3 * 8 * 128 + 8 * 128 * 128),
    ),
    "rwkv keeps a matrix per head and two shifts": (
        architecture("rwkv6", attention__head_count=0, attention__head_count_kv=0, wkv__head_size=64),
        0,
        StateSpace(layers=8, state_elements=2 * 512 + 512 * 64),
    ),
    "deci has layers with neither": (architecture("deci", attention__head_count_kv=[2, 0, 2, 2, 0, 2, 2, 2]), 6, None),
}


@pytest.mark.parametrize(("metadata", "attending", "state"), STATE.values(), ids=STATE)
def test_state_space_layers(metadata: dict[str, object], attending: int, state: StateSpace | None) -> None:
    found = facts(metadata)
    assert (found.attention.layers if found.attention else 0, found.state_space) == (attending, state)


LABELS = {
    "the header names it": ("model.gguf", {"general.file_type": 15}, "Q4_K_M", 4.0, ""),
    "the name may say more": ("m-UD-Q4_K_XL.gguf", {"general.file_type": 15}, "UD-Q4_K_XL", 4.0, ""),
    "the header wins when they differ": ("m-Q4_K_M.gguf", {"general.file_type": 7}, "Q8_0", 8.0, "Q8_0 inside"),
    "the name speaks for a silent header": ("m-IQ2_XXS.gguf", {}, "IQ2_XXS", 2.0, ""),
    "the tensors speak last": ("m.gguf", {}, "F32", None, ""),
    "zero is a file type too": ("m.gguf", {"general.file_type": 0}, "F32", None, ""),
    "floats have no bits": ("m-bf16.gguf", {"general.file_type": 32}, "BF16", None, ""),
}


@pytest.mark.parametrize(("name", "keys", "label", "bits", "note"), LABELS.values(), ids=LABELS)
def test_quantization_labels(name: str, keys: dict[str, object], label: str, bits: float | None, note: str) -> None:
    found = facts({**architecture("llama"), **keys}, name)
    assert found.quantization == Quantization(method="gguf", bits=bits, label=label)
    assert note in "".join(found.notes) and bool(note) == bool(found.notes)


TASKS = {
    "a base model generates": (architecture("llama"), (Task.GENERATE,)),
    "a template makes it chat": ({**architecture("llama"), "tokenizer.chat_template": "x"}, (Task.GENERATE, Task.CHAT)),
    "bert embeds": (architecture("bert"), (Task.EMBED,)),
    "pooling means embedding": (architecture("qwen3", pooling_type=3), (Task.EMBED,)),
    "pooling of rank means reranking": (architecture("bert", pooling_type=4), (Task.RERANK,)),
    "pooling of none means generating": (architecture("qwen2", pooling_type=0), (Task.GENERATE,)),
}


@pytest.mark.parametrize(("metadata", "tasks"), TASKS.values(), ids=TASKS)
def test_tasks(metadata: dict[str, object], tasks: tuple[Task, ...]) -> None:
    assert facts(metadata).tasks == tasks


def test_pooling_is_named() -> None:
    assert facts(architecture("bert", pooling_type=1)).pooling == "mean"


@pytest.mark.parametrize(
    ("keys", "added"),
    [
        ({}, (Task.VISION,)),
        ({"clip.has_vision_encoder": True}, (Task.VISION,)),
        ({"clip.has_audio_encoder": True}, (Task.AUDIO,)),
        ({"clip.has_vision_encoder": True, "clip.has_audio_encoder": True}, (Task.VISION, Task.AUDIO)),
    ],
)
def test_a_projector_adds_what_it_says(keys: dict[str, object], added: tuple[Task, ...]) -> None:
    projector = gguf({"general.architecture": "clip", **keys})  # type: ignore[dict-item]
    found = looked_at({"m-Q4_K_M.gguf": gguf(llama_metadata()), "mmproj-F16.gguf": projector})
    assert found.facts.tasks == (Task.GENERATE, Task.CHAT, *added)
    assert found.projector == "mmproj-F16.gguf"
    assert [file.path for file in found.facts.projectors] == ["mmproj-F16.gguf"]


def test_an_encoder_inside_the_model_makes_it_see() -> None:
    data = gguf(llama_metadata(), [("token_embd.weight", (4,), F32), ("v.patch_embd.weight", (4,), F32)])
    assert Task.VISION in looked_at({"m.gguf": data}).facts.tasks


def test_a_split_model_is_the_sum_of_its_parts() -> None:
    contents = split_set(3)
    found = looked_at(contents)
    assert [file.path for file in found.facts.weights] == sorted(contents)
    assert found.primary == "m-Q4_K_M-00001-of-00003.gguf"
    assert found.facts.parameters == 3 * 32 * 4


def test_parts_under_wrong_names_are_found_out() -> None:
    contents = split_set(3)
    first, second = "m-Q4_K_M-00001-of-00003.gguf", "m-Q4_K_M-00002-of-00003.gguf"
    contents[first], contents[second] = contents[second], contents[first]
    with pytest.raises(MalformedFile, match="part 2 of 3 inside, part 1 of 3 by its name"):
        looked_at(contents)


def test_one_part_under_a_plain_name_is_found_out() -> None:
    with pytest.raises(MalformedFile, match="part 1 of 3 inside, part 1 of 1 by its name"):
        looked_at({"m.gguf": split_set(3)["m-Q4_K_M-00001-of-00003.gguf"]})


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"general.architecture": "clip"}, "is a projector"),
        ({**architecture("llama"), "general.type": "adapter"}, "is of type adapter"),
    ],
)
def test_what_is_no_model_is_refused(metadata: dict[str, object], message: str) -> None:
    with pytest.raises(ModelNotFound, match=message):
        facts(metadata)


@pytest.mark.parametrize(
    "keys",
    [
        {"block_count": ("u64", 1 << 50)},
        {"block_count": 5000},
        {"attention__head_count_kv": [1, 2]},
        {"attention__head_count": "eight"},
        {"attention__head_count_kv": ("u64", 1 << 63)},
        {"embedding_length": float("nan")},
    ],
)
def test_absurd_numbers_are_malformed(keys: dict[str, object]) -> None:
    with pytest.raises(MalformedFile, match=r"^model\.gguf: "):
        facts(architecture("llama", **keys))


def test_no_architecture_is_malformed() -> None:
    with pytest.raises(MalformedFile, match=r"no general\.architecture"):
        facts({"llama.block_count": 1})


def split_set(count: int) -> dict[str, bytes | MemorySource]:
    def part(number: int) -> bytes:
        split = {"split.no": ("u16", number), "split.count": ("u16", count)}
        head = llama_metadata() if number == 0 else {}
        return gguf({**head, **split})  # type: ignore[dict-item]

    return {f"m-Q4_K_M-{number + 1:05}-of-{count:05}.gguf": part(number) for number in range(count)}
