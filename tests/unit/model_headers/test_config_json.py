"""config.json of published models: the numbers memory and length are computed from, checked by hand."""

import json
from collections.abc import Mapping

import pytest

from inferry_runtime.model.errors import MalformedFile
from inferry_runtime.model.facts import Attention, ModelFacts, StateSpace, Task
from unit.model_headers import configs
from unit.model_headers.builders import looked_at, model

TEMPLATE = {"chat_template__jinja": b"{{ messages }}"}


def facts(config: Mapping[str, object], **files: bytes) -> ModelFacts:
    return looked_at(model(config, **files)).facts


def kv(
    layers: int, heads: int, kv_heads: int, length: int, *, window: int | None = None, sliding: int = 0
) -> Attention:
    return Attention(
        layers=layers,
        heads=heads,
        kv_heads=(kv_heads,),
        key_length=length,
        value_length=length,
        sliding_window=window,
        sliding_layers=sliding,
    )


ATTENTION = {
    "Llama 3.1 8B": (configs.LLAMA_31_8B, kv(32, 32, 8, 128), 131072),
    "Qwen2.5 7B, its window switched off": (configs.QWEN_25_7B, kv(28, 28, 4, 128), 32768),
    "Qwen2.5 7B with YaRN": (configs.QWEN_25_YARN, kv(28, 28, 4, 128), 131072),
    "Qwen3 30B A3B states its head length": (configs.QWEN_3_30B_A3B, kv(48, 32, 4, 128), 40960),
    "Gemma 3 12B, one full layer of six": (configs.GEMMA_3_12B, kv(48, 16, 8, 256, window=1024, sliding=40), 131072),
    "Gemma 2 9B alternates": (configs.GEMMA_2_9B, kv(42, 16, 8, 256, window=4096, sliding=21), 8192),
    "Gemma 3n E4B shares 15 layers": (configs.GEMMA_3N_E4B, kv(20, 8, 2, 256, window=512, sliding=16), 32768),
    "Mixtral 8x7B": (configs.MIXTRAL_8X7B, kv(32, 32, 8, 128), 32768),
    "Mistral 7B v0.1 slides everywhere": (configs.MISTRAL_7B_V01, kv(32, 32, 8, 128, window=4096, sliding=32), 32768),
    "gpt-oss 20B alternates, YaRN included": (configs.GPT_OSS_20B, kv(24, 64, 8, 64, window=128, sliding=12), 131072),
    "Phi-3 mini 4k slides everywhere": (configs.PHI_3_MINI_4K, kv(32, 32, 32, 96, window=2047, sliding=32), 4096),
    "Phi-3 mini 128k, longrope included": (
        configs.PHI_3_MINI_128K,
        kv(32, 32, 32, 96, window=262144, sliding=32),
        131072,
    ),
    "Llama 4 Scout sees chunks in three of four": (
        configs.LLAMA_4_SCOUT,
        kv(48, 40, 8, 128, window=8192, sliding=36),
        10485760,
    ),
    "Qwen2-VL 2B": (configs.QWEN_2_VL, kv(28, 12, 2, 128), 32768),
    "ChatGLM3 names its groups differently": (configs.CHATGLM_3, kv(28, 32, 2, 128), 32768),
    "DBRX keeps them in a section": (configs.DBRX, kv(40, 48, 8, 128), 32768),
    "MiniLM": (configs.MINILM, kv(6, 12, 12, 32), 512),
    "an XLM-RoBERTa reranker counts from its padding": (configs.BGE_RERANKER, kv(24, 16, 16, 64), 8192),
    "Whisper's decoder": (configs.WHISPER, kv(32, 20, 20, 64), None),
    "Qwen2-Audio's language model": (configs.QWEN_2_AUDIO, kv(32, 32, 32, 128), 8192),
    "Qwen2.5-Omni's thinker": (configs.QWEN_25_OMNI, kv(28, 28, 4, 128), 32768),
    "Qwen2 with its window on slides in the last layers": (
        {**configs.QWEN_25_7B, "use_sliding_window": True, "max_window_layers": 20, "sliding_window": 4096},
        kv(28, 28, 4, 128, window=4096, sliding=8),
        32768,
    ),
    "EXAONE 4 writes its pattern in letters": (
        {**configs.MISTRAL_7B_V01, "model_type": "exaone4", "sliding_window_pattern": "LLLG"},
        kv(32, 32, 8, 128, window=4096, sliding=24),
        32768,
    ),
    "Falcon 7B has one head for all": (
        {"model_type": "falcon", "hidden_size": 4544, "n_head": 71, "n_layer": 32, "multi_query": True},
        kv(32, 71, 1, 64),
        None,
    ),
    "linear scaling multiplies": (
        {**configs.MIXTRAL_8X7B, "rope_scaling": {"type": "linear", "factor": 2.0}},
        kv(32, 32, 8, 128),
        65536,
    ),
    "transformers 5 calls it rope_parameters": (
        {**configs.MIXTRAL_8X7B, "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2.0}}},
        kv(32, 32, 8, 128),
        65536,
    ),
}


@pytest.mark.parametrize(("config", "attention", "context"), ATTENTION.values(), ids=ATTENTION)
def test_cache_and_context(config: Mapping[str, object], attention: Attention, context: int | None) -> None:
    found = facts(config)
    assert (found.attention, found.context_length) == (attention, context)
    assert found.state_space is None


def test_deepseek_v3_caches_576_elements_per_token_and_layer() -> None:
    found = facts(configs.DEEPSEEK_V3)
    assert found.attention == Attention(
        layers=61, heads=128, kv_heads=(128,), key_length=192, value_length=128, latent_length=576
    )
    assert (found.context_length, found.experts, found.experts_per_token) == (163840, 256, 8)
    assert (found.quantization.method, found.quantization.bits, found.remote_code) == ("fp8", 8.0, True)


def test_heads_may_differ_from_block_to_block() -> None:
    found = facts(configs.NEMOTRON_NAS).attention
    assert found is not None
    assert (found.layers, found.kv_heads, found.key_length) == (3, (8, 8, 4), 128)


# Convolution window of kernel - 1 columns, and the recurrent state.
MAMBA2_GRANITE = 3 * (48 * 64 + 2 * 128) + 48 * 64 * 128
MAMBA2_NEMOTRON = 3 * (128 * 80 + 2 * 8 * 128) + 128 * 80 * 128
STATE = {
    "Qwen3-Next attends in every fourth layer": (
        configs.QWEN_3_NEXT,
        12,
        StateSpace(layers=36, state_elements=3 * (2 * 16 * 128 + 32 * 128) + 32 * 128 * 128),
    ),
    "Qwen3.5 lists its layers": (
        configs.QWEN_35,
        6,
        StateSpace(layers=18, state_elements=3 * (2 * 16 * 128 + 16 * 128) + 16 * 128 * 128),
    ),
    "Jamba attends in one of eight": (
        configs.JAMBA_MINI,
        4,
        StateSpace(layers=28, state_elements=3 * 8192 + 8192 * 16),
    ),
    "Granite 4 hybrid": (configs.GRANITE_4_H, 4, StateSpace(layers=36, state_elements=MAMBA2_GRANITE)),
    "Nemotron-H writes letters": (configs.NEMOTRON_H, 4, StateSpace(layers=27, state_elements=MAMBA2_NEMOTRON)),
    "Mamba never attends": (configs.MAMBA_130M, 0, StateSpace(layers=24, state_elements=3 * 1536 + 1536 * 16)),
    "Falcon-H1 has both in every layer": (
        configs.FALCON_H1,
        36,
        StateSpace(layers=36, state_elements=3 * (24 * 64 + 2 * 128) + 24 * 64 * 128),
    ),
    "LFM2 has short convolutions": (configs.LFM_2, 6, StateSpace(layers=10, state_elements=2 * 1024)),
    "Kimi Linear mixes latents and matrices": (
        configs.KIMI_LINEAR,
        7,
        StateSpace(layers=20, state_elements=3 * 3 * 32 * 128 + 32 * 128 * 128),
    ),
    "newer Kimi files have no section": (
        {**configs.KIMI_LINEAR, "linear_attn_config": None, "linear_num_heads": 32, "linear_head_dim": 128}
        | {"linear_conv_kernel_dim": 4, "layer_types": ["linear_attention"] * 20 + ["full_attention"] * 7},
        7,
        StateSpace(layers=20, state_elements=3 * 3 * 32 * 128 + 32 * 128 * 128),
    ),
    "RecurrentGemma repeats three names": (
        configs.RECURRENT_GEMMA_2B,
        8,
        StateSpace(layers=18, state_elements=4 * 2560),
    ),
    "MiniMax-01 has lightning attention": (
        configs.MINIMAX_01,
        10,
        StateSpace(layers=70, state_elements=64 * 128 * 128),
    ),
}


@pytest.mark.parametrize(("config", "attending", "state"), STATE.values(), ids=STATE)
def test_state_space_layers(config: Mapping[str, object], attending: int, state: StateSpace) -> None:
    found = facts(config)
    assert (found.attention.layers if found.attention else 0, found.state_space) == (attending, state)


EXPERTS = {
    "Qwen3 MoE": (configs.QWEN_3_30B_A3B, 128, 8),
    "Mixtral": (configs.MIXTRAL_8X7B, 8, 2),
    "gpt-oss": (configs.GPT_OSS_20B, 32, 4),
    "DBRX": (configs.DBRX, 16, 4),
    "Kimi": (configs.KIMI_LINEAR, 256, 8),
    "a dense model": (configs.LLAMA_31_8B, None, None),
}


@pytest.mark.parametrize(("config", "experts", "per_token"), EXPERTS.values(), ids=EXPERTS)
def test_experts(config: Mapping[str, object], experts: int | None, per_token: int | None) -> None:
    found = facts(config)
    assert (found.experts, found.experts_per_token) == (experts, per_token)


MODULES = json.dumps(
    [
        {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
).encode()
POOLING = {
    "1_Pooling/config__json": json.dumps({"pooling_mode_cls_token": False, "pooling_mode_lasttoken": True}).encode()
}
TASKS = {
    "a base model generates": (configs.LLAMA_31_8B, {}, (Task.GENERATE,)),
    "a template makes it chat": (configs.LLAMA_31_8B, TEMPLATE, (Task.GENERATE, Task.CHAT)),
    "so does one in the tokenizer's settings": (
        configs.LLAMA_31_8B,
        {"tokenizer_config__json": b'{"a": 1, "chat_template": "x"}'},
        (Task.GENERATE, Task.CHAT),
    ),
    "so does one beside a processor": (
        configs.LLAMA_31_8B,
        {"tokenizer_config__json": b"{}", "chat_template__json": b'{"chat_template": "x"}'},
        (Task.GENERATE, Task.CHAT),
    ),
    "Gemma 3 sees": (configs.GEMMA_3_12B, TEMPLATE, (Task.GENERATE, Task.CHAT, Task.VISION)),
    "Gemma 3n sees and hears": (configs.GEMMA_3N_E4B, TEMPLATE, (Task.GENERATE, Task.CHAT, Task.VISION, Task.AUDIO)),
    "Qwen2-VL sees": (configs.QWEN_2_VL, TEMPLATE, (Task.GENERATE, Task.CHAT, Task.VISION)),
    "Qwen2-Audio hears": (configs.QWEN_2_AUDIO, {}, (Task.GENERATE, Task.AUDIO)),
    "Qwen2.5-Omni sees and hears": (configs.QWEN_25_OMNI, {}, (Task.GENERATE, Task.VISION, Task.AUDIO)),
    "Whisper only listens": (configs.WHISPER, {}, (Task.AUDIO,)),
    "BERT embeds": (configs.MINILM, {}, (Task.EMBED,)),
    "a causal model with a pooling module embeds": (
        configs.QWEN_25_7B,
        {"modules__json": MODULES, **POOLING},
        (Task.EMBED,),
    ),
    "a bare decoder embeds": ({**configs.QWEN_25_7B, "architectures": ["Qwen2Model"]}, {}, (Task.EMBED,)),
    "one class means reranking": (configs.BGE_RERANKER, {}, (Task.RERANK,)),
    "num_labels says it too": (
        {**configs.MINILM, "architectures": ["BertForSequenceClassification"], "num_labels": 1},
        {},
        (Task.RERANK,),
    ),
    "more classes are not served": ({**configs.MINILM, "architectures": ["BertForSequenceClassification"]}, {}, ()),
    "an image encoder is not served": (
        {"architectures": ["CLIPModel"], "vision_config": {"a": 1}, "text_config": {"vocab_size": 9}},
        {},
        (),
    ),
    "no architecture, no task": ({"model_type": "llama"}, {}, ()),
}


@pytest.mark.parametrize(("config", "files", "tasks"), TASKS.values(), ids=TASKS)
def test_tasks(config: Mapping[str, object], files: dict[str, bytes], tasks: tuple[Task, ...]) -> None:
    found = facts(config, **files)
    assert found.tasks == tasks
    assert tasks or found.notes


def test_an_embedding_model_says_how_it_pools_and_how_much_it_reads() -> None:
    found = facts(
        configs.MINILM, modules__json=MODULES, sentence_bert_config__json=b'{"max_seq_length": 256}', **POOLING
    )
    assert (found.pooling, found.context_length) == ("last", 256)


def test_names_and_types_come_from_wherever_they_are() -> None:
    found = facts(configs.QWEN_35)
    assert (found.architecture, found.dtype, found.vocabulary_size) == (
        "Qwen3_5ForConditionalGeneration",
        "bfloat16",
        248320,
    )
    assert facts(configs.MINILM).dtype == "bfloat16"


def test_layers_of_an_unknown_kind_are_noted() -> None:
    found = facts({**configs.QWEN_25_7B, "layer_types": ["full_attention", "holographic"] * 14})
    assert found.attention is not None and found.attention.layers == 28
    assert found.notes == ("Layers of the unknown kind holographic are counted as full attention.",)


def test_a_window_in_an_unknown_pattern_is_not_trusted() -> None:
    found = facts({**configs.MISTRAL_7B_V01, "model_type": "newcomer"})
    assert found.attention == kv(32, 32, 8, 128)
    assert found.notes == ("Which layers of newcomer see only 4096 tokens is not known; all are counted as full.",)


def test_a_state_of_unknown_size_is_noted() -> None:
    found = facts({**configs.LLAMA_31_8B, "layer_types": ["linear_attention", "full_attention"] * 16})
    assert found.state_space is None
    assert found.notes == ("How much 16 layers without attention keep per request is not known, and not counted.",)


def test_sliding_layers_may_have_a_shape_of_their_own() -> None:
    """Gemma 4 31B: wide heads in full layers."""
    found = facts(configs.GEMMA_4_31B).attention
    assert found == Attention(
        layers=60,
        heads=32,
        kv_heads=(4,),
        key_length=512,
        value_length=512,
        sliding_window=1024,
        sliding_layers=50,
        sliding_kv_heads=16,
        sliding_key_length=256,
        sliding_value_length=256,
    )


def test_numbers_that_differ_from_layer_to_layer_are_reported_at_their_largest() -> None:
    found = facts(configs.OPENELM)
    assert found.attention is not None
    assert (found.attention.heads, found.attention.kv_heads, found.attention.key_length) == (20, (3, 3, 4, 5), 64)
    assert facts({**configs.LLAMA_31_8B, "intermediate_size": [8192, 16384]}).intermediate_size == 16384


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"num_hidden_layers": 10**12}, "num_hidden_layers"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_attention_heads": "many"}, "num_attention_heads"),
        ({"num_key_value_heads": 1.5}, "num_key_value_heads"),
        ({"hidden_size": float("nan")}, "hidden_size"),
        ({"max_position_embeddings": float("inf")}, "max_position_embeddings"),
        ({"rope_scaling": {"type": "linear", "factor": "x"}}, "rope_scaling.factor"),
        ({"num_kv_heads": [1] * 5000}, "num_kv_heads"),
        ({"use_sliding_window": "no"}, "use_sliding_window"),
        ({"vocab_size": {}}, "vocab_size"),
        ({"intermediate_size": [1, "x"]}, "intermediate_size"),
    ],
)
def test_absurd_values_name_file_and_key(change: dict[str, object], key: str) -> None:
    with pytest.raises(MalformedFile, match=rf"^config\.json: {key} is not"):
        facts({**configs.LLAMA_31_8B, **change})
