"""What each engine takes: the matrix of formats and quantizations, then hardware, architecture and task."""

import pytest

from inferry.catalog.load import load_catalog
from inferry_runtime.engines.base import EngineRelease, Verdict
from inferry_runtime.engines.registry import ENGINES
from inferry_runtime.hardware import Hardware, Vendor
from inferry_runtime.model.facts import Format, ModelFacts, Quantization, Task, WeightFile
from worlds.facts import a_gguf, a_node, gpu, safetensors

CATALOG = load_catalog()
GPU_NODE = a_node("gpu-1", gpu(capability="9.0"))
CPU_NODE = a_node()
MAC = a_node("mac", gpu("M4", vendor=Vendor.APPLE, capability=None), system="darwin", machine="arm64")


def verdict(engine: str, facts: ModelFacts, node: Hardware = GPU_NODE, release: EngineRelease | None = None) -> Verdict:
    return ENGINES[engine].accepts(facts, node, release or CATALOG.release(engine))


def quantized(method: str, bits: float | None, label: str = "") -> ModelFacts:
    return safetensors(quantization=Quantization(method=method, bits=bits, label=label))


MODELS = {
    "unquantized": safetensors(),
    "gptq-4": quantized("gptq", 4),
    "gptq-2": quantized("gptq", 2),
    "awq-4": quantized("awq", 4),
    "awq-8": quantized("awq", 8),
    "awq-3": quantized("awq", 3),
    "fp8": quantized("fp8", 8),
    "fp4": quantized("fp4", 4, "nvfp4"),
    "bnb-4": quantized("bnb", 4),
    "compressed-tensors": quantized("compressed-tensors", 4, "w4a16"),
    "gguf": a_gguf(),
    "mlx-4": safetensors(format=Format.MLX, quantization=Quantization(method="mlx", bits=4)),
}
#                       vllm sglang llamacpp transformers mlx
MATRIX = {
    "unquantized":        "y     y      -        y          -",
    "gptq-4":             "y     y      -        y          -",
    "gptq-2":             "-     y      -        y          -",
    "awq-4":              "y     y      -        y          -",
    "awq-8":              "y     y      -        y          -",
    "awq-3":              "-     y      -        y          -",
    "fp8":                "y     y      -        -          -",
    "fp4":                "y     -      -        y          -",
    "bnb-4":              "y     y      -        y          -",
    "compressed-tensors": "y     y      -        -          -",
    "gguf":               "y     -      y        -          -",
    "mlx-4":              "-     -      -        -          y",
}  # fmt: skip


@pytest.mark.parametrize("model", MATRIX)
def test_formats_and_quantizations_on_a_new_accelerator(model: str) -> None:
    engines = ("vllm", "sglang", "llamacpp", "transformers", "mlx")
    answers = {engine: verdict(engine, MODELS[model]).accepted for engine in engines}
    assert answers == {engine: mark == "y" for engine, mark in zip(engines, MATRIX[model].split(), strict=True)}


@pytest.mark.parametrize(
    ("label", "accepted"),
    [
        pytest.param("AWQ-FP16Mix", True, id="a mix that names no width is tried"),
        pytest.param("Int4", True, id="a label stands in for missing bits"),
        pytest.param("Int3", False, id="a label of a width without kernels is refused"),
        pytest.param("Int4-Int8Mix", True, id="a mix of two known widths"),
        pytest.param("Int3-Int4Mix", False, id="a known width does not excuse an unknown one"),
        pytest.param("model-40B-Int3", False, id="digits elsewhere in a label are no width"),
    ],
)
def test_labels_are_read_and_not_searched_for_digits(label: str, accepted: bool) -> None:
    assert verdict("vllm", quantized("awq", None, label)).accepted is accepted


def test_fp8_on_transformers_is_for_the_architectures_with_code_for_it() -> None:
    listed = safetensors(
        architecture="Qwen3VLMoeForConditionalGeneration", quantization=Quantization(method="fp8", bits=8)
    )
    assert verdict("transformers", listed).accepted
    assert verdict("transformers", MODELS["fp8"]).reason == "QuantizationNotSupported"


