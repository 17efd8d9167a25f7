"""What engines know about an architecture and its files do not say. Data in `architectures.json`.

Sources: `load_arch_hparams` of llama.cpp's src/models, and the configuration classes of transformers 5.23.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec


class Sliding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every `period`-th layer is full: the last of each group, or the first."""

    period: int
    window: int | None = None
    """Where the file does not say."""
    full_first: bool = False


class GgufArchitectures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By `general.architecture`."""

    sliding: Mapping[str, Sliding]
    window_ignored: frozenset[str]
    """The file names a window, llama.cpp keeps full caches all the same."""
    full_attention_interval: Mapping[str, int]
    attention_beside_state: frozenset[str]
    """Both in every layer."""
    state_without_feed_forward: frozenset[str]
    """Layers with neither attention nor feed-forward are state-space; those without attention only are dense."""
    layers_with_cache: Mapping[str, int]
    """Later layers share the cache of earlier ones."""
    embedding: frozenset[str]
    projector: frozenset[str]


class ConfigArchitectures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By `model_type` of config.json."""

    sliding_period: Mapping[str, int]
    slides_everywhere: frozenset[str]
    """Every layer has the window, when there is one."""
    caches_per_layer: Mapping[str, int]
    """Layers with several attentions in a row."""
    rotary_scale_included: frozenset[str]
    """max_position_embeddings is already the scaled length."""
    full_attention_interval: Mapping[str, int]
    all_state: frozenset[str]
    attention_beside_state: frozenset[str]
    positions_after_padding: frozenset[str]
    """Positions are counted from the padding token's number on, so that many fewer can be used."""


class TaskArchitectures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By the first of `architectures` in config.json."""

    embed_models: frozenset[str]
    generate_models: frozenset[str]
    """Those whose name does not end like the others."""
    speech_only: frozenset[str]
    vision_without_section: frozenset[str]


class Architectures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gguf: GgufArchitectures
    config: ConfigArchitectures
    tasks: TaskArchitectures


@cache
def known() -> Architectures:
    """The data of this build, read once."""
    data = files(__package__).joinpath("architectures.json").read_bytes()
    return msgspec.json.decode(data, type=Architectures)
