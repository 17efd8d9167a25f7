"""The JSON files beside safetensors -> the parts of `ModelFacts` that are not sums over files. Pure."""

from dataclasses import dataclass

from inferry_runtime.model import config_attention, config_quantization
from inferry_runtime.model.architectures import known
from inferry_runtime.model.config_layers import layers
from inferry_runtime.model.facts import Format, ModelFacts, Quantization, Task
from inferry_runtime.model.json_document import Document

# Multimodal configurations keep the language model's numbers in one of these.
_TEXT_SECTIONS = ("text_config", "llm_config", "language_config", "language_model_config")
_LENGTH_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
    "n_ctx",
    "max_context_length",
)
# Kinds of position scaling whose factor max_position_embeddings already contains.
_SCALED_BEFORE = frozenset({"", "default", "mrope", "llama3", "longrope", "su", "proportional"})
_VISION_SECTIONS = ("vision_config", "visual", "vision_tower_config", "img_processor", "vit_config")
_GENERATING = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForVision2Seq", "ForImageTextToText")
_AUDIO_SECTIONS = ("audio_config", "audio_processor", "speech_config", "sound_config")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFiles:
    """What was read beside the weights; None where a file is not there."""

    config: Document
    tokenizer: Document | None = None
    """tokenizer_config.json or chat_template.json."""
    chat_template_file: bool = False
    """chat_template.jinja is there."""
    modelopt: Document | None = None
    sentence_modules: tuple[Document, ...] = ()
    pooling: Document | None = None
    sentence_bert: Document | None = None


