"""The processes of the other engines, and what all of them share."""

from dataclasses import replace
from pathlib import Path

import pytest

from inferry_runtime.engines.base import ArgumentValue, Intent, Launch
from inferry_runtime.engines.process import options
from inferry_runtime.engines.registry import ENGINES
from inferry_runtime.order import EngineOrder, ModelOrder, Probe, ServeOrder
from worlds.facts import a_node, gpu, safetensors

LAUNCH = Launch(python=Path("/env/bin/python"), model_root=Path("/models/m"), host="127.0.0.1", port=8000)


def an_order(engine: str, variant: str = "cpu", **arguments: ArgumentValue) -> ServeOrder:
    return ServeOrder(
        deployment="default/qwen",
        served_names=("qwen", "org/qwen"),
        model=ModelOrder(source="hf://org/repo", revision="1", files=(), primary=""),
        engine=EngineOrder(name=engine, version="1", variant=variant, arguments=arguments),
        probe=Probe(task="chat", prompt="Hi", timeout_seconds=1),
        drain_seconds=30,
    )


def an_intent(*, parallel: int = 4, accelerators: int = 0, **arguments: ArgumentValue) -> Intent:
    return Intent(context_length=4096, parallel=parallel, arguments=arguments, accelerators=accelerators)


def test_options_are_spelled_with_dashes_and_switches_are_bare() -> None:
    given: dict[str, ArgumentValue] = {"max_model_len": 4096, "enforce_eager": True, "disable_log": False, "share": 0.5}
    assert options(given) == ("--enforce-eager", "--max-model-len", "4096", "--share", "0.5")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_command_names_model_address_and_is_offline(engine: str) -> None:
    command = ENGINES[engine].command(an_order(engine), LAUNCH)
    assert command.argv[0] == "/env/bin/python"
    assert "/models/m" in command.argv
    for option, value in (("--host", "127.0.0.1"), ("--port", "8000")):
        assert command.argv[command.argv.index(option) + 1] == value
    assert command.environment["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize("engine", ENGINES)
def test_the_environment_of_the_order_wins(engine: str) -> None:
    order = an_order(engine)
    order = replace(order, engine=replace(order.engine, environment={"HF_HUB_OFFLINE": "0", "MORE": "1"}))
    environment = ENGINES[engine].command(order, LAUNCH).environment
    assert (environment["HF_HUB_OFFLINE"], environment["MORE"]) == ("0", "1")


def test_vllm_answers_to_every_served_name_and_drains() -> None:
    argv = ENGINES["vllm"].command(an_order("vllm", max_model_len=4096), LAUNCH).argv
    names = argv.index("--served-model-name")
    assert argv[names + 1 : names + 3] == ("qwen", "org/qwen")
    assert argv[argv.index("--shutdown-timeout") + 1] == "30"
    assert argv[-2:] == ("--max-model-len", "4096")


def test_vllm_without_accelerators_bounds_its_cache() -> None:
    assert ENGINES["vllm"].command(an_order("vllm", "cpu"), LAUNCH).environment["VLLM_CPU_KVCACHE_SPACE"] == "1"
    assert "VLLM_CPU_KVCACHE_SPACE" not in ENGINES["vllm"].command(an_order("vllm", "cuda"), LAUNCH).environment


@pytest.mark.parametrize(
    ("engine", "intent", "expected"),
    [
        ("vllm", an_intent(), {"enforce_eager": True, "max_model_len": 4096}),
        ("vllm", an_intent(accelerators=1), {"max_model_len": 4096}),
        ("vllm", an_intent(accelerators=4), {"max_model_len": 4096, "tensor_parallel_size": 4}),
        ("vllm", an_intent(accelerators=1, max_model_len=99), {"max_model_len": 99}),
        ("sglang", an_intent(accelerators=2), {"context_length": 4096, "enable_metrics": True, "tp_size": 2}),
        ("transformers", an_intent(), {"device": "cpu", "dtype": "auto", "log_level": "warning"}),
        ("transformers", an_intent(accelerators=1), {"device": "auto", "dtype": "auto", "log_level": "warning"}),
        ("mlx", an_intent(), {}),
    ],
)
def test_arguments_inferry_decides(engine: str, intent: Intent, expected: dict[str, ArgumentValue]) -> None:
    found = ENGINES[engine].arguments(safetensors(), a_node(), intent)
    assert dict(found) == expected
    assert list(found) == sorted(found)


def test_transformers_answers_one_request_after_the_other_unless_told_to_batch() -> None:
    engine = ENGINES["transformers"]
    assert engine.settle(an_intent()).parallel == 1
    assert engine.settle(an_intent(continuous_batching=True)).parallel == 4


@pytest.mark.parametrize("engine", ENGINES)
def test_an_estimate_grows_with_the_context_and_holds_the_weights(engine: str) -> None:
    facts = safetensors()
    short = ENGINES[engine].estimate(facts, an_intent())
    long = ENGINES[engine].estimate(facts, replace(an_intent(), context_length=8192))
    assert long.kv_cache_bytes == 2 * short.kv_cache_bytes
    assert short.weights_bytes == facts.weight_bytes
    assert short.total_bytes > short.weights_bytes + short.kv_cache_bytes


@pytest.mark.parametrize(
    ("engine", "variant"),
    [("llamacpp", "cuda"), ("vllm", "cuda"), ("sglang", "cuda"), ("transformers", "cuda"), ("mlx", "cuda")],
)
def test_the_build_follows_the_accelerator(engine: str, variant: str) -> None:
    assert ENGINES[engine].variant(a_node()) == "cpu"
    assert ENGINES[engine].variant(a_node("gpu", gpu())) == variant
