"""The many ways a repository says how its safetensors are quantized -> one `Quantization`. Everything is parsed."""

import re
from collections.abc import Callable, Mapping

from inferry_runtime.model.facts import Quantization
from inferry_runtime.model.json_document import Document

UNQUANTIZED = Quantization()

# ModelOpt's names, such as "NVFP4", "FP8", "W4A16_AWQ", "INT4_AWQ", "W4A8_MXFP4_FP8", "FP8_PB_WO".
_MODELOPT = re.compile(r"(?:W(?P<width>\d+)A\d+_)?(?P<kind>NVFP4|MXFP4|MXFP8|FP8|FP4|INT4|INT8|NVFP8|AWQ|SQ)(?:_.*)?")
_KIND_BITS = {"NVFP4": 4.0, "MXFP4": 4.0, "FP4": 4.0, "MXFP8": 8.0, "NVFP8": 8.0, "FP8": 8.0, "INT4": 4.0, "INT8": 8.0}


def of_config(config: Document) -> Quantization:
    """What config.json says, at the top or inside its text part."""
    section = _section(config)
    if section is None:
        return _mlx(config.section("quantization")) or UNQUANTIZED
    method = section.text("quant_method").lower().replace("_", "-")
    if not method:
        return _without_method(section)
    reader = _READERS.get(method)
    return reader(section) if reader is not None else Quantization(method=method, bits=_bits(section), label=method)


def of_modelopt(document: Document) -> Quantization | None:
    """hf_quant_config.json, which ModelOpt writes beside config.json."""
    section = document.section("quantization") or document
    return _modelopt(section) if section.text("quant_algo") else None


def is_mlx(config: Document) -> bool:
    """mlx-lm writes `quantization` with a group size, and a copy of it as `quantization_config`, without a method."""
    section = config.section("quantization", "quantization_config")
    return _mlx(section) is not None


def _section(config: Document) -> Document | None:
    inner = config.section("text_config", "llm_config", "language_config")
    for document in (config, inner):
        section = None if document is None else document.section("quantization_config", "compression_config")
        if section is not None:
            return section
    return None


def _without_method(section: Document) -> Quantization:
    if section.text("quant_algo"):
        return _modelopt(section)
    if section.flag("load_in_4bit") or section.flag("load_in_8bit"):
        return _bitsandbytes(section)
    return _mlx(section) or Quantization(method="unknown", bits=_bits(section), label="unknown")


def _mlx(section: Document | None) -> Quantization | None:
    foreign = section is None or section.text("quant_method", "quant_algo", "version")
    if section is None or foreign or "group_size" not in section:
        return None
    bits, mode = _bits(section), section.text("mode")
    label = mode if mode not in ("", "affine") else f"{bits or 0:g}bit"
    return Quantization(method="mlx", bits=bits, label=label)


def _gptq(section: Document) -> Quantization:
    return _integers("gptq", section)


def _awq(section: Document) -> Quantization:
    return _integers("awq", section)


def _integers(method: str, section: Document) -> Quantization:
    """GPTQModel's `dynamic` gives some layers another width ("+:" and a pattern), or leaves them out ("-:")."""
    dynamic = section.section("dynamic")
    rules = [] if dynamic is None else [dynamic.section(rule) for rule in dynamic.names() if not rule.startswith("-")]
    widths = sorted({width for one in (section, *rules) if one is not None and (width := _bits(one)) is not None})
    group = section.positive("group_size", "q_group_size")
    label = "-".join([*(f"int{width:g}" for width in widths), *([f"g{group}"] if group else [])])
    return Quantization(method=method, bits=widths[0] if len(widths) == 1 else None, label=label)


def _auto_round(section: Document) -> Quantization:
    """AutoRound packs like another method, and says which: "auto_round:auto_gptq"."""
    packing = section.text("packing_format").split(":")[-1]
    methods = {"auto_gptq": "gptq", "gptqmodel": "gptq", "auto_awq": "awq"}
    return _integers(methods.get(packing, "auto-round"), section)


def _fp8(section: Document) -> Quantization:
    block = section.integers("weight_block_size")
    label = "fp8" + ("-block" + "x".join(map(str, block)) if block else "")
    return Quantization(method="fp8", bits=8.0, label=label)


def _bitsandbytes(section: Document) -> Quantization:
    if section.flag("load_in_4bit"):
        return Quantization(method="bnb", bits=4.0, label=section.text("bnb_4bit_quant_type") or "fp4")
    return Quantization(method="bnb", bits=8.0, label="int8")


def _fp_quant(section: Document) -> Quantization:
    return Quantization(method="fp4", bits=4.0, label=section.text("forward_dtype") or "fp4")


def _named(method: str, bits: float, label: str) -> "Callable[[Document], Quantization]":
    return lambda _section: Quantization(method=method, bits=bits, label=label)


def _compressed_tensors(section: Document) -> Quantization:
    """Groups of layers, each with the width of weights and activations; several widths are named, not averaged."""
    groups = section.section("config_groups")
    schemes = [] if groups is None else [_scheme(group) for key in groups.names() if (group := groups.section(key))]
    labels = sorted({label for label, _ in schemes})
    widths = {bits for _, bits in schemes}
    bits = widths.pop() if len(widths) == 1 else None
    stored = section.text("format")
    label = "nvfp4" if stored == "nvfp4-pack-quantized" else "mxfp4" if stored == "mxfp4-pack-quantized" else ""
    return Quantization(method="compressed-tensors", bits=bits, label=label or "-".join(labels) or stored)


def _scheme(group: Document) -> tuple[str, float | None]:
    weights, activations = group.section("weights"), group.section("input_activations")
    if weights is None:
        return "", None
    bits = _bits(weights)
    if weights.text("type") == "float" and bits == 8.0:
        return "fp8", bits
    carried = None if activations is None else _bits(activations)
    return f"w{bits or 16:g}a{carried or 16:g}", bits


def _modelopt(section: Document) -> Quantization:
    algorithm = section.text("quant_algo").upper()
    found = _MODELOPT.fullmatch(algorithm)
    if found is None:
        # MIXED_PRECISION lists a width per layer; there is no single one.
        return Quantization(method="modelopt", bits=None, label=algorithm.lower() or "modelopt")
    kind, width = found["kind"], found["width"]
    bits = _KIND_BITS.get(kind) or (float(width) if width else None)
    method = "fp4" if kind.endswith("FP4") else "fp8" if kind.endswith("FP8") else "modelopt"
    return Quantization(method=method, bits=bits, label=algorithm.lower())


def _bits(section: Document) -> float | None:
    bits = section.positive("bits", "w_bit", "num_bits", "nbits")
    return None if bits is None else float(bits)


_READERS: Mapping[str, Callable[[Document], Quantization]] = {
    "gptq": _gptq,
    "awq": _awq,
    "auto-round": _auto_round,
    "intel/auto-round": _auto_round,
    "fp8": _fp8,
    "fbgemm-fp8": _named("fp8", 8.0, "fbgemm-fp8"),
    "mxfp8": _named("fp8", 8.0, "mxfp8"),
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed_tensors,
    "mxfp4": _named("fp4", 4.0, "mxfp4"),
    "nvfp4": _named("fp4", 4.0, "nvfp4"),
    "fp-quant": _fp_quant,
    "modelopt": _modelopt,
    "modelopt-fp4": _modelopt,
}
