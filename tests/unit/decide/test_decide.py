"""Which engine is chosen, where, with what, and why not the others."""

from dataclasses import replace
from typing import Any

import pytest

from inferry.catalog.catalog import Catalog, EngineOffer
from inferry.catalog.load import load_catalog
from inferry.decide.decide import decide
from inferry.decide.decision import Decision, NoDecision
from inferry_runtime.engines.base import Verdict
from inferry_runtime.hardware import Inventory, Vendor
from inferry_runtime.model.facts import Format, ModelFacts, Quantization, Task, WeightFile
from worlds.facts import GIB, MIB, SMALL_ATTENTION, a_gguf, a_node, a_spec, gpu, nodes, safetensors

CATALOG = load_catalog()
CPUS = nodes(a_node())
GPUS = nodes(
    a_node(), a_node("gpu-1", gpu("L4", count=4), gib=64), a_node("gpu-2", gpu("H100", count=8, gib=80), gib=256)
)


def installing(catalog: Catalog, *names: str) -> Catalog:
    """The catalog once these engines have builds for everything."""
    engines = dict(catalog.engines)
    for name in names:
        offer = engines[name]
        release = replace(offer.releases[offer.default], variants=("cpu", "cuda"), images={"cuda": f"{name}:cuda"})
        engines[name] = EngineOffer(default=offer.default, releases={offer.default: release})
    return replace(catalog, engines=engines)


EVERYTHING = installing(CATALOG, "llamacpp", "vllm", "sglang", "transformers", "mlx")


def chosen(facts: ModelFacts, inventory: Inventory, catalog: Catalog = CATALOG, **spec: Any) -> Decision:
    found = decide(facts, a_spec(**spec), inventory, catalog)
    assert isinstance(found, Decision), found
    return found


def refused(facts: ModelFacts, inventory: Inventory, catalog: Catalog = CATALOG, **spec: Any) -> NoDecision:
    found = decide(facts, a_spec(**spec), inventory, catalog)
    assert isinstance(found, NoDecision), found
    return found


def of(found: Decision | NoDecision, engine: str) -> Verdict:
    return next(verdict for verdict in found.verdicts if verdict.engine == engine)


def weighing(gib: float, **changes: Any) -> ModelFacts:
    """A GGUF of this size; its caches are small beside it."""
    return a_gguf(weights=(WeightFile(path="big.gguf", size_bytes=int(gib * GIB)),), **changes)


def heavy(gib: float, heads: int = 32) -> ModelFacts:
    attention = replace(SMALL_ATTENTION, heads=heads)
    weights = (WeightFile(path="big.safetensors", size_bytes=int(gib * GIB)),)
    return safetensors(weights=weights, attention=attention)


def test_a_gguf_on_cpus_is_for_llama_cpp() -> None:
    found = chosen(a_gguf(), CPUS)
    assert (found.engine, found.version, found.variant, found.image) == ("llamacpp", "2026.10.11549", "cpu", "")
    assert found.arguments == {"cache_ram_mib": 0, "n_ctx": 4 * 8192, "n_parallel": 4}
    assert (found.context_length, found.parallel) == (8192, 4)
    assert (found.placement.node, found.placement.accelerator, found.placement.count) == ("node-a", "", 0)
    assert found.verdicts[0].engine == "llamacpp"


def test_safetensors_on_cpus_are_for_transformers_until_vllm_is_installed() -> None:
    found = chosen(safetensors(), CPUS)
    assert found.engine == "transformers"
    assert of(found, "vllm").reason == "EngineNotInstalled"
    assert of(found, "vllm").message.startswith("It would be chosen: vLLM")
    assert of(found, "llamacpp").reason == "FormatNotSupported"
    assert of(found, "sglang").reason == "AcceleratorMissing"
    assert chosen(safetensors(), CPUS, installing(CATALOG, "vllm")).engine == "vllm"


@pytest.mark.parametrize(
    ("facts", "inventory", "order"),
    [
        pytest.param(a_gguf(), CPUS, ["llamacpp"], id="GGUF on CPUs"),
        pytest.param(a_gguf(), GPUS, ["llamacpp"], id="GGUF on accelerators, where vLLM takes it only on request"),
        pytest.param(safetensors(), CPUS, ["vllm", "transformers"], id="safetensors on CPUs"),
        pytest.param(safetensors(), GPUS, ["vllm", "sglang", "transformers"], id="safetensors on accelerators"),
        pytest.param(
            safetensors(format=Format.MLX, quantization=Quantization(method="mlx", bits=4)), CPUS, ["mlx"], id="MLX"
        ),
    ],
)
def test_the_order_of_preference(facts: ModelFacts, inventory: Inventory, order: list[str]) -> None:
    found = chosen(facts, inventory, EVERYTHING)
    assert [verdict.engine for verdict in found.verdicts if verdict.accepted] == order
    assert found.engine == order[0]


