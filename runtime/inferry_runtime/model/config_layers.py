"""config.json -> what each layer keeps in memory. The rules are those of transformers' configuration classes."""

from enum import Enum, auto

from inferry_runtime.model.architectures import known
from inferry_runtime.model.json_document import Document

# The deepest published model has 162 layers.
MAX_LAYERS = 4096


class Layer(Enum):
    """What one layer keeps for each sequence."""

    FULL = auto()
    SLIDING = auto()
    STATE = auto()
    FULL_AND_STATE = auto()
    SLIDING_AND_STATE = auto()
    NOTHING = auto()

    @property
    def attends(self) -> bool:
        return self in (Layer.FULL, Layer.SLIDING, Layer.FULL_AND_STATE, Layer.SLIDING_AND_STATE)

    @property
    def slides(self) -> bool:
        return self in (Layer.SLIDING, Layer.SLIDING_AND_STATE)

    @property
    def keeps_state(self) -> bool:
        return self in (Layer.STATE, Layer.FULL_AND_STATE, Layer.SLIDING_AND_STATE)


# Names in `layer_types`, `layers_block_type` and `block_types` of published configurations.
_NAMED = {
    "attention": Layer.FULL,
    "full_attention": Layer.FULL,
    "global_attention": Layer.FULL,
    "indexed_attention": Layer.FULL,
    "sliding_attention": Layer.SLIDING,
    "local_attention": Layer.SLIDING,
    "chunked_attention": Layer.SLIDING,
    "sliding_window": Layer.SLIDING,
    "linear_attention": Layer.STATE,
    "mamba": Layer.STATE,
    "mamba2": Layer.STATE,
    "recurrent": Layer.STATE,
    "conv": Layer.STATE,
    "hybrid": Layer.FULL_AND_STATE,
    "hybrid_sliding": Layer.SLIDING_AND_STATE,
    "moe": Layer.NOTHING,
    "mlp": Layer.NOTHING,
}
# Nemotron-H writes one character per layer.
_LETTERS = {"M": Layer.STATE, "*": Layer.FULL, "-": Layer.NOTHING, "E": Layer.NOTHING}


def layer_count(config: Document) -> int | None:
    """Layers of the decoder (or of the only stack there is)."""
    count = config.positive(
        "num_hidden_layers", "decoder_layers", "num_decoder_layers", "n_layer", "n_layers", "num_layers"
    )
    if count is not None and count > MAX_LAYERS:
        raise config.wrong("num_hidden_layers", f"at most {MAX_LAYERS}")
    return count


def layers(config: Document) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """One entry per layer that owns its cache, and notes on what was guessed."""
    named, notes = _named(config)
    kinds = named or _patterned(config)
    shared = config.integer("num_kv_shared_layers") or 0
    return kinds[: max(0, len(kinds) - shared)], notes


def window(config: Document) -> int | None:
    """Tokens a sliding or chunked layer sees; None when the window is switched off."""
    if config.flag("use_sliding_window") is False:
        return None
    return config.positive("sliding_window", "sliding_window_size", "attention_chunk_size", "attention_window_size")


def _named(config: Document) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """From a list of names, one per layer."""
    for key in ("layer_types", "layers_block_type", "block_types"):
        names = config.texts(key)[:MAX_LAYERS]
        if not names:
            continue
        unknown = sorted(set(names) - set(_NAMED))
        notes = tuple(f"Layers of the unknown kind {name[:40]} are counted as full attention." for name in unknown[:3])
        # A short list is a pattern that repeats (RecurrentGemma).
        wanted = max(len(names), layer_count(config) or 0)
        kinds = [_NAMED.get(name, Layer.FULL) for name in names]
        return tuple(kinds[index % len(kinds)] for index in range(wanted)), notes
    letters = config.text("hybrid_override_pattern")[:MAX_LAYERS]
    return tuple(_LETTERS.get(letter, Layer.NOTHING) for letter in letters), ()


def _patterned(config: Document) -> tuple[Layer, ...]:
    """From the rule that a family of models goes by."""
    count, family = layer_count(config) or 0, config.text("model_type")
    if family in known().config.all_state:
        return (Layer.STATE,) * count
    if family in known().config.attention_beside_state:
        return (Layer.FULL_AND_STATE,) * count
    attending = _attending(config, count)
    if attending is not None:
        return tuple(Layer.FULL if index in attending else Layer.STATE for index in range(count))
    if window(config) is None:
        return (Layer.FULL,) * count
    return tuple(Layer.SLIDING if slides else Layer.FULL for slides in _sliding(config, count))


def _attending(config: Document, count: int) -> frozenset[int] | None:
    """Indices of the attention layers of a hybrid; None for a model that is none."""
    period, offset = config.positive("attn_layer_period"), config.integer("attn_layer_offset") or 0
    if period:
        return frozenset(index for index in range(count) if index % period == offset)
    for key in ("attn_layer_indices", "full_attn_idxs"):
        if key in config:
            return frozenset(config.integers(key))
    if "attn_type_list" in config:
        return frozenset(index for index, kind in enumerate(config.integers("attn_type_list")) if kind == 1)
    linear = config.section("linear_attn_config")
    if linear is not None and "full_attn_layers" in linear:
        return frozenset(index - 1 for index in linear.integers("full_attn_layers"))
    default = known().config.full_attention_interval.get(config.text("model_type"))
    interval = config.positive("full_attention_interval") or default
    if interval and "linear_num_value_heads" in config:
        return frozenset(index for index in range(count) if (index + 1) % interval == 0)
    return None


def _sliding(config: Document, count: int) -> tuple[bool, ...]:
    """Which layers of a model with a window have it."""
    letters = config.text("sliding_window_pattern")
    if letters:
        return tuple(letters[index % len(letters)] == "L" for index in range(count))
    if "no_rope_layers" in config:
        rotary = config.integers("no_rope_layers")
        return tuple(bool(rotary[index]) if index < len(rotary) else False for index in range(count))
    if "max_window_layers" in config:
        first = config.integer("max_window_layers") or 0
        return tuple(index >= first for index in range(count))
    default = known().config.sliding_period.get(config.text("model_type"))
    period = config.positive("sliding_window_pattern", "_sliding_window_pattern", "no_rope_layer_interval") or default
    return tuple(period is None or (index + 1) % period != 0 for index in range(count))
