"""GGUF metadata -> what decides memory, length and use. The rules are those of llama.cpp's model loader."""

from collections.abc import Sequence
from dataclasses import dataclass

from inferry_runtime.model.architectures import known
from inferry_runtime.model.facts import Attention, Quantization, StateSpace, Task
from inferry_runtime.model.ggml import tables
from inferry_runtime.model.gguf_keys import GgufKeys
from inferry_runtime.model.labels import bits_of, is_plain

# https://github.com/ggml-org/llama.cpp/blob/master/include/llama.h, enum llama_pooling_type.
POOLING = {1: "mean", 2: "cls", 3: "last", 4: "rank"}
DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class _Layers:
    """Which layers have what. All tuples have one entry per layer."""

    kv_heads: tuple[int, ...]
    attends: tuple[bool, ...]
    keeps_state: tuple[bool, ...]


def attention(keys: GgufKeys) -> Attention | None:
    """None for models without any attention, or without the numbers."""
    layers, heads = _layers(keys), keys.positive(".attention.head_count")
    cached = [index for index in range(_cached_layers(keys)) if layers.attends[index]]
    if not heads or not cached:
        return None
    window, slides = _sliding(keys)
    every = tuple(layers.kv_heads[index] for index in cached)
    full = tuple(layers.kv_heads[index] for index in cached if not slides[index]) or every
    sliding = max((layers.kv_heads[index] for index in cached if slides[index]), default=0)
    differs = bool(sliding) and (keys.has(".attention.key_length_swa") or {sliding} != set(full))
    kv_heads = full if differs else every
    head_length = (keys.natural(".embedding_length") or 0) // heads
    return Attention(
        layers=len(cached),
        heads=heads,
        kv_heads=kv_heads[:1] if len(set(kv_heads)) == 1 else kv_heads,
        key_length=keys.positive(".attention.key_length") or head_length,
        value_length=keys.positive(".attention.value_length") or head_length,
        sliding_window=window,
        sliding_layers=sum(slides[index] for index in cached),
        sliding_kv_heads=sliding if differs else None,
        sliding_key_length=keys.positive(".attention.key_length_swa") if differs else None,
        sliding_value_length=keys.positive(".attention.value_length_swa") if differs else None,
        latent_length=_latent_length(keys),
    )


def state_space(keys: GgufKeys) -> StateSpace | None:
    """None when no layer keeps a state of constant size."""
    count = sum(_layers(keys).keeps_state)
    elements = _state_elements(keys)
    return StateSpace(layers=count, state_elements=elements) if count and elements else None


def quantization(keys: GgufKeys, name_label: str) -> tuple[Quantization, tuple[str, ...]]:
    """What the header says, or the file's name (`name_label`) where that says more: "UD-Q4_K_XL" is "Q4_K_M" inside."""
    file_type = keys.natural("general.file_type")
    stored = tables().file_types.get(-1 if file_type is None else file_type, "")
    notes: tuple[str, ...] = ()
    label = name_label or stored or _dominant_type(keys)
    if name_label and stored and bits_of(name_label) != bits_of(stored):
        label = stored
        notes = (f"{keys.file} is {stored} inside, not {name_label} as its name says.",)
    return Quantization(method="gguf", bits=None if is_plain(label) else bits_of(label), label=label), notes


def dtype(label: str) -> str:
    """Element type of an unquantized file, "" for quantized ones."""
    return DTYPES.get(label, "")


def pooling(keys: GgufKeys) -> str:
    return POOLING.get(keys.natural(".pooling_type") or 0, "")


def tasks(keys: GgufKeys) -> tuple[Task, ...]:
    """Without a projector: what the file can do by itself."""
    if pooling(keys) == "rank" or keys.has(".classifier.output_labels"):
        return (Task.RERANK,)
    if pooling(keys) or keys.architecture in known().gguf.embedding:
        return (Task.EMBED,)
    text = (Task.GENERATE, Task.CHAT) if chat_template(keys) else (Task.GENERATE,)
    return (*text, Task.VISION) if keys.header.tensors.encoder else text


def projector_tasks(keys: GgufKeys) -> tuple[Task, ...]:
    """What a projector file adds. Old ones say nothing and are for images."""
    audio = keys.flag("clip.has_audio_encoder") or False
    vision = keys.flag("clip.has_vision_encoder")
    if vision is None:
        vision = not audio
    return ((Task.VISION,) if vision else ()) + ((Task.AUDIO,) if audio else ())


def chat_template(keys: GgufKeys) -> bool:
    return any(key.startswith("tokenizer.chat_template") for key in (*keys.header.metadata, *keys.header.lengths))


