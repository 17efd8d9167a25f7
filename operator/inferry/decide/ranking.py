"""Which engine is preferred among those that can: by format, and by whether there is an accelerator."""

from inferry_runtime.hardware import Vendor
from inferry_runtime.model.facts import Format

GGUF = ("llamacpp", "vllm", "sglang", "transformers", "mlx")
ACCELERATED = ("vllm", "sglang", "transformers", "llamacpp", "mlx")
APPLE = ("mlx", "llamacpp", "transformers", "vllm", "sglang")
CPU = ("llamacpp", "vllm", "transformers", "mlx", "sglang")


def preference(format: Format, vendor: Vendor | None) -> tuple[str, ...]:
    """Engine names, best first. `vendor` is None without an accelerator."""
    if format is Format.GGUF:
        return GGUF
    if format is Format.MLX or vendor is Vendor.APPLE:
        return APPLE
    return CPU if vendor is None else ACCELERATED
