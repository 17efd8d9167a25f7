"""What inferry sets of llama.cpp's parameters: contexts, slots, pooling. Names are nested by dots."""

from collections.abc import Mapping
from dataclasses import replace

from inferry_runtime.engines.base import ArgumentValue, Intent
from inferry_runtime.engines.ruled import integer
from inferry_runtime.memory import MIB
from inferry_runtime.model.architectures import known
from inferry_runtime.model.facts import ModelFacts, Task

WHOLE_PROMPT_POOLING = frozenset({"mean", "cls", "rank"})
"""Poolings over all tokens of an input, which then have to be computed together."""
CHECKPOINTS = 4
"""States kept per slot of models that forget; llama.cpp's own 32 can take more memory than the cache itself."""
ONE_THREAD_BYTES = 32 * MIB
"""Below this, threads wait for each other longer than they compute: one is as fast, and asks for no second core."""


def settle(intent: Intent) -> Intent:
    """n_ctx is shared out over the slots unless the cache is unified; 0 is no wish of the user's, so ours stands."""
    parallel = max(1, integer(intent.arguments, "n_parallel", intent.parallel))
    total = integer(intent.arguments, "n_ctx", 0)
    slots = 1 if intent.arguments.get("kv_unified") is True else parallel
    context = max(1, total // slots) if total > 0 else intent.context_length
    return replace(intent, parallel=parallel, context_length=context)


def settings(facts: ModelFacts, intent: Intent) -> Mapping[str, ArgumentValue]:
    """Everything derived, with the user's own arguments on top. Layers on accelerators are left to llama.cpp's fit."""
    settled = settle(intent)
    derived: dict[str, ArgumentValue] = {
        # Prompts of idle slots are kept beside the cache, 8 GiB of them by default: more than many replicas have.
        "cache_ram_mib": 0,
        "n_ctx": settled.context_length * settled.parallel,
        "n_parallel": settled.parallel,
    }
    if facts.weight_bytes < ONE_THREAD_BYTES:
        derived["cpuparams.n_threads"] = 1
    elif intent.cpus is not None:
        derived["cpuparams.n_threads"] = max(1, int(intent.cpus))
    if facts.state_space is not None or (facts.attention is not None and facts.attention.sliding_layers):
        derived["n_ctx_checkpoints"] = CHECKPOINTS
    return dict(sorted({**derived, **_pooling(facts, settled), **intent.arguments}.items()))


def _pooling(facts: ModelFacts, intent: Intent) -> dict[str, ArgumentValue]:
    """What it takes to answer embeddings and rerankings, where that was asked for.

    Not by default: it reserves the logits of a whole micro-batch, 300 MiB for a vocabulary of 150,000.
    """
    if not {Task.EMBED, Task.RERANK} & set(facts.tasks):
        return {}
    pooling = "rank" if Task.RERANK in facts.tasks else facts.pooling or _usual_pooling(facts)
    whole = _whole_prompt(intent) if pooling in WHOLE_PROMPT_POOLING else {}
    return {"embedding": True, "pooling_type": pooling, **whole}


def _usual_pooling(facts: ModelFacts) -> str:
    """A decoder's last token has seen all others, and pooling it needs no larger batch."""
    return "mean" if is_encoder(facts) else "last"


def is_encoder(facts: ModelFacts) -> bool:
    """It sees a prompt once and as a whole, and keeps no cache."""
    return facts.architecture in known().gguf.embedding


def _whole_prompt(intent: Intent) -> dict[str, ArgumentValue]:
    """Pooling over all tokens wants them in one micro-batch; longer inputs are refused."""
    return {"n_batch": intent.context_length, "n_ubatch": intent.context_length}
