"""What inferry sets of llama.cpp, and what it takes to run with it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inferry_runtime.engines.base import ArgumentValue, Intent, Launch
from inferry_runtime.engines.registry import ENGINES
from inferry_runtime.engines.schema import check_arguments, load_schema
from inferry_runtime.memory import MIB
from inferry_runtime.model.facts import Attention, ModelFacts, Task, WeightFile
from inferry_runtime.order import EngineOrder, ModelOrder, Probe, ServeOrder
from worlds.facts import SMALL_ATTENTION, a_gguf, a_node

LLAMACPP = ENGINES["llamacpp"]


def an_intent(
    *, context: int = 4096, parallel: int = 4, cpus: float | None = None, **arguments: ArgumentValue
) -> Intent:
    dotted = {name.replace("__", "."): value for name, value in arguments.items()}
    return Intent(context_length=context, parallel=parallel, arguments=dotted, accelerators=0, cpus=cpus)


def arguments(facts: ModelFacts, intent: Intent) -> dict[str, ArgumentValue]:
    return dict(LLAMACPP.arguments(facts, a_node(), intent))


def test_the_context_is_what_each_of_the_slots_gets() -> None:
    assert arguments(a_gguf(), an_intent()) == {"cache_ram_mib": 0, "n_ctx": 16384, "n_parallel": 4}


@pytest.mark.parametrize(
    ("given", "context", "parallel", "n_ctx"),
    [
        pytest.param({"n_parallel": 2}, 4096, 2, 8192, id="fewer slots, the same context each"),
        pytest.param({"n_ctx": 8192}, 2048, 4, 8192, id="a total is divided by the slots"),
        pytest.param({"n_ctx": 8192, "n_parallel": 8}, 1024, 8, 8192, id="both given"),
        pytest.param({"n_ctx": 8192, "kv_unified": True}, 8192, 4, 8192, id="a unified cache is not divided"),
        pytest.param({"n_ctx": 0}, 4096, 4, 0, id="0 leaves the context to llama.cpp"),
        pytest.param({"n_parallel": 0}, 4096, 1, 4096, id="no slots are one slot"),
    ],
)
def test_the_users_own_arguments_win(given: dict[str, ArgumentValue], context: int, parallel: int, n_ctx: int) -> None:
    intent = an_intent(**given)
    settled = LLAMACPP.settle(intent)
    assert (settled.context_length, settled.parallel) == (context, parallel)
    assert arguments(a_gguf(), intent)["n_ctx"] == n_ctx


def test_threads_follow_a_limit_and_nothing_else() -> None:
    assert arguments(a_gguf(), an_intent(cpus=2.5))["cpuparams.n_threads"] == 2
    assert arguments(a_gguf(), an_intent(cpus=0.5))["cpuparams.n_threads"] == 1
    assert "cpuparams.n_threads" not in arguments(a_gguf(), an_intent())


WHOLE = {"n_batch": 512, "n_ubatch": 512}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(a_gguf(), {}, id="chat alone reserves nothing for embeddings"),
        pytest.param(
            a_gguf(tasks=(Task.CHAT, Task.EMBED)), {"pooling_type": "last"}, id="a chat model pools its last token"
        ),
        pytest.param(a_gguf(tasks=(Task.EMBED,)), {"pooling_type": "last"}, id="also when it only embeds"),
        pytest.param(
            a_gguf(tasks=(Task.EMBED,), pooling="cls"), {"pooling_type": "cls", **WHOLE}, id="the file names a pooling"
        ),
        pytest.param(
            a_gguf(tasks=(Task.EMBED,), architecture="bert"), {"pooling_type": "mean", **WHOLE},
            id="an encoder computes whole prompts",
        ),
        pytest.param(a_gguf(tasks=(Task.RERANK,)), {"pooling_type": "rank", **WHOLE}, id="a reranker ranks"),
    ],
)  # fmt: skip
def test_embeddings_are_answered_where_they_are_asked_for(
    facts: ModelFacts, expected: dict[str, ArgumentValue]
) -> None:
    found = arguments(facts, an_intent(context=512, parallel=1))
    basic = {"cache_ram_mib": 0, "n_ctx": 512, "n_parallel": 1}
    assert found == basic | ({"embedding": True, **expected} if expected else {})


def test_a_tiny_model_gets_one_thread_whatever_the_limit() -> None:
    tiny = a_gguf(weights=(WeightFile(path="tiny.gguf", size_bytes=3 * MIB),))
    assert arguments(tiny, an_intent())["cpuparams.n_threads"] == 1
    assert arguments(tiny, an_intent(cpus=8))["cpuparams.n_threads"] == 1


@pytest.mark.parametrize("tasks", [(Task.CHAT,), (Task.CHAT, Task.EMBED), (Task.EMBED,), (Task.RERANK,)])
def test_llama_cpp_has_every_argument_that_is_derived(tasks: tuple[Task, ...]) -> None:
    sliding = replace(SMALL_ATTENTION, sliding_window=512, sliding_layers=12)
    found = arguments(a_gguf(tasks=tasks, attention=sliding), an_intent(cpus=2))
    assert "n_ctx_checkpoints" in found
    assert check_arguments(load_schema("llamacpp", "2026.10.11549"), found) == ()


# Synthetic models, and the buffer sizes in MiB that llama.cpp b11549 logs for them.
WIDE = a_gguf(
    hidden_size=2048, intermediate_size=8192, vocabulary_size=32000,
    attention=Attention(layers=4, heads=32, kv_heads=(8,), key_length=64, value_length=64),
)  # fmt: skip
NARROW = a_gguf(
    hidden_size=1024, intermediate_size=2816, vocabulary_size=128000,
    attention=Attention(layers=4, heads=16, kv_heads=(8,), key_length=64, value_length=64),
)  # fmt: skip
MANY_HEADS = a_gguf(
    hidden_size=1024, intermediate_size=256, vocabulary_size=8000,
    attention=Attention(layers=2, heads=16, kv_heads=(8,), key_length=128, value_length=128),
)  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "intent", "cache", "graph"),
    [
        pytest.param(WIDE, an_intent(context=2048, parallel=1), 16, 70.02, id="the feed-forward is the widest"),
        pytest.param(WIDE, an_intent(context=8192, parallel=1), 64, 76.02, id="the mask grows with the context"),
        pytest.param(WIDE, an_intent(context=2048, parallel=4), 64, 70.02, id="and not with the slots"),
        pytest.param(NARROW, an_intent(context=8192, parallel=1), 64, 34.52, id="a vocabulary costs nothing"),
        pytest.param(
            replace(NARROW, tasks=(Task.CHAT, Task.EMBED)), an_intent(context=8192, parallel=1), 64, 268.02,
            id="but with embeddings, a logit for each token",
        ),
        pytest.param(MANY_HEADS, an_intent(context=2048, parallel=1), 16, 20.02, id="attention is the widest"),
        pytest.param(
            MANY_HEADS, an_intent(context=2048, parallel=1, cache_type_k="q8_0", cache_type_v="q8_0"), 8.5, 20.1,
            id="a cache of 8 bits",
        ),
    ],
)  # fmt: skip
def test_estimates_against_the_buffers_llama_cpp_logs(
    facts: ModelFacts, intent: Intent, cache: float, graph: float
) -> None:
    estimate = LLAMACPP.estimate(facts, intent)
    assert estimate.kv_cache_bytes == cache * MIB
    assert estimate.compute_bytes == pytest.approx(graph * MIB, rel=0.01)


def test_what_the_user_allows_for_prompts_of_idle_slots_is_counted() -> None:
    without = LLAMACPP.estimate(WIDE, an_intent())
    assert LLAMACPP.estimate(WIDE, an_intent(cache_ram_mib=100)).total_bytes == without.total_bytes + 100 * MIB


def test_an_encoder_keeps_no_cache() -> None:
    assert LLAMACPP.estimate(a_gguf(tasks=(Task.EMBED,), architecture="bert"), an_intent()).kv_cache_bytes == 0


def an_order(**changes: Any) -> ServeOrder:
    engine = EngineOrder(
        name="llamacpp",
        version="2026.10.11549",
        variant="cpu",
        arguments={"n_parallel": 1, "n_ctx": 512},
        extra_arguments=("sampling.top_k=5",),
        environment={"LLAMA_LOG_COLORS": "off"},
    )
    model = ModelOrder(source="hf://org/repo", revision="1", files=(), primary="sub/m.gguf", projector="mmproj.gguf")
    order = ServeOrder(
        deployment="default/parrot",
        served_names=("parrot", "org/parrot"),
        model=model,
        engine=engine,
        probe=Probe(task="chat", prompt="Hi", timeout_seconds=1),
        drain_seconds=30,
    )
    return replace(order, **changes)


def test_the_command_names_everything_and_inherits_nothing() -> None:
    launch = Launch(python=Path("/env/bin/python"), model_root=Path("/models/m"), host="127.0.0.1", port=8000)
    command = LLAMACPP.command(an_order(), launch)
    python, isolated, main, *rest = command.argv
    assert (python, isolated, Path(main).name) == ("/env/bin/python", "-P", "llamacpp_server.py")
    assert Path(main).is_file()
    assert rest == [
        *("--model", "/models/m/sub/m.gguf", "--host", "127.0.0.1", "--port", "8000"),
        *("--alias", "parrot", "--alias", "org/parrot", "--projector", "/models/m/mmproj.gguf"),
        *("--drain-seconds", "30", "--arguments", json.dumps({"n_ctx": 512, "n_parallel": 1})),
        "sampling.top_k=5",
    ]
    assert command.environment["LLAMA_LOG_COLORS"] == "off"
    assert command.environment["HF_HUB_OFFLINE"] == "1"
    assert command.environment["PATH"].split(":")[0] == "/env/bin"