@pytest.mark.parametrize(
    ("engine", "model", "node", "reason"),
    [
        pytest.param("llamacpp", a_gguf(), CPU_NODE, "Accepted", id="llama.cpp needs no accelerator"),
        pytest.param("transformers", safetensors(), CPU_NODE, "Accepted", id="neither does Transformers"),
        pytest.param("vllm", safetensors(), CPU_NODE, "Accepted", id="nor vLLM on an x86 server"),
        pytest.param("vllm", MODELS["awq-4"], CPU_NODE, "Accepted", id="vLLM has AWQ kernels for CPUs"),
        pytest.param("vllm", MODELS["fp8"], CPU_NODE, "AcceleratorMissing", id="and no fp8 kernels for CPUs"),
        pytest.param("vllm", a_gguf(), CPU_NODE, "AcceleratorMissing", id="nor any for GGUF on CPUs"),
        pytest.param("sglang", safetensors(), CPU_NODE, "AcceleratorMissing", id="SGLang needs an accelerator"),
        pytest.param("transformers", MODELS["gptq-4"], CPU_NODE, "AcceleratorMissing", id="quantizers need one too"),
        pytest.param("vllm", safetensors(), MAC, "PlatformNotSupported", id="vLLM is for Linux"),
        pytest.param("mlx", MODELS["mlx-4"], MAC, "Accepted", id="MLX is at home on Apple silicon"),
        pytest.param(
            "sglang",
            safetensors(),
            a_node("amd", gpu("MI300X", vendor=Vendor.AMD, capability=None)),
            "AcceleratorMissing",
            id="an accelerator of another maker is none",
        ),
        pytest.param(
            "vllm", MODELS["awq-4"], a_node("old", gpu("V100", capability="7.0")), "AcceleratorMissing",
            id="AWQ kernels start with compute capability 7.5",
        ),
        pytest.param(
            "vllm", safetensors(), a_node("older", gpu("P100", capability="6.0")), "AcceleratorMissing",
            id="vLLM itself starts with 7.0",
        ),
        pytest.param(
            "llamacpp", a_gguf(), a_node("odd", machine="riscv64"), "PlatformNotSupported", id="no wheel for it"
        ),
    ],
)  # fmt: skip
def test_hardware(engine: str, model: ModelFacts, node: Hardware, reason: str) -> None:
    assert verdict(engine, model, node).reason == reason


RELEASE = EngineRelease(
    engine="vllm",
    version="0.11.0",
    variants=(),
    images={},
    architectures={"Qwen2ForCausalLM": "", "Qwen3NextForCausalLM": "0.10.2", "GlmMoeDsaForCausalLM": "0.16.0"},
)


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("Qwen2ForCausalLM", "Accepted"),
        ("Qwen3NextForCausalLM", "Accepted"),
        ("GlmMoeDsaForCausalLM", "EngineVersionTooOld"),
        ("NobodyForCausalLM", "ArchitectureNotSupported"),
    ],
)
def test_architectures_are_those_of_the_release(architecture: str, reason: str) -> None:
    assert verdict("vllm", safetensors(architecture=architecture), release=RELEASE).reason == reason


def test_an_architecture_that_is_too_new_names_the_version_it_needs() -> None:
    answer = verdict("vllm", safetensors(architecture="GlmMoeDsaForCausalLM"), release=RELEASE)
    assert "0.16.0" in answer.message
    assert answer.would_fit == "engine.version 0.16.0 or newer."


def test_an_engine_without_a_list_is_asked_to_try() -> None:
    assert verdict("llamacpp", a_gguf(architecture="something-new"), CPU_NODE).accepted


def test_gguf_architectures_are_translated_for_an_engine_with_a_list() -> None:
    assert verdict("vllm", a_gguf(architecture="qwen3"), GPU_NODE).accepted
    assert verdict("vllm", a_gguf(architecture="something-new"), GPU_NODE).reason == "ArchitectureNotSupported"


def test_a_split_gguf_is_for_llama_cpp() -> None:
    parts = tuple(WeightFile(path=f"model-{part}.gguf", size_bytes=1) for part in (1, 2, 3))
    split = a_gguf(weights=parts)
    assert verdict("llamacpp", split).accepted
    assert verdict("vllm", split).reason == "QuantizationNotSupported"
    assert "3" in verdict("vllm", split).message


@pytest.mark.parametrize(
    ("engine", "facts", "reason"),
    [
        ("llamacpp", a_gguf(tasks=(Task.EMBED,)), "Accepted"),
        ("transformers", safetensors(tasks=(Task.EMBED,)), "TaskNotSupported"),
        ("transformers", safetensors(tasks=(Task.EMBED, Task.CHAT)), "Accepted"),
        ("llamacpp", a_gguf(tasks=(Task.VISION,)), "TaskNotSupported"),
        (
            "llamacpp",
            a_gguf(tasks=(Task.VISION,), projectors=(WeightFile(path="mmproj.gguf", size_bytes=1),)),
            "Accepted",
        ),
        ("vllm", safetensors(tasks=()), "Accepted"),
    ],
)
def test_one_task_that_can_be_answered_is_enough(engine: str, facts: ModelFacts, reason: str) -> None:
    assert verdict(engine, facts, CPU_NODE).reason == reason


def test_an_accepted_model_says_which_tasks_are_lost() -> None:
    answer = verdict("transformers", safetensors(tasks=(Task.CHAT, Task.EMBED)), CPU_NODE)
    assert "without embed" in answer.message


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("node", [CPU_NODE, GPU_NODE, MAC], ids=lambda node: node.name)
def test_every_answer_is_a_sentence_and_a_refusal_says_what_would_fit(engine: str, model: str, node: Hardware) -> None:
    answer = verdict(engine, MODELS[model], node)
    assert answer.engine == engine
    assert answer.message.endswith(".")
    assert bool(answer.would_fit) is not answer.accepted
    assert (answer.reason == "Accepted") is answer.accepted