def test_accelerators_are_preferred_and_the_fewest_and_smallest_are_taken() -> None:
    small = chosen(heavy(10), GPUS, EVERYTHING)
    assert (small.placement.node, small.placement.accelerator, small.placement.count) == ("gpu-1", "L4", 1)
    assert (small.variant, small.image) == ("cuda", "vllm:cuda")
    large = chosen(heavy(60), GPUS, EVERYTHING)
    assert (large.placement.node, large.placement.count) == ("gpu-2", 1)
    larger = chosen(heavy(140), GPUS, EVERYTHING)
    assert (larger.placement.node, larger.placement.count) == ("gpu-2", 4)
    assert larger.arguments["tensor_parallel_size"] == 4


def test_tensor_parallelism_divides_heads() -> None:
    found = chosen(heavy(100, heads=14), GPUS, EVERYTHING)
    assert (found.engine, found.placement.count) == ("vllm", 2)
    spec = {"engine": {"name": "vllm"}, "resources": {"accelerators": [{"product": "H100", "count": 4}]}}
    without = refused(heavy(100, heads=14), GPUS, EVERYTHING, **spec)
    assert without.reason == "PlatformNotSupported"
    assert of(without, "vllm").would_fit == "1 or 2 devices."


def test_layers_that_do_not_fit_on_an_accelerator_stay_in_host_memory() -> None:
    found = chosen(weighing(40), nodes(a_node("gpu", gpu("L4"), gib=64)), EVERYTHING)
    assert (found.placement.accelerator, found.placement.count) == ("L4", 1)
    assert "Part of it stays in host memory." in of(found, "llamacpp").message


def test_an_accelerator_no_installed_build_drives_is_left_alone() -> None:
    found = chosen(a_gguf(), nodes(a_node("gpu", gpu())))
    assert (found.variant, found.placement.count) == ("cpu", 0)
    amd = nodes(a_node("amd", gpu("MI300X", vendor=Vendor.AMD, capability=None)))
    assert chosen(a_gguf(), amd, EVERYTHING).placement.count == 0


def test_nodes_without_accelerators_are_taken_first_for_what_needs_none() -> None:
    inventory = nodes(a_node("a-gpu", gpu(), gib=64), a_node("z-cpu"))
    assert chosen(a_gguf(), inventory).placement.node == "z-cpu"


@pytest.mark.parametrize(
    ("accelerators", "placed", "engine"),
    [
        pytest.param([{"product": "H100"}], ("gpu-2", 1), "vllm", id="by product"),
        pytest.param([{"product": "h1", "count": 2}], ("gpu-2", 2), "vllm", id="by a part of it, in any case"),
        pytest.param([{"vendor": "nvidia", "count": 4}], ("gpu-1", 4), "vllm", id="by vendor, the smaller ones"),
        pytest.param([{"product": "A100"}, {"product": "H100"}], ("gpu-2", 1), "vllm", id="the next alternative"),
        pytest.param([{"vendor": "cpu"}], ("node-a", 0), "vllm", id="none at all"),
        pytest.param(
            [{"vendor": "cpu"}, {"product": "H100"}], ("node-a", 0), "vllm", id="in the order they are written"
        ),
    ],
)
def test_accelerators_that_are_asked_for(
    accelerators: list[dict[str, Any]], placed: tuple[str, int], engine: str
) -> None:
    found = chosen(heavy(1), GPUS, EVERYTHING, resources={"accelerators": accelerators})
    assert (found.placement.node, found.placement.count) == placed
    assert found.engine == engine


def test_accelerators_that_no_node_has() -> None:
    found = refused(a_gguf(), GPUS, resources={"accelerators": [{"product": "A100", "count": 2}]})
    assert found.reason == "NoMatchingNodes"
    assert "2 x A100" in found.message
    assert "4 x L4" in found.message
    assert {verdict.reason for verdict in found.verdicts} == {"AcceleratorMissing"}


