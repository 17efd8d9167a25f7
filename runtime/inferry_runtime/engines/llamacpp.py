"""llama.cpp: GGUF files on anything, through xllamacpp's own HTTP server in a process of its own."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from inferry_runtime.engines.base import ArgumentValue, Command, Intent, Launch
from inferry_runtime.engines.process import offline_environment
from inferry_runtime.engines.ruled import RuledEngine, integer
from inferry_runtime.hardware import Hardware
from inferry_runtime.memory import ELEMENT_BYTES, MIB, CacheShape, Estimate, kv_cache_bytes, weights_bytes
from inferry_runtime.model.facts import ModelFacts, Task
from inferry_runtime.order import ServeOrder

CACHE_ALIGNMENT_TOKENS = 256
"""llama.cpp rounds the context of one sequence up to this."""
MICRO_BATCH_TOKENS = 512
"""Default n_ubatch: how many tokens one graph computes."""
LIBRARY_BYTES = 60 * MIB
"""Interpreter, xllamacpp and libgomp resident before a model is loaded, measured with xllamacpp 2026.10.11549."""


class LlamaCpp(RuledEngine):
    """`Engine` for llama.cpp. Options are fields of its common parameters, nested by dots."""

    name = "llamacpp"
    routes = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/rerank", "/v1/responses")

    def settle(self, intent: Intent) -> Intent:
        parallel = integer(intent.arguments, "n_parallel", intent.parallel)
        total = integer(intent.arguments, "n_ctx", 0)
        # n_ctx is shared out over the slots unless the cache is unified; 0 means "as the model says", so ours stands.
        slots = 1 if intent.arguments.get("kv_unified") is True else parallel
        context = total // slots if total > 0 else intent.context_length
        return replace(intent, parallel=max(1, parallel), context_length=max(1, context))

    def arguments(self, facts: ModelFacts, hardware: Hardware, intent: Intent) -> Mapping[str, ArgumentValue]:
        settled = self.settle(intent)
        derived: dict[str, ArgumentValue] = {
            "n_ctx": settled.context_length * settled.parallel,
            "n_parallel": settled.parallel,
        }
        if intent.cpus is not None:
            derived["cpuparams.n_threads"] = max(1, int(intent.cpus))
        derived.update(_pooling(facts, settled))
        return dict(sorted({**derived, **intent.arguments}.items()))

    def estimate(self, facts: ModelFacts, intent: Intent) -> Estimate:
        settled = self.settle(intent)
        micro_batch = integer(intent.arguments, "n_ubatch", MICRO_BATCH_TOKENS)
        aligned = -(-settled.context_length // CACHE_ALIGNMENT_TOKENS) * CACHE_ALIGNMENT_TOKENS
        shape = CacheShape(
            tokens=aligned,
            sequences=settled.parallel,
            key_bytes=_cache_bytes(intent.arguments, "cache_type_k"),
            value_bytes=_cache_bytes(intent.arguments, "cache_type_v"),
            window_slack=micro_batch,
        )
        return Estimate(
            weights_bytes=weights_bytes(facts),
            kv_cache_bytes=kv_cache_bytes(facts, shape),
            compute_bytes=_graph_bytes(facts, aligned * settled.parallel, micro_batch),
            overhead_bytes=LIBRARY_BYTES,
        )

    def command(self, order: ServeOrder, launch: Launch) -> Command:
        main = Path(__file__).with_name("llamacpp_server.py")
        aliases = tuple(part for name in order.served_names for part in ("--alias", name))
        projector = ("--projector", str(launch.model_root / order.model.projector)) if order.model.projector else ()
        argv = (
            # -P keeps this folder off the import path: it holds modules named like the engines.
            *(str(launch.python), "-P", str(main)),
            *("--model", str(launch.model_root / order.model.primary)),
            *("--host", launch.host, "--port", str(launch.port)),
            *aliases,
            *projector,
            *("--drain-seconds", f"{order.drain_seconds:g}"),
            *("--arguments", json.dumps(dict(order.engine.arguments), sort_keys=True)),
            *order.engine.extra_arguments,
        )
        return Command(argv=argv, environment=offline_environment(order, launch))


def _pooling(facts: ModelFacts, intent: Intent) -> dict[str, ArgumentValue]:
    """Embedding and rerank models compute every token of a prompt at once, so batches hold a whole context."""
    if not {Task.EMBED, Task.RERANK} & set(facts.tasks):
        return {}
    pooling: dict[str, ArgumentValue] = {
        "embedding": True,
        "n_batch": intent.context_length,
        "n_ubatch": intent.context_length,
    }
    if Task.RERANK in facts.tasks:
        pooling["pooling_type"] = "rank"
    return pooling


def _graph_bytes(facts: ModelFacts, context: int, micro_batch: int) -> int:
    """Compute buffers of one graph with flash attention: activations and logits of a micro-batch, and its mask."""
    batch = min(micro_batch, context)
    hidden = facts.hidden_size or 4096
    widest = max(facts.intermediate_size or 4 * hidden, 3 * hidden)
    activations = 4 * batch * (3 * hidden + widest)
    logits = 4 * batch * (facts.vocabulary_size or 32_000)
    mask = 2 * batch * context
    return max(activations, logits + 4 * batch * hidden) + mask


def _cache_bytes(arguments: Mapping[str, ArgumentValue], name: str) -> float:
    return ELEMENT_BYTES.get(str(arguments.get(name, "f16")), ELEMENT_BYTES["f16"])