def facts(files: ConfigFiles) -> ModelFacts:
    """Everything but weights, parameters and license."""
    config, text = files.config, text_config(files.config)
    quantization = quantization_of(files)
    experts = text.section("ffn_config")
    return ModelFacts(
        format=Format.MLX if config_quantization.is_mlx(config) else Format.SAFETENSORS,
        quantization=quantization,
        architecture=architecture(config),
        tasks=tasks(files),
        weights=(),
        dtype=config.text("torch_dtype", "dtype") or text.text("torch_dtype", "dtype"),
        context_length=context_length(files),
        hidden_size=config_attention.hidden_size(text),
        intermediate_size=text.positive("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size"),
        vocabulary_size=text.positive("vocab_size", "padded_vocab_size"),
        experts=text.positive("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
        or (experts.positive("moe_num_experts") if experts else None),
        experts_per_token=text.positive(
            "num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_top_k", "top_k_experts"
        )
        or (experts.positive("moe_top_k") if experts else None),
        attention=config_attention.attention(text),
        state_space=config_attention.state_space(text),
        chat_template=has_chat_template(files),
        pooling=pooling(files),
        name=config.text("_name_or_path") if not config.text("_name_or_path").startswith(("/", ".")) else "",
        remote_code=config.section("auto_map") is not None,
        notes=(*layers(text)[1], *_state_notes(text), *_task_notes(files)),
    )


def text_config(config: Document) -> Document:
    """The language model's own numbers over those at the top."""
    thinker = config.section("thinker_config")
    outer = config if thinker is None else config.merged(thinker)
    inner = outer.section(*_TEXT_SECTIONS)
    return outer if inner is None else outer.merged(inner)


def architecture(config: Document) -> str:
    names = config.texts("architectures")
    return names[0] if names else ""


def quantization_of(files: ConfigFiles) -> Quantization:
    """config.json first; ModelOpt's own file where config.json is silent."""
    found = config_quantization.of_config(files.config)
    if found == config_quantization.UNQUANTIZED and files.modelopt is not None:
        return config_quantization.of_modelopt(files.modelopt) or found
    return found


def context_length(files: ConfigFiles) -> int | None:
    """Tokens the model was trained for, with the position scaling its files switch on."""
    limit = None if files.sentence_bert is None else files.sentence_bert.positive("max_seq_length")
    text = text_config(files.config)
    positions = text.positive(*_LENGTH_KEYS)
    if positions is None:
        inner = text.section("attn_config")
        positions = inner.positive(*_LENGTH_KEYS) if inner else None
    if positions is None:
        return limit
    family = text.text("model_type")
    if family in known().config.positions_after_padding:
        positions = max(1, positions - (text.integer("pad_token_id") or 0) - 1)
    scaled = positions if family in known().config.rotary_scale_included else _scaled(text, positions)
    return min(scaled, limit) if limit else scaled


def has_chat_template(files: ConfigFiles) -> bool:
    return files.chat_template_file or (files.tokenizer is not None and "chat_template" in files.tokenizer)


def pooling(files: ConfigFiles) -> str:
    """As sentence-transformers' pooling module says."""
    modes = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last"}
    if files.pooling is None:
        return ""
    return next((name for key, name in modes.items() if files.pooling.flag(key)), "")


def tasks(files: ConfigFiles) -> tuple[Task, ...]:
    """What the files say the model is for; () when they say nothing that is served."""
    name = architecture(files.config)
    if name.endswith(("ForSequenceClassification", "ForRerank")):
        return (Task.RERANK,) if _labels(files.config) == 1 else ()
    if files.sentence_modules or name in known().tasks.embed_models:
        return (Task.EMBED,)
    if name in known().tasks.speech_only:
        return (Task.AUDIO,)
    if not _generates(name):
        return (Task.EMBED,) if _encodes(files.config, name) else ()
    return (Task.GENERATE, *((Task.CHAT,) if has_chat_template(files) else ()), *_senses(files.config, name))


def _generates(name: str) -> bool:
    return name.endswith(_GENERATING) or name in known().tasks.generate_models


def _encodes(config: Document, name: str) -> bool:
    """Text models without a head, or with one for filling gaps: their hidden states are the embedding."""
    bare = name.endswith("Model") and not any(section in config for section in (*_VISION_SECTIONS, *_AUDIO_SECTIONS))
    return name.endswith("ForMaskedLM") or (bare and "vocab_size" in text_config(config))


def _senses(config: Document, name: str) -> tuple[Task, ...]:
    outer = config.section("thinker_config") or config
    sees = (
        any(outer.section(key) is not None for key in _VISION_SECTIONS) or name in known().tasks.vision_without_section
    )
    hears = any(outer.section(key) is not None for key in _AUDIO_SECTIONS)
    return ((Task.VISION,) if sees else ()) + ((Task.AUDIO,) if hears else ())


def _labels(config: Document) -> int:
    """How many classes a classifier tells apart; transformers' default is two."""
    named = config.section("id2label")
    return config.positive("num_labels") or (len(list(named.names())) if named else 2)


def _state_notes(text: Document) -> tuple[str, ...]:
    count = sum(kind.keeps_state for kind in layers(text)[0])
    if count and config_attention.state_space(text) is None:
        return (f"How much {count} layers without attention keep per request is not known, and not counted.",)
    return ()


def _task_notes(files: ConfigFiles) -> tuple[str, ...]:
    name = architecture(files.config)
    if not name:
        return ("config.json names no architecture.",)
    if name.endswith("ForSequenceClassification") and _labels(files.config) != 1:
        return (f"{name} tells {_labels(files.config)} classes apart, which is no task that is served.",)
    if name.endswith("ForMaskedLM") and not files.sentence_modules:
        return (f"{name} was trained to fill gaps; its hidden states are served as embeddings.",)
    return () if tasks(files) else (f"What {name} is for is not known; model.tasks can say it.",)


def _scaled(text: Document, positions: int) -> int:
    rope = text.section("rope_scaling", "rope_parameters")
    if rope is not None:
        rope = rope.section("full_attention") or rope
    kind = "" if rope is None else rope.text("rope_type", "type")
    factor = None if rope is None else rope.number("factor")
    if rope is None or factor is None or kind in _SCALED_BEFORE or not 1 <= factor <= 4096:
        return positions
    if kind in ("yarn", "deepseek_yarn", "deepseek_llama_scaling"):
        return int((rope.positive("original_max_position_embeddings") or positions) * factor)
    return int(positions * factor)