def test_no_node_at_all() -> None:
    found = refused(a_gguf(), nodes())
    assert found.reason == "NoMatchingNodes"
    assert len(found.verdicts) == 5


def test_a_named_engine_passes_the_same_gates() -> None:
    found = refused(a_gguf(), CPUS, engine={"name": "transformers"})
    assert found.reason == "FormatNotSupported"
    assert "gguf" in found.message
    assert of(found, "llamacpp").reason == "NotRequested"
    assert refused(safetensors(), CPUS, engine={"name": "sglang"}).reason == "AcceleratorMissing"
    assert refused(safetensors(), CPUS, engine={"name": "vllm"}).reason == "EngineNotInstalled"


def test_a_named_engine_is_taken_though_another_is_preferred() -> None:
    found = chosen(safetensors(), GPUS, EVERYTHING, engine={"name": "transformers"})
    assert found.engine == "transformers"
    assert of(found, "vllm").reason == "NotRequested"
    assert [verdict.engine for verdict in found.verdicts if verdict.accepted] == ["transformers"]


def test_vllm_takes_gguf_when_it_is_named() -> None:
    assert of(chosen(a_gguf(), GPUS, EVERYTHING), "vllm").reason == "NotRequested"
    assert chosen(a_gguf(), GPUS, EVERYTHING, engine={"name": "vllm"}).engine == "vllm"


@pytest.mark.parametrize(
    ("engine", "reason", "says"),
    [
        ({"name": "llama.cpp"}, "UnknownEngine", "llamacpp"),
        ({"name": "llamacpp", "version": "2026.10.11548"}, "UnknownEngineVersion", "2026.10.11549"),
        ({"name": "llamacpp", "args": {"n_cxt": 5}}, "UnknownEngineArgument", "Did you mean n_ctx?"),
        ({"args": {"n_cxt": 5}}, "NoCompatibleEngine", "Did you mean n_ctx?"),
    ],
)
def test_names_that_do_not_exist(engine: dict[str, Any], reason: str, says: str) -> None:
    found = refused(a_gguf(), CPUS, engine=engine)
    assert found.reason == reason
    assert says in found.message
    assert len(found.verdicts) == 5
    assert not any(verdict.accepted for verdict in found.verdicts)


def test_a_version_without_a_name_is_for_the_engines_that_have_it() -> None:
    assert chosen(a_gguf(), CPUS, engine={"version": "2026.10.11549"}).engine == "llamacpp"
    found = refused(a_gguf(), CPUS, engine={"version": "5.23.0"})
    assert of(found, "llamacpp").reason == "NotRequested"


def test_the_users_arguments_arrive_and_raw_ones_too() -> None:
    engine = {"args": {"n_ctx": 2048, "n_parallel": 2, "sampling.top_k": 5}, "extraArgs": ["prompt_cache_all=true"]}
    found = chosen(a_gguf(), CPUS, engine=engine)
    assert found.arguments == {"cache_ram_mib": 0, "n_ctx": 2048, "n_parallel": 2, "sampling.top_k": 5}
    assert found.extra_arguments == ("prompt_cache_all=true",)
    assert (found.context_length, found.parallel) == (1024, 2)


def test_an_image_stands_in_for_an_engine_that_is_not_installed() -> None:
    found = chosen(safetensors(), CPUS, engine={"name": "vllm", "image": "registry.example/vllm-cpu:1"})
    assert (found.engine, found.image) == ("vllm", "registry.example/vllm-cpu:1")


@pytest.mark.parametrize(
    ("trained", "asked", "context", "says"),
    [
        pytest.param(
            32768, None, 8192, "The model allows 32768 tokens, 8192 is the default", id="a long one is capped"
        ),
        pytest.param(2048, None, 2048, "", id="a short one is what the model was trained for"),
        pytest.param(None, None, 4096, "", id="an unknown one is 4096"),
        pytest.param(32768, 16384, 16384, "", id="what was asked for is kept"),
        pytest.param(1024, 4096, 4096, "trained for 1024 tokens", id="more than the model knows is said"),
    ],
)
def test_the_context_that_is_given(trained: int | None, asked: int | None, context: int, says: str) -> None:
    engine = {"contextLength": asked} if asked else {}
    found = chosen(a_gguf(context_length=trained), CPUS, engine=engine)
    assert found.context_length == context
    assert found.arguments["n_ctx"] == context * found.parallel
    assert says in of(found, "llamacpp").message


