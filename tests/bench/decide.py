"""How long one decision takes. `python tests/bench/decide.py` prints microseconds; it asserts nothing."""

import time
from statistics import median, quantiles

from inferry.api.model_deployment import DeploymentSpec
from inferry.catalog.load import load_catalog
from inferry.decide.decide import decide
from inferry_runtime.hardware import Accelerator, Hardware, Inventory, Vendor
from inferry_runtime.model.facts import Attention, Format, ModelFacts, Quantization, Task, WeightFile

GIB = 1024**3
ROUNDS = 300


def main() -> None:
    started = time.perf_counter()
    catalog = load_catalog()
    print(f"loading the catalog: {(time.perf_counter() - started) * 1e3:.1f} ms")
    print("| model | nodes | median us | p99 us |\n|---|---|---|---|")
    for model in (gguf(), safetensors()):
        for nodes in (1, 10, 1000):
            times = [timed(model, machines(nodes), catalog) for _ in range(ROUNDS)]
            print(f"| {model.format} | {nodes} | {median(times):.0f} | {quantiles(times, n=100)[98]:.0f} |")


def timed(model, inventory, catalog):  # type: ignore[no-untyped-def]
    spec = DeploymentSpec.model_validate({"model": {"source": "hf://org/model"}})
    started = time.perf_counter()
    decide(model, spec, inventory, catalog)
    return (time.perf_counter() - started) * 1e6


def machines(count: int) -> Inventory:
    """A cluster of three kinds of nodes."""
    return Inventory(nodes=tuple(machine(index) for index in range(count)))


def machine(index: int) -> Hardware:
    l4 = Accelerator(vendor=Vendor.NVIDIA, product="L4", count=4, memory_bytes=24 * GIB, compute_capability="8.9")
    h100 = Accelerator(vendor=Vendor.NVIDIA, product="H100", count=8, memory_bytes=80 * GIB, compute_capability="9.0")
    kinds = ((), (l4,), (h100,))
    return Hardware(
        name=f"node-{index:04}",
        system="linux",
        machine="x86_64",
        cpus=16,
        memory_bytes=64 * GIB,
        accelerators=kinds[index % len(kinds)],
    )


def gguf() -> ModelFacts:
    return facts(Format.GGUF, "qwen2", Quantization(method="gguf", bits=4, label="Q4_K_M"), 5 * GIB)


def safetensors() -> ModelFacts:
    return facts(Format.SAFETENSORS, "Qwen2ForCausalLM", Quantization(), 15 * GIB)


def facts(format: Format, architecture: str, quantization: Quantization, size_bytes: int) -> ModelFacts:
    return ModelFacts(
        format=format,
        quantization=quantization,
        architecture=architecture,
        tasks=(Task.GENERATE, Task.CHAT),
        weights=(WeightFile(path="weights", size_bytes=size_bytes),),
        dtype="bfloat16",
        context_length=32768,
        hidden_size=3584,
        intermediate_size=18944,
        vocabulary_size=152064,
        attention=Attention(layers=28, heads=28, kv_heads=(4,), key_length=128, value_length=128),
    )


if __name__ == "__main__":
    main()
