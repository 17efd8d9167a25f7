"""How safetensors say they are quantized, in every published spelling."""

import json

import pytest

from inferry_runtime.model.errors import ModelNotFound
from inferry_runtime.model.facts import Format, Quantization
from unit.model_headers import configs
from unit.model_headers.builders import looked_at, model


def wna16(bits: int, kind: str = "int") -> dict[str, object]:
    return {"weights": {"num_bits": bits, "type": kind}, "input_activations": None}


INT8 = {"weights": {"num_bits": 8, "type": "int"}, "input_activations": {"num_bits": 8, "type": "int"}}
FP8 = {"weights": {"num_bits": 8, "type": "float"}, "input_activations": {"num_bits": 8, "type": "float"}}
NVFP4 = {"weights": {"num_bits": 4, "type": "float"}, "input_activations": {"num_bits": 4, "type": "float"}}
MANY = {"quant_method": "compressed-tensors", "format": "pack-quantized"}

SECTIONS = {
    "gptq": ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False}, ("gptq", 4, "int4-g128")),
    "gptq of eight bits": ({"quant_method": "gptq", "bits": 8, "group_size": -1}, ("gptq", 8, "int8")),
    "gptq with other widths for some layers": (
        {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"+:.*gate": {"bits": 8}}},
        ("gptq", None, "int4-int8-g128"),
    ),
    "gptq that only leaves layers out": (
        {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"-:.*gate": {}}},
        ("gptq", 4, "int4-g128"),
    ),
    "awq": (
        {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True},
        ("awq", 4, "int4-g128"),
    ),
    "awq with its older keys": ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, ("awq", 4, "int4-g64")),
    "auto-round that packs like gptq": (
        {"quant_method": "auto-round", "bits": 4, "group_size": 128, "packing_format": "auto_round:auto_gptq"},
        ("gptq", 4, "int4-g128"),
    ),
    "auto-round that packs like awq": (
        {"quant_method": "auto-round", "bits": 4, "packing_format": "auto_round:auto_awq"},
        ("awq", 4, "int4"),
    ),
    "bitsandbytes nf4": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4"},
        ("bnb", 4, "nf4"),
    ),
    "bitsandbytes without a method": ({"load_in_8bit": True, "load_in_4bit": False}, ("bnb", 8, "int8")),
    "fp8 in blocks": ({"quant_method": "fp8", "weight_block_size": [128, 128]}, ("fp8", 8, "fp8-block128x128")),
    "fp8 per tensor": ({"quant_method": "fp8", "activation_scheme": "static"}, ("fp8", 8, "fp8")),
    "fbgemm fp8": ({"quant_method": "fbgemm_fp8"}, ("fp8", 8, "fbgemm-fp8")),
    "mxfp4": ({"quant_method": "mxfp4"}, ("fp4", 4, "mxfp4")),
    "fp-quant": ({"quant_method": "fp_quant", "forward_dtype": "nvfp4"}, ("fp4", 4, "nvfp4")),
    "compressed w4a16": ({**MANY, "config_groups": {"group_0": wna16(4)}}, ("compressed-tensors", 4, "w4a16")),
    "compressed w8a8": ({**MANY, "config_groups": {"group_0": INT8}}, ("compressed-tensors", 8, "w8a8")),
    "compressed fp8": (
        {**MANY, "format": "float-quantized", "config_groups": {"g": FP8}},
        ("compressed-tensors", 8, "fp8"),
    ),
    "compressed nvfp4": (
        {**MANY, "format": "nvfp4-pack-quantized", "config_groups": {"g": NVFP4}},
        ("compressed-tensors", 4, "nvfp4"),
    ),
    "compressed in two widths": (
        {**MANY, "config_groups": {"a": wna16(4), "b": wna16(8)}},
        ("compressed-tensors", None, "w4a16-w8a16"),
    ),
    "modelopt nvfp4": ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, ("fp4", 4, "nvfp4")),
    "modelopt fp8": ({"quant_method": "modelopt", "quant_algo": "FP8"}, ("fp8", 8, "fp8")),
    "modelopt awq": ({"quant_method": "modelopt", "quant_algo": "W4A16_AWQ"}, ("modelopt", 4, "w4a16_awq")),
    "modelopt in several": (
        {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"},
        ("modelopt", None, "mixed_precision"),
    ),
    "a method nobody told us of": ({"quant_method": "hqq", "nbits": 4}, ("hqq", 4, "hqq")),
    "nothing that can be named": ({"surprise": True}, ("unknown", None, "unknown")),
}


