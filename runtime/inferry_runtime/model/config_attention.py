"""config.json -> shape of the KV cache and of the constant state."""

from dataclasses import replace

from inferry_runtime.model.config_layers import Layer, layers, window
from inferry_runtime.model.facts import Attention, StateSpace
from inferry_runtime.model.json_document import Document


def attention(config: Document) -> Attention | None:
    """None for models without attention, or without the numbers."""
    kinds, _ = layers(config)
    heads = heads_of(config)
    kv_heads = _kv_heads(config, kinds, heads or 0)
    if not heads or not kv_heads:
        return None
    rotary = config.positive("qk_rope_head_dim")
    rank = config.positive("kv_lora_rank")
    length = _head_length(config, heads)
    latent = rank + (rotary or 0) if rank else None
    nope = config.integer("qk_nope_head_dim")
    sliding = sum(kind.slides for kind in kinds)
    found = Attention(
        layers=len(kv_heads),
        heads=heads,
        kv_heads=kv_heads[:1] if len(set(kv_heads)) == 1 else kv_heads,
        key_length=length if nope is None else nope + (rotary or 0),
        value_length=config.positive("v_head_dim", "value_head_dim") or length,
        sliding_window=window(config) if sliding else None,
        sliding_layers=sliding,
        latent_length=latent,
    )
    return _with_sliding_shape(found, config) if sliding else found


def state_space(config: Document) -> StateSpace | None:
    """None when no layer keeps a state of constant size."""
    count = sum(kind.keeps_state for kind in layers(config)[0])
    elements = _state_elements(config) if count else 0
    return StateSpace(layers=count, state_elements=elements) if elements else None


def heads_of(config: Document) -> int | None:
    return config.positive(
        "num_attention_heads", "decoder_attention_heads", "n_head", "n_heads", "num_heads", "num_query_heads"
    )


def hidden_size(config: Document) -> int | None:
    return config.positive("hidden_size", "d_model", "n_embd", "dim", "model_dim")


def _head_length(config: Document, heads: int) -> int:
    stated = config.positive("attention_head_dim", "head_dim", "kv_channels", "d_kv")
    return stated or (hidden_size(config) or 0) // heads


def _kv_heads(config: Document, kinds: tuple[Layer, ...], heads: int) -> tuple[int, ...]:
    """One entry per attention layer."""
    listed = (
        config.integers("num_kv_heads") or config.integers("num_key_value_heads_per_layer") or _blocks(config, heads)
    )
    if listed:
        return tuple(number for number in listed[: len(kinds)] if number)
    inner = config.section("attn_config")
    number = None if inner is None else inner.positive("kv_n_heads")
    number = number or config.positive("num_key_value_heads", "num_kv_heads", "n_head_kv", "num_query_groups")
    number = number or config.positive("multi_query_group_num")
    if number is None:
        number = 1 if config.flag("multi_query") else heads
    return (number,) * sum(kind.attends for kind in kinds)


def _with_sliding_shape(found: Attention, config: Document) -> Attention:
    """Gemma 4 names the shape of full layers apart ("global"), MiMo that of sliding ones ("swa")."""
    wide = config.positive("global_head_dim")
    if wide:
        heads = config.positive("num_global_key_value_heads")
        return replace(
            found,
            kv_heads=(heads,) if heads else found.kv_heads,
            key_length=wide,
            value_length=wide,
            sliding_kv_heads=max(found.kv_heads),
            sliding_key_length=found.key_length,
            sliding_value_length=found.value_length,
        )
    narrow = config.positive("swa_num_key_value_heads")
    if not narrow:
        return found
    length = config.positive("swa_head_dim") or found.key_length
    return replace(
        found,
        sliding_kv_heads=narrow,
        sliding_key_length=length,
        sliding_value_length=config.positive("swa_v_head_dim") or found.value_length,
    )


