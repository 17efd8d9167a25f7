"""Engines by name, and the failures they are known by."""

import pytest

from inferry.api.reasons import Reason
from inferry_runtime.engines.base import Rejection, Signature
from inferry_runtime.engines.registry import ENGINES, UnknownEngine, engine_named
from inferry_runtime.engines.rules import all_rules


def test_every_engine_goes_by_its_own_name_and_has_rules() -> None:
    assert {name: engine.name for name, engine in ENGINES.items()} == {name: name for name in ENGINES}
    assert set(all_rules()) == set(ENGINES)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("llama.cpp", "llamacpp"),
        ("vLLM", "vllm"),
        ("SGLang", "sglang"),
        ("transformer", "transformers"),
        ("mlx-lm", "mlx"),
        ("ollama", "llamacpp"),
        ("zzz", ""),
    ],
)
def test_a_misspelt_engine_is_told_the_nearest_one(name: str, nearest: str) -> None:
    with pytest.raises(UnknownEngine) as caught:
        engine_named(name)
    assert caught.value.nearest == nearest
    assert "llamacpp, vllm, sglang, transformers, mlx" in str(caught.value)


def test_every_rejection_is_a_reason_with_a_meaning() -> None:
    assert {rejection.value for rejection in Rejection} <= {reason.value for reason in Reason}


def first(signatures: tuple[Signature, ...], line: str) -> str:
    return next((signature.reason for signature in signatures if signature.pattern.search(line)), "")


@pytest.mark.parametrize(
    ("engine", "line", "reason"),
    [
        ("llamacpp", "llama_model_load: error loading model: unknown model architecture: 'foo'", "UnknownArchitecture"),
        ("llamacpp", "ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory", "WeightsDoNotFit"),
        ("llamacpp", "llama_kv_cache: failed to allocate buffer for kv cache", "KVCacheDoesNotFit"),
        ("llamacpp", "tensor 'blk.0.ffn_up.weight' data is not within the file bounds", "ChecksumOrPartialDownload"),
        ("llamacpp", 'llamacpp_server: error: unknown setting "n_cxt"', "UnknownEngineArgument"),
        ("llamacpp", "OSError: [Errno 98] Address already in use", "PortUnavailable"),
        ("transformers", "ImportError: Loading a GPTQ quantized model requires gptqmodel", "QuantizerPackageMissing"),
        (
            "transformers",
            "safetensors_rust.SafetensorError: Error while deserializing header",
            "ChecksumOrPartialDownload",
        ),
        ("transformers", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "WeightsDoNotFit"),
        ("transformers", 'transformers_server: error: unknown argument "dtyp"', "UnknownEngineArgument"),
        (
            "vllm",
            "ValueError: To serve at least one request with the models's max seq len (131072)",
            "KVCacheDoesNotFit",
        ),
        ("vllm", "ValueError: Free memory on device (3.1/79.2 GiB) is less than desired", "GpuMemoryBusy"),
        ("vllm", "RuntimeError: CUDA error: no kernel image is available for execution", "GpuArchUnsupported"),
        ("vllm", "OSError: [Errno 28] No space left on device", "DiskFull"),
        ("vllm", "OSError: [Errno 28] No space left on device: '/dev/shm/nccl-4711'", "SharedMemoryTooSmall"),
        ("sglang", "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.", "WeightsDoNotFit"),
        ("mlx", "ValueError: Model type foo not supported.", "UnknownArchitecture"),
        ("llamacpp", "srv  update_slots: all slots are idle", ""),
    ],
)
def test_a_line_of_a_log_names_its_cause(engine: str, line: str, reason: str) -> None:
    assert first(ENGINES[engine].signatures, line) == reason


@pytest.mark.parametrize("engine", ENGINES)
def test_every_signature_has_a_known_reason_and_a_hint(engine: str) -> None:
    for signature in ENGINES[engine].signatures:
        assert signature.reason in set(Reason)
        assert signature.hint.endswith(".")
