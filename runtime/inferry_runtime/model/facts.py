"""What is true of a model, read from its own headers. The one description every room above decides on."""

from dataclasses import dataclass, field
from enum import StrEnum


class Format(StrEnum):
    """How the weights are stored."""

    SAFETENSORS = "safetensors"
    GGUF = "gguf"
    MLX = "mlx"
    """Safetensors written by mlx-lm; no other engine reads their quantization."""
    PICKLE = "pickle"
    """`*.bin`, `*.pt`: loading one may run code, so it is refused unless allowed."""


class Task(StrEnum):
    """What a model can be asked to do."""

    GENERATE = "generate"
    CHAT = "chat"
    VISION = "vision"
    AUDIO = "audio"
    EMBED = "embed"
    RERANK = "rerank"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How weights are squeezed. `method` is one of none, gguf, gptq, awq, fp8, fp4, bnb, compressed-tensors, mlx."""

    method: str = "none"
    bits: float | None = None
    """Bits per weight the method names (4, 8, ...); None when unquantized or mixed beyond naming."""
    label: str = ""
    """As the file says it: "Q4_K_M", "w4a16", "nvfp4"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Shape of the KV cache. All lengths in elements, `window` in tokens."""

    layers: int
    """Layers with any attention, full and sliding together; state-space layers are not counted."""
    heads: int
    kv_heads: tuple[int, ...]
    """Per attention layer; a single entry stands for all of them."""
    key_length: int
    value_length: int
    sliding_window: int | None = None
    sliding_layers: int = 0
    """How many of `layers` see only `sliding_window` tokens."""
    sliding_kv_heads: int | None = None
    """Where sliding layers differ from the others: then `kv_heads` and the lengths above are those of full layers."""
    sliding_key_length: int | None = None
    sliding_value_length: int | None = None
    latent_length: int | None = None
    """MLA: kv_lora_rank + qk_rope_head_dim, cached once per layer instead of keys and values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpace:
    """Layers whose memory does not grow with the context (Mamba, gated delta nets)."""

    layers: int
    state_elements: int
    """Elements kept per layer and sequence: recurrent state and convolution window together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One loadable model: one format, one quantization, one set of weight files."""

    format: Format
    quantization: Quantization
    architecture: str
    """As the file names it: "Qwen2ForCausalLM" from config.json, "qwen2" from GGUF."""
    tasks: tuple[Task, ...]
    weights: tuple[WeightFile, ...]
    """In load order; for a split GGUF the first part comes first."""
    projectors: tuple[WeightFile, ...] = ()
    """Multimodal projector files beside a GGUF."""
    dtype: str = ""
    """Unquantized element type: "bfloat16", "float16", "float32"."""
    context_length: int | None = None
    """Longest context the model was trained for, in tokens."""
    parameters: int | None = None
    hidden_size: int | None = None
    intermediate_size: int | None = None
    vocabulary_size: int | None = None
    experts: int | None = None
    experts_per_token: int | None = None
    attention: Attention | None = None
    state_space: StateSpace | None = None
    chat_template: bool = False
    pooling: str = ""
    """"mean", "cls", "last" or "rank" when the files name one."""
    license: str = ""
    name: str = ""
    remote_code: bool = False
    """The repository asks to run its own Python (auto_map)."""
    notes: tuple[str, ...] = field(default=())
    """What the reader had to guess or ignore, in sentences."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weight files, without projectors."""
        return sum(file.size_bytes for file in self.weights)