def _blocks(config: Document, heads: int) -> tuple[int, ...]:
    """Nemotron-NAS: each block has its own number of heads, or no attention."""
    numbers = []
    for block in config.sections("block_configs"):
        inner = block.section("attention")
        group = None if inner is None else inner.positive("n_heads_in_group")
        numbers.append(heads // group if group else 0)
    return tuple(numbers)


def _state_elements(config: Document) -> int:
    """Convolution window (kernel - 1 columns) and recurrent state, elements of one layer for one sequence."""
    for formula in (_gated_delta, _kimi_delta, _lightning, _short_convolution, _gated_linear, _mamba2, _mamba):
        elements = formula(config)
        if elements:
            return elements
    return 0


def _gated_delta(config: Document) -> int:
    """Qwen3-Next, Qwen3.5: convolution over queries, keys and values; one key x value matrix per value head."""
    values = config.positive("linear_num_value_heads")
    if not values:
        return 0
    keys = config.positive("linear_num_key_heads") or values
    key_length = config.positive("linear_key_head_dim") or 128
    value_length = config.positive("linear_value_head_dim") or 128
    window_columns = (config.positive("linear_conv_kernel_dim") or 4) - 1
    return window_columns * (2 * keys * key_length + values * value_length) + values * key_length * value_length


def _kimi_delta(config: Document) -> int:
    """Kimi Linear and its relatives: three convolutions and one square matrix per head."""
    linear = config.section("linear_attn_config")
    if linear is not None:
        heads, length = linear.positive("num_heads") or 0, linear.positive("head_dim") or 0
        kernel = (linear.positive("short_conv_kernel_size") or 4) - 1
    elif "linear_num_heads" in config:
        heads, length = config.positive("linear_num_heads") or 0, config.positive("linear_head_dim") or 0
        kernel = (config.positive("linear_conv_kernel_dim") or 4) - 1
    elif "short_conv_kernel_size" in config:
        heads, length = heads_of(config) or 0, config.positive("head_dim") or 0
        kernel = (config.positive("short_conv_kernel_size") or 4) - 1
    else:
        return 0
    return 3 * kernel * heads * length + heads * length * length


def _lightning(config: Document) -> int:
    """MiniMax: one square matrix per head, no convolution."""
    if "attn_type_list" not in config and not config.text("model_type").startswith("minimax"):
        return 0
    heads = heads_of(config) or 1
    return heads * _head_length(config, heads) ** 2


def _short_convolution(config: Document) -> int:
    """LFM2."""
    kernel = config.positive("conv_L_cache")
    return (kernel - 1) * (hidden_size(config) or 0) if kernel else 0


def _gated_linear(config: Document) -> int:
    """RecurrentGemma."""
    width = config.positive("lru_width")
    return width * (config.positive("conv1d_width") or 4) if width else 0


def _mamba2(config: Document) -> int:
    heads = config.positive("mamba_n_heads", "mamba_num_heads", "n_mamba_heads")
    if heads is None and config.text("model_type") == "mamba2":
        heads = config.positive("num_heads")
    state = config.positive("mamba_d_state", "ssm_state_size", "state_size")
    if not heads or not state:
        return 0
    inner = heads * (
        config.positive("mamba_d_head", "mamba_head_dim", "mamba_headdim", "head_dim") or _inner(config) // heads
    )
    groups = config.positive("mamba_n_groups", "n_groups", "mamba_ngroups") or 1
    kernel = config.positive("mamba_d_conv", "conv_kernel") or 4
    return (kernel - 1) * (inner + 2 * groups * state) + inner * state


def _mamba(config: Document) -> int:
    state = config.positive("mamba_d_state", "state_size", "ssm_state_size")
    kernel = config.positive("mamba_d_conv", "conv_kernel") or 4
    return (kernel - 1) * _inner(config) + _inner(config) * state if state else 0


def _inner(config: Document) -> int:
    return (config.positive("mamba_expand", "expand") or 2) * (hidden_size(config) or 0)
