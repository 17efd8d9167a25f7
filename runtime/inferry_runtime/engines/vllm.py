"""vLLM: safetensors on accelerators, and on x86 servers without any."""

from collections.abc import Mapping
from dataclasses import replace

from inferry_runtime.engines.base import ArgumentValue, Command, Intent, Launch
from inferry_runtime.engines.process import offline_environment, options
from inferry_runtime.engines.ruled import RuledEngine, integer
from inferry_runtime.hardware import Hardware
from inferry_runtime.memory import ELEMENT_BYTES, GIB, MIB, CacheShape, Estimate, kv_cache_bytes, weights_bytes
from inferry_runtime.model.facts import ModelFacts
from inferry_runtime.order import ServeOrder

OVERHEAD_PER_DEVICE_BYTES = 2 * GIB
"""Libraries, CUDA graphs and communication buffers on each device: 1 to 3 GiB are seen."""
ACTIVATION_TOKENS = 8192
"""Default max_num_batched_tokens of a server: how many tokens one step computes."""


class Vllm(RuledEngine):
    """`Engine` for vLLM. Options are those of its server, with underscores."""

    name = "vllm"
    routes = (
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/rerank",
        "/v1/responses",
        "/v1/audio/transcriptions",
        "/tokenize",
    )

    def settle(self, intent: Intent) -> Intent:
        return replace(
            intent,
            context_length=integer(intent.arguments, "max_model_len", intent.context_length),
            parallel=integer(intent.arguments, "max_num_seqs", intent.parallel),
        )

    def arguments(self, facts: ModelFacts, hardware: Hardware, intent: Intent) -> Mapping[str, ArgumentValue]:
        # How many requests run at once is left to the engine: its cache is paged, and short ones share it.
        derived: dict[str, ArgumentValue] = {"max_model_len": self.settle(intent).context_length}
        if intent.accelerators > 1:
            derived["tensor_parallel_size"] = intent.accelerators
        if not intent.accelerators:
            # Compilation of graphs takes minutes on CPU and gains nothing there.
            derived["enforce_eager"] = True
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
        return Estimate(
            weights_bytes=weights_bytes(facts),
            kv_cache_bytes=kv_cache_bytes(facts, shape),
            compute_bytes=_activation_bytes(facts),
            overhead_bytes=devices * OVERHEAD_PER_DEVICE_BYTES,
        )

    def command(self, order: ServeOrder, launch: Launch) -> Command:
        argv = (
            *(str(launch.python), "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(launch.model_root / order.model.primary)),
            *("--served-model-name", *order.served_names),
            *("--host", launch.host, "--port", str(launch.port)),
            # Without it running answers are cut at the first SIGTERM.
            *("--shutdown-timeout", str(round(order.drain_seconds))),
            *options(order.engine.arguments),
            *order.engine.extra_arguments,
        )
        return Command(argv=argv, environment=_environment(order, launch))


def _environment(order: ServeOrder, launch: Launch) -> Mapping[str, str]:
    environment = dict(offline_environment(order, launch))
    if order.engine.variant == "cpu":
        # Whole GiB; without it vLLM takes a share of all memory of the machine.
        environment.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    return dict(sorted(environment.items()))


def _activation_bytes(facts: ModelFacts) -> int:
    hidden = facts.hidden_size or 4096
    intermediate = facts.intermediate_size or 4 * hidden
    widest = ACTIVATION_TOKENS * 2 * (2 * hidden + 2 * intermediate)
    logits = 256 * 4 * (facts.vocabulary_size or 32_000)
    return max(64 * MIB, widest + logits)
