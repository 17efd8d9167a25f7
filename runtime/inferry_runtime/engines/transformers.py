"""Transformers: safetensors of nearly every architecture, through `transformers serve` run by a thin main."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from inferry_runtime.engines.base import ArgumentValue, Command, Intent, Launch
from inferry_runtime.engines.process import offline_environment
from inferry_runtime.engines.ruled import RuledEngine
from inferry_runtime.hardware import Hardware
from inferry_runtime.memory import ELEMENT_BYTES, MIB, CacheShape, Estimate, kv_cache_bytes, weights_bytes
from inferry_runtime.model.facts import ModelFacts
from inferry_runtime.order import ServeOrder

LIBRARY_BYTES = 770 * MIB
"""Interpreter, torch 2.13, transformers 5.23 and its server with a model of no size: resident set on Linux x86_64."""

RESIDUAL_COPIES = 15
"""Copies of the hidden states of a prompt that exist at the same time."""


class Transformers(RuledEngine):
    """`Engine` for Transformers. Options are the parameters of `transformers serve`, with underscores."""

    name = "transformers"
    routes = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/audio/transcriptions")

    def settle(self, intent: Intent) -> Intent:
        # Without continuous batching one thread computes one answer after the other.
        batches = intent.arguments.get("continuous_batching") is True
        return intent if batches else replace(intent, parallel=1)

    def arguments(self, facts: ModelFacts, hardware: Hardware, intent: Intent) -> Mapping[str, ArgumentValue]:
        derived: dict[str, ArgumentValue] = {
            "device": "auto" if intent.accelerators else "cpu",
            "dtype": "auto",
            "log_level": "warning",
        }
        return dict(sorted({**derived, **intent.arguments}.items()))

    def estimate(self, facts: ModelFacts, intent: Intent) -> Estimate:
        settled = self.settle(intent)
        element = ELEMENT_BYTES.get(_dtype(facts, intent), 2.0)
        cache = CacheShape(
            tokens=settled.context_length, sequences=settled.parallel, key_bytes=element, value_bytes=element
        )
        return Estimate(
            weights_bytes=weights_bytes(facts),
            kv_cache_bytes=kv_cache_bytes(facts, cache),
            compute_bytes=_activation_bytes(facts, settled.context_length, element),
            overhead_bytes=LIBRARY_BYTES,
        )

    def command(self, order: ServeOrder, launch: Launch) -> Command:
        main = Path(__file__).with_name("transformers_server.py")
        aliases = tuple(part for name in order.served_names for part in ("--alias", name))
        argv = (
            # -P keeps this folder off the import path: it holds a module named transformers.
            *(str(launch.python), "-P", str(main)),
            *("--model", str(launch.model_root / order.model.primary)),
            *("--host", launch.host, "--port", str(launch.port)),
            *aliases,
            *("--arguments", json.dumps(dict(order.engine.arguments), sort_keys=True)),
            *order.engine.extra_arguments,
        )
        return Command(argv=argv, environment=offline_environment(order, launch))


def _dtype(facts: ModelFacts, intent: Intent) -> str:
    chosen = str(intent.arguments.get("dtype", "auto"))
    return facts.dtype if chosen == "auto" else chosen


def _activation_bytes(facts: ModelFacts, context: int, element: float) -> int:
    """A whole prompt is computed at once: the three matrices of the feed-forward network and copies of the residual.

    The number of copies, upcast norms and the allocator's slack included, is fitted to peak resident sets at prompts of
    512, 2,048 and 8,192 tokens of random models of 0.1 and 0.4 billion parameters.
    """
    hidden = facts.hidden_size or 4096
    feed_forward = 3 * (facts.intermediate_size or 4 * hidden) * (facts.experts_per_token or 1)
    return round(context * (RESIDUAL_COPIES * hidden + feed_forward) * element)
