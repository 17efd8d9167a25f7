"""Exact KV caches of published models, and what other layers keep."""

from dataclasses import replace

import pytest

from inferry_runtime.memory import ELEMENT_BYTES, MIB, CacheShape, forgetful_bytes, kv_cache_bytes, weights_bytes
from inferry_runtime.model.facts import Attention, StateSpace, WeightFile
from worlds.facts import a_gguf


def attention(layers: int, kv_heads: int, head: int = 128, **changes: int) -> Attention:
    return Attention(layers=layers, heads=32, kv_heads=(kv_heads,), key_length=head, value_length=head, **changes)


QWEN3_8B = attention(36, 8)
GEMMA3_4B = attention(34, 4, 256, sliding_window=1024, sliding_layers=29)
DEEPSEEK_V3 = Attention(layers=61, heads=128, kv_heads=(128,), key_length=192, value_length=128, latent_length=576)


@pytest.mark.parametrize(
    ("shape", "tokens", "mib"),
    [
        pytest.param(QWEN3_8B, 40960, 5760, id="Qwen3-8B has grouped queries"),
        pytest.param(attention(48, 4), 40960, 3840, id="Qwen3-30B-A3B has experts, which keep nothing"),
        pytest.param(attention(80, 8), 131072, 40960, id="Llama-3.1-70B at its whole context"),
        pytest.param(DEEPSEEK_V3, 4096, 274.5, id="DeepSeek-V3 keeps one latent per layer"),
        pytest.param(GEMMA3_4B, 32768, 5 * 128 + 29 * 4, id="Gemma-3-4B has 5 full layers and 29 windows of 1024"),
    ],
)
def test_the_cache_of_a_published_model(shape: Attention, tokens: int, mib: float) -> None:

    assert kv_cache_bytes(a_gguf(attention=shape), CacheShape(tokens=tokens)) == mib * MIB


@pytest.mark.parametrize(
    ("name", "bytes_per_block_of_32"),
    [("f16", 64), ("q8_0", 34), ("q5_1", 24), ("q5_0", 22), ("q4_1", 20), ("q4_0", 18)],
)
def test_a_quantized_cache_carries_its_scales(name: str, bytes_per_block_of_32: int) -> None:
    element = ELEMENT_BYTES[name]
    shape = CacheShape(tokens=1024, key_bytes=element, value_bytes=element)
    elements = 2 * 36 * 8 * 128 * 1024
    assert kv_cache_bytes(a_gguf(attention=QWEN3_8B), shape) == elements * bytes_per_block_of_32 / 32


def test_every_sequence_has_a_cache_of_its_own() -> None:
    facts = a_gguf(attention=QWEN3_8B)
    one = kv_cache_bytes(facts, CacheShape(tokens=2048))
    assert kv_cache_bytes(facts, CacheShape(tokens=2048, sequences=5)) == 5 * one


def test_a_window_longer_than_the_context_keeps_the_context() -> None:
    facts = a_gguf(attention=GEMMA3_4B)
    full = a_gguf(attention=replace(GEMMA3_4B, sliding_window=None, sliding_layers=0))
    assert kv_cache_bytes(facts, CacheShape(tokens=512)) == kv_cache_bytes(full, CacheShape(tokens=512))


def test_a_window_keeps_the_batch_that_is_being_computed_too() -> None:
    facts = a_gguf(attention=replace(GEMMA3_4B, layers=29))
    kept = CacheShape(tokens=32768, window_slack=512)
    assert kv_cache_bytes(facts, kept) == kv_cache_bytes(facts, CacheShape(tokens=32768)) * 1.5


def test_layers_with_different_heads_are_summed() -> None:
    uneven = replace(attention(4, 1), kv_heads=(1, 2, 3, 2))
    assert kv_cache_bytes(a_gguf(attention=uneven), CacheShape(tokens=256)) == kv_cache_bytes(
        a_gguf(attention=attention(4, 2)), CacheShape(tokens=256)
    )


def test_a_state_does_not_grow_with_the_context() -> None:
    facts = a_gguf(attention=None, state_space=StateSpace(layers=48, state_elements=100_000))
    sizes = {kv_cache_bytes(facts, CacheShape(tokens=tokens)) for tokens in (1, 4096, 131072)}
    assert sizes == {48 * 100_000 * 4}


def test_more_devices_than_heads_copy_heads() -> None:
    facts = a_gguf(attention=attention(10, 4))
    on = {devices: kv_cache_bytes(facts, CacheShape(tokens=1024, splits=devices)) for devices in (1, 2, 4, 8)}
    assert on[1] == on[2] == on[4]
    assert on[8] == 2 * on[1]


def test_every_device_keeps_the_whole_latent() -> None:
    facts = a_gguf(attention=DEEPSEEK_V3)
    one = kv_cache_bytes(facts, CacheShape(tokens=4096))
    assert kv_cache_bytes(facts, CacheShape(tokens=4096, splits=8)) == 8 * one


def test_a_checkpoint_keeps_windows_and_states_and_no_full_layer() -> None:
    shape = CacheShape(tokens=32768)
    assert forgetful_bytes(a_gguf(attention=QWEN3_8B), shape) == 0
    assert forgetful_bytes(a_gguf(attention=GEMMA3_4B), shape) == 29 * 4 * MIB


def test_one_projector_is_loaded_however_many_there_are() -> None:
    projectors = (
        WeightFile(path="mmproj-f16.gguf", size_bytes=8 * MIB),
        WeightFile(path="q8.gguf", size_bytes=5 * MIB),
    )
    assert weights_bytes(a_gguf(projectors=projectors)) == 408 * MIB
