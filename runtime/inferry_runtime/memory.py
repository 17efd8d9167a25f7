"""How much memory one replica needs: weights + KV cache + compute buffers, from facts alone.

Sources of the formulas:
* KV cache: two tensors of `kv_heads * head_length` elements per token and layer (grouped-query attention); a sliding
  layer keeps its window; multi-head latent attention keeps one latent vector per token and layer (DeepSeek-V2 paper,
  section 2.1); state-space layers keep a state of fixed size per sequence.
* Element sizes: ggml block layouts, one 16-bit scale per 32 elements for q8_0 and q4_0, a second one for the *_1 types.
* Weights: the files themselves. What a label promises and what a file weighs differ (mixed quantizations, untied
  embeddings), so parameters are never multiplied by bits.
"""

from dataclasses import dataclass

from inferry_runtime.model.facts import Attention, ModelFacts

MIB = 1024**2
GIB = 1024**3

ELEMENT_BYTES = {
    "f32": 4.0,
    "float32": 4.0,
    "f16": 2.0,
    "float16": 2.0,
    "bf16": 2.0,
    "bfloat16": 2.0,
    "fp8": 1.0,
    "fp8_e4m3": 1.0,
    "fp8_e5m2": 1.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}
"""Bytes per cached element by type name; quantized types include their scales."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bytes, per replica, over all its devices together."""

    weights_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    """Activations, graph and scratch buffers."""
    overhead_bytes: int
    """The engine's own code and libraries, before a model is loaded."""

    @property
    def total_bytes(self) -> int:
        """Sum of all parts."""
        return self.weights_bytes + self.kv_cache_bytes + self.compute_bytes + self.overhead_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheShape:
    """How an engine lays out its cache."""

    tokens: int
    """Positions kept per sequence."""
    sequences: int = 1
    key_bytes: float = 2.0
    """Per element, as in ELEMENT_BYTES."""
    value_bytes: float = 2.0
    state_bytes: float = 4.0
    """Per element of a recurrent state; engines keep it in 32 bits."""
    window_slack: int = 0
    """Positions a sliding layer keeps beyond its window, such as the batch being computed."""
    splits: int = 1
    """Tensor-parallel devices. Heads are divided; a device never has less than one."""


def kv_cache_bytes(facts: ModelFacts, shape: CacheShape) -> int:
    """Bytes of everything kept per sequence: keys, values, latents and recurrent states, over all devices."""
    return shape.sequences * round(_attention_bytes(facts.attention, shape) + _state_bytes(facts, shape))


def forgetful_bytes(facts: ModelFacts, shape: CacheShape) -> int:
    """The part of the cache that loses the past, windows and states: what a checkpoint has to keep to go back."""
    attention = facts.attention
    windows = _bytes_per_position(attention, shape) * _window_positions(attention, shape) if attention else 0.0
    return shape.sequences * round(windows + _state_bytes(facts, shape))


def weights_bytes(facts: ModelFacts) -> int:
    """Bytes of all weight files and of the largest projector; an engine loads one projector."""
    return facts.weight_bytes + max((file.size_bytes for file in facts.projectors), default=0)


def _attention_bytes(attention: Attention | None, shape: CacheShape) -> float:
    if attention is None:
        return 0.0
    if attention.latent_length is not None:
        # A latent has no heads to divide, so every tensor-parallel device keeps all of it.
        return attention.latent_length * shape.key_bytes * attention.layers * shape.tokens * shape.splits
    return _bytes_per_position(attention, shape) * _positions(attention, shape)


def _bytes_per_position(attention: Attention, shape: CacheShape) -> float:
    per_head = attention.key_length * shape.key_bytes + attention.value_length * shape.value_bytes
    return per_head * _mean_kv_heads(attention, shape.splits)


def _positions(attention: Attention, shape: CacheShape) -> int:
    """Cached positions, summed over all attention layers."""
    return (attention.layers - attention.sliding_layers) * shape.tokens + _window_positions(attention, shape)


def _window_positions(attention: Attention, shape: CacheShape) -> int:
    window = shape.tokens if attention.sliding_window is None else attention.sliding_window + shape.window_slack
    return attention.sliding_layers * min(window, shape.tokens)


def _mean_kv_heads(attention: Attention, splits: int) -> float:
    """Heads per layer over all devices: with more devices than heads, heads are copied.

    Which of uneven layers are the sliding ones is not known here, so their mean stands for each of them.
    """
    per_layer = [max(heads, splits) if heads else 0 for heads in attention.kv_heads]
    return sum(per_layer) / len(per_layer) if per_layer else 0.0


def _state_bytes(facts: ModelFacts, shape: CacheShape) -> float:
    state = facts.state_space
    return state.layers * state.state_elements * shape.state_bytes if state else 0.0