def _layers(keys: GgufKeys) -> _Layers:
    count, rules = keys.layers(), known().gguf
    heads = keys.per_layer(".attention.head_count", count) or (0,) * count
    kv_heads = keys.per_layer(".attention.head_count_kv", count) or heads
    state = _state_layers(keys, kv_heads)
    if keys.architecture in rules.attention_beside_state:
        return _Layers(kv_heads, tuple(number > 0 for number in kv_heads), (True,) * count)
    attends = tuple(number > 0 and not recurrent for number, recurrent in zip(kv_heads, state, strict=True))
    return _Layers(kv_heads, attends, state)


def _state_layers(keys: GgufKeys, kv_heads: tuple[int, ...]) -> tuple[bool, ...]:
    count, rules = len(kv_heads), known().gguf
    if not _state_elements(keys):
        return (False,) * count
    listed = keys.per_layer(".attention.recurrent_layers", count)
    if listed is not None:
        return tuple(bool(entry) for entry in listed)
    interval = keys.positive(".full_attention_interval") or rules.full_attention_interval.get(keys.architecture)
    if interval:
        return tuple((index + 1) % interval != 0 for index in range(count))
    if keys.architecture in rules.state_without_feed_forward:
        forward = keys.per_layer(".feed_forward_length", count) or (0,) * count
        return tuple(number == 0 and width == 0 for number, width in zip(kv_heads, forward, strict=True))
    return tuple(number == 0 for number in kv_heads)


def _state_elements(keys: GgufKeys) -> int:
    """llama_hparams::n_embd_r + n_embd_s of llama.cpp: convolution window and recurrent state."""
    width = keys.natural(".embedding_length") or 0
    if head := keys.positive(".wkv.head_size"):
        shifts = keys.natural(".token_shift_count")
        return (2 if shifts is None else shifts) * width + width * head
    if window := keys.positive(".shortconv.l_cache"):
        return width * (window - 1)
    kernel = max(1, keys.natural(".ssm.conv_kernel") or 0) - 1
    if head := keys.positive(".kda.head_dim"):
        heads = keys.natural(".attention.head_count") or 0
        return 3 * kernel * heads * head + heads * head * head
    inner, state = keys.natural(".ssm.inner_size") or 0, keys.natural(".ssm.state_size") or 0
    groups = keys.natural(".ssm.group_count") or 0
    return kernel * (inner + 2 * groups * state) + state * inner


def _cached_layers(keys: GgufKeys) -> int:
    """Layers that own a cache; the last ones may read the cache of earlier ones."""
    count = keys.layers()
    shared = keys.natural(".attention.shared_kv_layers")
    if shared is not None:
        return max(0, count - shared)
    return min(count, known().gguf.layers_with_cache.get(keys.architecture, count))


def _sliding(keys: GgufKeys) -> tuple[int | None, tuple[bool, ...]]:
    """The window, and which layers have it."""
    count, rule = keys.layers(), known().gguf.sliding.get(keys.architecture)
    window = keys.natural(".attention.sliding_window")
    if window is None and rule is not None:
        window = rule.window
    slides = _sliding_layers(keys, count)
    if not window or keys.architecture in known().gguf.window_ignored or not any(slides):
        return None, (False,) * count
    return window, slides


def _sliding_layers(keys: GgufKeys, count: int) -> tuple[bool, ...]:
    """As the file lists them, else by its period, else by what llama.cpp knows of the architecture."""
    pattern, rule = ".attention.sliding_window_pattern", known().gguf.sliding.get(keys.architecture)
    if keys.entries(pattern) is not None:
        return tuple(bool(entry) for entry in keys.per_layer(pattern, count) or ())
    period = keys.positive(pattern) or (rule.period if rule else None)
    if period is None:
        return (False,) * count
    full = 0 if rule is not None and rule.full_first else period - 1
    return tuple(index % period != full for index in range(count))


def _latent_length(keys: GgufKeys) -> int | None:
    """Only files made for it are cached as latents; older ones of the same models are cached per head."""
    rank = keys.positive(".attention.kv_lora_rank")
    if not rank or not keys.has(".attention.key_length_mla"):
        return None
    return rank + (keys.natural(".rope.dimension_count") or 0)


def _dominant_type(keys: GgufKeys) -> str:
    sizes = keys.header.tensors.bytes_by_type
    return max(sizes, key=lambda name: (sizes[name], name), default="")


def unknown_types(parts: Sequence[GgufKeys]) -> tuple[str, ...]:
    """A note when the file may be newer than this build."""
    if any("unknown" in part.header.tensors.bytes_by_type for part in parts):
        return ("Some tensors are of a type this build does not know; only a newer engine reads them.",)
    return ()
