"""SGLang: safetensors on NVIDIA accelerators."""

from collections.abc import Mapping
from dataclasses import replace

from inferry_runtime.engines.base import ArgumentValue, Command, Intent, Launch
from inferry_runtime.engines.process import offline_environment, options
from inferry_runtime.engines.ruled import RuledEngine, integer
from inferry_runtime.hardware import Hardware
from inferry_runtime.memory import ELEMENT_BYTES, GIB, CacheShape, Estimate, kv_cache_bytes, weights_bytes
from inferry_runtime.model.facts import ModelFacts
from inferry_runtime.order import ServeOrder

OVERHEAD_PER_DEVICE_BYTES = 2 * GIB
"""Libraries, CUDA graphs and communication buffers on each device: 1 to 3 GiB are seen."""
PREFILL_TOKENS = 8192
"""Default chunked_prefill_size: how many tokens one step computes."""


class SGLang(RuledEngine):
    """`Engine` for SGLang. Options are those of its server, with underscores."""

    name = "sglang"
    routes = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/rerank")

    def settle(self, intent: Intent) -> Intent:
        return replace(
            intent,
            context_length=integer(intent.arguments, "context_length", intent.context_length),
            parallel=integer(intent.arguments, "max_running_requests", intent.parallel),
        )

    def arguments(self, facts: ModelFacts, hardware: Hardware, intent: Intent) -> Mapping[str, ArgumentValue]:
        # How many requests run at once is left to the engine: its cache is paged, and short ones share it.
        derived: dict[str, ArgumentValue] = {
            "context_length": self.settle(intent).context_length,
            "enable_metrics": True,
        }
        if intent.accelerators > 1:
            derived["tp_size"] = intent.accelerators
        return dict(sorted({**derived, **intent.arguments}.items()))

    def estimate(self, facts: ModelFacts, intent: Intent) -> Estimate:
        settled = self.settle(intent)
        element = ELEMENT_BYTES.get(str(intent.arguments.get("kv_cache_dtype", facts.dtype)), 2.0)
        devices = max(1, intent.accelerators)
        shape = CacheShape(
            tokens=settled.context_length,
            sequences=settled.parallel,
            key_bytes=element,
            value_bytes=element,
            splits=devices,
        )
        widest = 2 * (facts.hidden_size or 4096) + 2 * (facts.intermediate_size or 16_384)
        return Estimate(
            weights_bytes=weights_bytes(facts),
            kv_cache_bytes=kv_cache_bytes(facts, shape),
            compute_bytes=PREFILL_TOKENS * 2 * widest,
            overhead_bytes=devices * OVERHEAD_PER_DEVICE_BYTES,
        )

    def command(self, order: ServeOrder, launch: Launch) -> Command:
        argv = (
            *(str(launch.python), "-m", "sglang.launch_server"),
            *("--model-path", str(launch.model_root / order.model.primary)),
            # One name only; it does not compare it with the request's.
            *("--served-model-name", order.served_names[0]),
            *("--host", launch.host, "--port", str(launch.port)),
            *options(order.engine.arguments),
            *order.engine.extra_arguments,
        )
        return Command(argv=argv, environment=offline_environment(order, launch))
