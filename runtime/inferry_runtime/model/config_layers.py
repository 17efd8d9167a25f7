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
        "num_hidden_layers",
        "decoder_layers",
        "num_decoder_layers",
        "n_layer",
        "n_layers",
        "num_layers",
        "num_transformer_layers",
    )
    if count is not None and count > MAX_LAYERS:
        raise config.wrong("num_hidden_layers", f"at most {MAX_LAYERS}")
    return count


def layers(config: Document) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """One entry per layer that owns its cache, and notes on what was guessed."""
    kinds, notes = _named(config)
    if not kinds:
        kinds, notes = _patterned(config)
    shared = config.integer("num_kv_shared_layers") or 0
    caches = known().config.caches_per_layer.get(config.text("model_type"), 1)
    return kinds[: max(0, len(kinds) - shared)] * caches, notes


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
        if "attention_window_size" in config:
            # RecurrentGemma calls its layers "attention", and all of them see a window only.
            kinds = [Layer.SLIDING if kind is Layer.FULL else kind for kind in kinds]
        return tuple(kinds[index % len(kinds)] for index in range(wanted)), notes
    letters = config.text("hybrid_override_pattern")[:MAX_LAYERS]
    return tuple(_LETTERS.get(letter, Layer.NOTHING) for letter in letters), ()


def _patterned(config: Document) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """From the rule that a family of models goes by."""
    count, family = layer_count(config) or 0, config.text("model_type")
    if family in known().config.all_state:
        return (Layer.STATE,) * count, ()
    if family in known().config.attention_beside_state:
        return (Layer.FULL_AND_STATE,) * count, ()
    attending = _attending(config, count)
    if attending is not None:
        return tuple(Layer.FULL if index in attending else Layer.STATE for index in range(count)), ()
    if window(config) is None:
        return (Layer.FULL,) * count, ()
    slides = _sliding(config, count)
    if slides is None:
        note = f"Which layers of {family[:40]} see only {window(config)} tokens is not known; all are counted as full."
        return (Layer.FULL,) * count, (note,)
    return tuple(Layer.SLIDING if one else Layer.FULL for one in slides), ()


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


def _sliding(config: Document, count: int) -> tuple[bool, ...] | None:
    """Which layers of a model with a window have it; None when nothing says so."""
    family, rules = config.text("model_type"), known().config
    letters = config.text("sliding_window_pattern")
    if letters:
        return tuple(letters[index % len(letters)] == "L" for index in range(count))
    for key in ("no_rope_layers", "hybrid_layer_pattern"):
        marks = config.integers(key)
        if marks:
            return tuple(index < len(marks) and marks[index] == 1 for index in range(count))
    if "max_window_layers" in config:
        first = config.integer("max_window_layers") or 0
        return tuple(index >= first for index in range(count))
    named = config.positive("sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers")
    period = named or config.positive("no_rope_layer_interval") or rules.sliding_period.get(family)
    if period is None:
        return (True,) * count if family in rules.slides_everywhere else None
    return tuple((index + 1) % period != 0 for index in range(count))
