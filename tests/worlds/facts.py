"""Models, machines and wishes to decide about: one good value of each, any part of it replaced by name."""

from dataclasses import replace
from typing import Any

from inferry.api.model_deployment import DeploymentSpec
from inferry_runtime.hardware import Accelerator, Hardware, Inventory, Vendor
from inferry_runtime.model.facts import Attention, Format, ModelFacts, Quantization, Task, WeightFile

MIB = 1024**2
GIB = 1024**3

SMALL_ATTENTION = Attention(layers=24, heads=14, kv_heads=(2,), key_length=64, value_length=64)


def a_gguf(**changes: Any) -> ModelFacts:
    """Qwen2.5-0.5B as Q4_K_M."""
    facts = ModelFacts(
        format=Format.GGUF,
        quantization=Quantization(method="gguf", bits=4, label="Q4_K_M"),
        architecture="qwen2",
        tasks=(Task.GENERATE, Task.CHAT),
        weights=(WeightFile(path="model.gguf", size_bytes=400 * MIB),),
        context_length=32768,
        hidden_size=896,
        intermediate_size=4864,
        vocabulary_size=151936,
        attention=SMALL_ATTENTION,
    )
    return replace(facts, **changes)


def safetensors(**changes: Any) -> ModelFacts:
    """Qwen2.5-0.5B as it was published."""
    facts = ModelFacts(
        format=Format.SAFETENSORS,
        quantization=Quantization(),
        architecture="Qwen2ForCausalLM",
        tasks=(Task.GENERATE, Task.CHAT),
        weights=(WeightFile(path="model.safetensors", size_bytes=950 * MIB),),
        dtype="bfloat16",
        context_length=32768,
        hidden_size=896,
        intermediate_size=4864,
        vocabulary_size=151936,
        attention=SMALL_ATTENTION,
    )
    return replace(facts, **changes)


def gpu(
    product: str = "L4", *, count: int = 1, gib: int = 24, capability: str | None = "8.9", **changes: Any
) -> Accelerator:
    accelerator = Accelerator(
        vendor=Vendor.NVIDIA, product=product, count=count, memory_bytes=gib * GIB, compute_capability=capability
    )
    return replace(accelerator, **changes)


def a_node(name: str = "node-a", *accelerators: Accelerator, gib: float = 16, **changes: Any) -> Hardware:
    node = Hardware(
        name=name,
        system="linux",
        machine="x86_64",
        cpus=4,
        memory_bytes=int(gib * GIB),
        accelerators=accelerators,
    )
    return replace(node, **changes)


def nodes(*machines: Hardware) -> Inventory:
    return Inventory(nodes=tuple(sorted(machines, key=lambda machine: machine.name)))


def a_spec(**spec: Any) -> DeploymentSpec:
    """By its names in YAML."""
    spec.setdefault("model", {"source": "hf://org/model"})
    return DeploymentSpec.model_validate(spec)
