"""What holds of every decision, whatever the model, the machines and the wishes."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inferry.api.model_deployment import DeploymentSpec
from inferry.catalog.catalog import Catalog, EngineOffer
from inferry.catalog.load import load_catalog
from inferry.decide.decide import decide
from inferry.decide.decision import Decision, NoDecision
from inferry_runtime.engines.registry import ENGINES
from inferry_runtime.hardware import Hardware, Inventory, Vendor
from inferry_runtime.model.facts import Format, ModelFacts, Quantization, Task, WeightFile
from worlds.facts import GIB, MIB, SMALL_ATTENTION, a_gguf, a_node, a_spec, gpu, safetensors

CATALOG = load_catalog()


def installed(offer: EngineOffer) -> EngineOffer:
    releases = {version: replace(one, variants=("cpu", "cuda")) for version, one in offer.releases.items()}
    return replace(offer, releases=releases)


CATALOGS = (CATALOG, replace(CATALOG, engines={name: installed(offer) for name, offer in CATALOG.engines.items()}))

METHODS = ("none", "gptq", "awq", "fp8", "fp4", "bnb", "compressed-tensors", "nonsense")


@st.composite
def models(draw: st.DrawFn) -> ModelFacts:
    size_bytes = draw(st.integers(min_value=1 * MIB, max_value=400 * GIB))
    weights = (WeightFile(path="weights", size_bytes=size_bytes),)
    tasks = tuple(draw(st.lists(st.sampled_from(Task), max_size=3, unique=True)))
    attention = draw(st.none() | st.builds(lambda heads: replace(SMALL_ATTENTION, heads=heads), st.integers(1, 128)))
    context = draw(st.none() | st.integers(1, 1_000_000))
    shared: dict[str, Any] = {"weights": weights, "tasks": tasks, "attention": attention, "context_length": context}
    if draw(st.booleans()):
        return a_gguf(**shared)
    quantization = Quantization(
        method=draw(st.sampled_from(METHODS)), bits=draw(st.none() | st.sampled_from([2.0, 3.0, 4.0, 8.0]))
    )
    format = draw(st.sampled_from([Format.SAFETENSORS, Format.MLX, Format.PICKLE]))
    architecture = draw(st.sampled_from(["Qwen2ForCausalLM", "LlamaForCausalLM", "NobodyForCausalLM"]))
    return safetensors(format=format, quantization=quantization, architecture=architecture, **shared)


def machine(index: int, gib: int, system: str, product: str, count: int) -> Hardware:
    vendor = {"M4": Vendor.APPLE, "MI300X": Vendor.AMD}.get(product, Vendor.NVIDIA)
    accelerators = (gpu(product, count=count, vendor=vendor, capability=None),) if count else ()
    return a_node(f"node-{index}", *accelerators, gib=gib, system=system)


machines = st.lists(
    st.tuples(
        st.integers(1, 512),
        st.sampled_from(["linux", "darwin"]),
        st.sampled_from(["L4", "M4", "MI300X"]),
        st.integers(0, 8),
    ),
    max_size=6,
).map(lambda rows: tuple(machine(index, *row) for index, row in enumerate(rows)))

specs = st.builds(
    lambda engine, context, limit, accelerators: a_spec(
        engine={key: value for key, value in (("name", engine), ("contextLength", context)) if value},
        resources={"limits": {"memory": limit} if limit else {}, "accelerators": accelerators},
    ),
    st.none() | st.sampled_from([*ENGINES, "nobody"]),
    st.none() | st.integers(1, 200_000),
    st.none() | st.sampled_from(["256Mi", "4Gi", "64Gi"]),
    st.lists(
        st.fixed_dictionaries({"vendor": st.sampled_from(["cpu", "nvidia", "amd"]), "count": st.integers(0, 4)}),
        max_size=2,
    ),
)

worlds = given(facts=models(), spec=specs, nodes=machines, catalog=st.sampled_from(CATALOGS))


@settings(max_examples=200, deadline=None)
@given(facts=models(), spec=specs, nodes=machines, catalog=st.sampled_from(CATALOGS), data=st.data())
def test_the_order_of_the_nodes_does_not_matter(
    facts: ModelFacts, spec: DeploymentSpec, nodes: tuple[Hardware, ...], catalog: Catalog, data: st.DataObject
) -> None:
    shuffled = tuple(data.draw(st.permutations(nodes)))
    first = decide(facts, spec, Inventory(nodes=nodes), catalog)
    assert decide(facts, spec, Inventory(nodes=nodes), catalog) == first
    assert decide(facts, spec, Inventory(nodes=shuffled), catalog) == first


@settings(max_examples=300, deadline=None)
@worlds
def test_every_engine_answers_in_a_sentence_and_a_refusal_says_what_would_fit(
    facts: ModelFacts, spec: DeploymentSpec, nodes: tuple[Hardware, ...], catalog: Catalog
) -> None:
    found = decide(facts, spec, Inventory(nodes=nodes), catalog)
    assert {verdict.engine for verdict in found.verdicts} == set(ENGINES)
    for verdict in found.verdicts:
        assert verdict.message.endswith(".")
        assert (verdict.reason == "Accepted") is verdict.accepted
        assert bool(verdict.would_fit) is not verdict.accepted


@settings(max_examples=300, deadline=None)
@worlds
def test_the_chosen_engine_is_the_first_accepted_and_fits(
    facts: ModelFacts, spec: DeploymentSpec, nodes: tuple[Hardware, ...], catalog: Catalog
) -> None:
    found = decide(facts, spec, Inventory(nodes=nodes), catalog)
    accepted = [verdict.engine for verdict in found.verdicts if verdict.accepted]
    if isinstance(found, NoDecision):
        assert accepted == []
        assert found.message
        return
    assert found.engine == accepted[0]
    assert spec.engine.name in (None, found.engine)
    assert spec.engine.context_length in (None, found.context_length)
    assert_fits(found, {node.name: node for node in nodes})


def assert_fits(found: Decision, nodes: dict[str, Hardware]) -> None:
    node = nodes[found.placement.node]
    devices = [one for one in node.accelerators if one.product == found.placement.accelerator]
    assert bool(devices) is bool(found.placement.count)
    there = node.memory_bytes + sum(found.placement.count * one.memory_bytes for one in devices)
    assert found.estimate.total_bytes <= there
    assert all(found.placement.count <= one.count for one in devices)