@pytest.mark.parametrize(
    ("limit_mib", "context", "parallel"),
    [
        pytest.param(2048, 8192, 4, id="all of it"),
        pytest.param(800, 8192, 2, id="half the requests at once"),
        pytest.param(660, 8192, 1, id="one request at a time"),
        pytest.param(600, 7168, 1, id="a shorter context"),
        pytest.param(560, 3840, 1, id="a much shorter one"),
    ],
)
def test_defaults_shrink_requests_first_and_then_context(limit_mib: int, context: int, parallel: int) -> None:
    found = chosen(a_gguf(), CPUS, resources={"limits": {"memory": f"{limit_mib}Mi"}})
    assert (found.context_length, found.parallel) == (context, parallel)
    assert found.estimate.total_bytes <= limit_mib * MIB
    if context < 8192:
        assert f"reduced from 8192 to {context} tokens" in of(found, "llamacpp").message


def test_a_context_that_was_asked_for_is_kept_or_refused_with_the_largest_that_fits() -> None:
    spec = {"engine": {"contextLength": 32768}, "resources": {"limits": {"memory": "700Mi"}}}
    found = refused(a_gguf(), CPUS, **spec)
    assert found.reason == "InsufficientMemory"
    verdict = of(found, "llamacpp")
    largest = int(verdict.would_fit.split()[1])
    spec["engine"]["contextLength"] = largest
    assert chosen(a_gguf(), CPUS, **spec).context_length == largest
    spec["engine"]["contextLength"] = largest + 256
    assert refused(a_gguf(), CPUS, **spec).reason == "InsufficientMemory"


def test_a_model_that_does_not_fit_says_how_much_it_needs_and_where_it_came_closest() -> None:
    inventory = nodes(a_node("small", gib=4), a_node("large", gib=32))
    found = refused(weighing(100), inventory)
    assert found.reason == "InsufficientMemory"
    assert "weights 100 GiB" in found.message
    assert "32 GiB can be used on the CPUs of large" in found.message


def test_the_only_node_that_is_large_enough_is_taken() -> None:
    inventory = nodes(a_node("a", gib=4), a_node("b", gib=64), a_node("c", gib=8))
    assert chosen(weighing(20), inventory).placement.node == "b"


def test_a_node_with_the_whole_default_is_better_than_an_earlier_one_with_less() -> None:
    inventory = nodes(a_node("a", gib=0.6), a_node("b", gib=16))
    found = chosen(a_gguf(), inventory)
    assert (found.placement.node, found.context_length) == ("b", 8192)


def test_memory_that_is_requested_has_to_be_there() -> None:
    found = refused(a_gguf(), CPUS, resources={"requests": {"memory": "32Gi"}})
    assert found.reason == "InsufficientMemory"
    assert "32 GiB" in found.message


def test_a_limit_on_cores_sets_threads() -> None:
    found = chosen(a_gguf(), CPUS, resources={"limits": {"cpu": "1500m"}})
    assert found.arguments["cpuparams.n_threads"] == 1


def test_an_amount_that_is_none_is_the_users_mistake() -> None:
    assert refused(a_gguf(), CPUS, resources={"limits": {"memory": "lots"}}).reason == "InvalidSpec"


def test_pickles_are_refused_unless_they_are_allowed() -> None:
    pickles = safetensors(format=Format.PICKLE)
    assert of(refused(pickles, CPUS), "transformers").reason == "UnsafeFormat"
    allowed = {"source": "hf://org/model", "integrity": {"allowUnsafeFormats": True}}
    assert chosen(pickles, CPUS, model=allowed).engine == "transformers"


def test_every_task_the_user_names_has_to_be_answered() -> None:
    both = safetensors(tasks=(Task.CHAT, Task.EMBED))
    assert chosen(both, CPUS).engine == "transformers"
    named = {"source": "hf://org/model", "tasks": ["chat", "embed"]}
    assert of(refused(both, CPUS, model=named), "transformers").reason == "TaskNotSupported"


def test_a_share_of_the_accelerator_can_be_given() -> None:
    one = nodes(a_node("gpu", gpu("L4"), gib=8))
    spec = {"engine": {"name": "vllm"}, "resources": {"accelerators": [{"product": "L4"}]}}
    assert chosen(heavy(18), one, EVERYTHING, **spec).engine == "vllm"
    spec["engine"]["args"] = {"gpu_memory_utilization": 0.5}
    assert refused(heavy(18), one, EVERYTHING, **spec).reason == "InsufficientMemory"