@pytest.mark.parametrize(("section", "expected"), SECTIONS.values(), ids=SECTIONS)
def test_quantization_config(section: dict[str, object], expected: tuple[str, float | None, str]) -> None:
    found = looked_at(model({**configs.LLAMA_31_8B, "quantization_config": section})).facts
    method, bits, label = expected
    assert found.quantization == Quantization(method=method, bits=bits, label=label)
    assert found.format is Format.SAFETENSORS


def test_a_multimodal_model_may_keep_it_in_its_text_part() -> None:
    section = {"quant_method": "awq", "bits": 4}
    config = {
        **configs.GEMMA_3_12B,
        "text_config": {**configs.GEMMA_3_12B["text_config"], "quantization_config": section},
    }  # type: ignore[dict-item]
    assert looked_at(model(config)).facts.quantization.method == "awq"


def test_modelopt_may_write_a_file_of_its_own() -> None:
    own = json.dumps(
        {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}
    )
    found = looked_at(model(configs.LLAMA_31_8B, hf_quant_config__json=own.encode()))
    assert found.facts.quantization == Quantization(method="fp4", bits=4.0, label="nvfp4")
    assert "hf_quant_config.json" in [file.path for file in found.files]


MLX = {
    "affine": ({"group_size": 64, "bits": 4}, ("mlx", 4, "4bit")),
    "by name": ({"group_size": 32, "bits": 4, "mode": "mxfp4"}, ("mlx", 4, "mxfp4")),
}


@pytest.mark.parametrize(("section", "expected"), MLX.values(), ids=MLX)
def test_mlx_is_known_by_a_section_without_a_method(
    section: dict[str, object], expected: tuple[str, float, str]
) -> None:
    for config in ({"quantization": section}, {"quantization": section, "quantization_config": section}):
        found = looked_at(model({**configs.LLAMA_31_8B, **config})).facts
        assert found.format is Format.MLX
        assert (found.quantization.method, found.quantization.bits, found.quantization.label) == expected


@pytest.mark.parametrize("wanted", ["awq", "AWQ", "int4", "Int4", "4bit", "4-bit", "w4a16", "int4-g128", "AWQ-Lite"])
def test_a_quantization_that_is_there_may_be_asked_for(wanted: str) -> None:
    config = {**configs.LLAMA_31_8B, "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
    assert looked_at(model(config), quantization=wanted).facts.quantization.method == "awq"


@pytest.mark.parametrize("wanted", ["gptq", "int8", "8bit", "none", "bf16", "fp8"])
def test_another_quantization_is_refused(wanted: str) -> None:
    config = {**configs.LLAMA_31_8B, "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
    with pytest.raises(ModelNotFound, match=f"there is no quantization {wanted}; the weights are int4-g128"):
        looked_at(model(config), quantization=wanted)


def test_unquantized_weights_answer_to_their_names() -> None:
    assert looked_at(model(configs.LLAMA_31_8B), quantization="none").facts.quantization == Quantization()
    with pytest.raises(ModelNotFound, match="the weights are unquantized"):
        looked_at(model(configs.LLAMA_31_8B), quantization="int4")


def test_ordinary_safetensors_are_not_mlx() -> None:
    with pytest.raises(ModelNotFound, match="no MLX weights"):
        looked_at(model(configs.LLAMA_31_8B), format="mlx")
