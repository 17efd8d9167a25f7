"""What llama.cpp needs beside the weights: caches, the compute buffer of its largest graph, its own code."""

from collections.abc import Mapping

from inferry_runtime.engines.base import ArgumentValue, Intent
from inferry_runtime.engines.llamacpp_settings import is_encoder, settings, settle
from inferry_runtime.engines.ruled import integer
from inferry_runtime.memory import (
    ELEMENT_BYTES,
    MIB,
    CacheShape,
    Estimate,
    forgetful_bytes,
    kv_cache_bytes,
    weights_bytes,
)
from inferry_runtime.model.facts import ModelFacts

CACHE_ALIGNMENT_TOKENS = 256
"""llama.cpp rounds the context of one sequence up to this."""
MICRO_BATCH_TOKENS = 512
"""Default n_ubatch: how many tokens one graph computes."""
LIBRARY_BYTES = 36 * MIB
"""Interpreter, xllamacpp 2026.10.11549 and libgomp with a model of no size: resident set on Linux x86_64."""
BYTES_PER_VOCABULARY_ENTRY = 240
"""Tokenizer tables: growth of the resident set between vocabularies of 32,000 and 128,000, same version."""
DEFAULT_PROMPT_CACHE_MIB = 8192
"""llama.cpp's own cache_ram_mib."""
DEFAULT_CHECKPOINTS = 32
"""llama.cpp's own n_ctx_checkpoints."""
UNKNOWN_HIDDEN = 4096
UNKNOWN_VOCABULARY = 128_000


def estimate(facts: ModelFacts, intent: Intent) -> Estimate:
    """Bytes of one replica started with the settings that follow from this intent."""
    settled, arguments = settle(intent), settings(facts, intent)
    return Estimate(
        weights_bytes=weights_bytes(facts),
        kv_cache_bytes=_cache_bytes(facts, settled, arguments) + _saved_bytes(facts, settled, arguments),
        compute_bytes=_graph_bytes(facts, settled, arguments),
        overhead_bytes=LIBRARY_BYTES + BYTES_PER_VOCABULARY_ENTRY * (facts.vocabulary_size or UNKNOWN_VOCABULARY),
    )


def _graph_bytes(facts: ModelFacts, settled: Intent, arguments: Mapping[str, ArgumentValue]) -> int:
    """Compute buffer of the largest graph, which computes one micro-batch.

    Per token, in 32-bit elements: the residual stream and either the three matrices of the feed-forward network, the
    attention, or the logits of a whole micro-batch when embeddings are asked for. The mask is shared by all layers.
    Found by reading the buffer sizes that llama.cpp b11549 logs for eight synthetic models: equal to them within 1 %.
    """
    context = _aligned(settled.context_length)
    batch = min(integer(arguments, "n_ubatch", MICRO_BATCH_TOKENS), context * settled.parallel)
    hidden = facts.hidden_size or UNKNOWN_HIDDEN
    feed_forward = 3 * (facts.intermediate_size or 4 * hidden) * (facts.experts_per_token or 1)
    logits = (facts.vocabulary_size or UNKNOWN_VOCABULARY) if arguments.get("embedding") is True else 0
    heads = facts.attention.heads if facts.attention else 0
    head_elements = heads * facts.attention.key_length if facts.attention else hidden
    widest = max(5 * hidden + feed_forward, 5 * hidden + logits, 3 * hidden + 3 * head_elements)
    # Without flash attention the scores of all heads exist, and the mask is 32 bits wide.
    per_position = 4 * (heads + 1) if arguments.get("flash_attn_type") == "disabled" else 2
    return 4 * batch * widest + per_position * batch * context


def _cache_bytes(facts: ModelFacts, settled: Intent, arguments: Mapping[str, ArgumentValue]) -> int:
    if is_encoder(facts):
        return 0
    return kv_cache_bytes(facts, _shape(settled, arguments))


def _saved_bytes(facts: ModelFacts, settled: Intent, arguments: Mapping[str, ArgumentValue]) -> int:
    """Copies kept in host memory: prompts of idle slots, and checkpoints of what a window or a state forgets."""
    prompts = max(0, integer(arguments, "cache_ram_mib", DEFAULT_PROMPT_CACHE_MIB)) * MIB
    checkpoints = integer(arguments, "n_ctx_checkpoints", DEFAULT_CHECKPOINTS)
    return prompts + checkpoints * forgetful_bytes(facts, _shape(settled, arguments))


def _shape(settled: Intent, arguments: Mapping[str, ArgumentValue]) -> CacheShape:
    return CacheShape(
        tokens=_aligned(settled.context_length),
        sequences=settled.parallel,
        key_bytes=_element_bytes(arguments, "cache_type_k"),
        value_bytes=_element_bytes(arguments, "cache_type_v"),
        window_slack=integer(arguments, "n_ubatch", MICRO_BATCH_TOKENS),
    )


def _aligned(tokens: int) -> int:
    return -(-tokens // CACHE_ALIGNMENT_TOKENS) * CACHE_ALIGNMENT_TOKENS


def _element_bytes(arguments: Mapping[str, ArgumentValue], name: str) -> float:
    return ELEMENT_BYTES.get(str(arguments.get(name, "f16")), ELEMENT_BYTES["f16"])
