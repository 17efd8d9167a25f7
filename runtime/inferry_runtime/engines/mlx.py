"""MLX: weights written by mlx-lm, on Apple silicon first, and on Linux."""

from collections.abc import Mapping

from inferry_runtime.engines.base import ArgumentValue, Command, Intent, Launch
from inferry_runtime.engines.process import offline_environment, options
from inferry_runtime.engines.ruled import RuledEngine
from inferry_runtime.hardware import Hardware
from inferry_runtime.memory import MIB, CacheShape, Estimate, kv_cache_bytes, weights_bytes
from inferry_runtime.model.facts import ModelFacts
from inferry_runtime.order import ServeOrder

LIBRARY_BYTES = 200 * MIB
"""Interpreter, mlx and mlx-lm resident before a model is loaded."""
PREFILL_TOKENS = 2048
"""mlx-lm computes a prompt in steps of this many tokens."""


class Mlx(RuledEngine):
    """`Engine` for MLX. Options are those of `mlx_lm.server`, with underscores."""

    name = "mlx"
    routes = ("/v1/chat/completions", "/v1/completions")

    def settle(self, intent: Intent) -> Intent:
        return intent

    def arguments(self, facts: ModelFacts, hardware: Hardware, intent: Intent) -> Mapping[str, ArgumentValue]:
        return dict(sorted(intent.arguments.items()))

    def estimate(self, facts: ModelFacts, intent: Intent) -> Estimate:
        shape = CacheShape(tokens=intent.context_length, sequences=intent.parallel)
        widest = 2 * (facts.hidden_size or 4096) + 2 * (facts.intermediate_size or 16_384)
        return Estimate(
            weights_bytes=weights_bytes(facts),
            kv_cache_bytes=kv_cache_bytes(facts, shape),
            compute_bytes=PREFILL_TOKENS * 2 * widest,
            overhead_bytes=LIBRARY_BYTES,
        )

    def command(self, order: ServeOrder, launch: Launch) -> Command:
        argv = (
            *(str(launch.python), "-m", "mlx_lm.server"),
            *("--model", str(launch.model_root / order.model.primary)),
            *("--host", launch.host, "--port", str(launch.port)),
            *options(order.engine.arguments),
            *order.engine.extra_arguments,
        )
        return Command(argv=argv, environment=offline_environment(order, launch))
