"""The shipped catalog, look-ups in it, and files put over it."""

from pathlib import Path

import pytest

from inferry.catalog.catalog import UnknownModel, UnknownRelease
from inferry.catalog.load import CatalogFileError, load_catalog
from inferry.catalog.lookup import find_model
from inferry_runtime.engines.registry import ENGINES
from inferry_runtime.engines.rules import all_rules

CATALOG = load_catalog()


def test_every_engine_has_a_default_release() -> None:
    assert set(CATALOG.engines) == set(ENGINES)
    for name in ENGINES:
        release = CATALOG.release(name)
        assert (release.engine, release.version) == (name, CATALOG.engines[name].default)


@pytest.mark.parametrize(
    ("name", "wants", "source", "include"),
    [
        ("qwen2.5-instruct", {}, "hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF", ("*q4_k_m*.gguf",)),
        ("Qwen2.5", {"size": "7"}, "hf://Qwen/Qwen2.5-7B-Instruct-GGUF", ("*q4_k_m*.gguf",)),
        ("qwen2.5", {"size": "0_5", "quantization": "Q8_0"}, "hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF", ("*q8_0*.gguf",)),
        ("qwen2.5", {"format": "safetensors"}, "hf://Qwen/Qwen2.5-0.5B-Instruct", ()),
        ("qwen2.5", {"quantization": "int4"}, "hf://Qwen/Qwen2.5-0.5B-Instruct-GPTQ-Int4", ()),
        (
            "qwen2.5",
            {"hub": "modelscope", "size": "72b"},
            "modelscope://Qwen/Qwen2.5-72B-Instruct-GGUF",
            ("*q4_k_m*.gguf",),
        ),
        ("qwen2.5-coder", {"size": "3"}, "hf://Qwen/Qwen2.5-Coder-3B-Instruct", ()),
        ("qwen3", {"size": "30", "quantization": "fp8"}, "hf://Qwen/Qwen3-30B-A3B-FP8", ()),
        ("llama-3.2-instruct", {"size": "3"}, "hf://bartowski/Llama-3.2-3B-Instruct-GGUF", ("*-Q4_K_M.gguf",)),
    ],
)
def test_a_family_stands_for_a_source(name: str, wants: dict[str, str], source: str, include: tuple[str, ...]) -> None:
    found = find_model(CATALOG, name, **wants)
    assert (found.source, found.include) == (source, include)


@pytest.mark.parametrize(
    ("name", "wants", "nearest", "lists"),
    [
        pytest.param("qwen2.5-instuct", {}, "qwen2.5-instruct", "llama-3.2-instruct", id="a typo"),
        pytest.param("qwen3", {"size": "9"}, "", "0.6, 1.7, 4", id="a size it does not come in"),
        pytest.param("qwen3", {"format": "gguff"}, "gguf", "gguf, safetensors", id="a format it does not come in"),
        pytest.param("qwen3", {"quantization": "Q4_K"}, "Q4_K_M", "Q4_K_M", id="a quantization it does not come in"),
        pytest.param("qwen3", {"size": "30", "quantization": "awq"}, "", "fp8", id="a quantization of other sizes"),
        pytest.param("llama-3.2", {"format": "gguf", "hub": "modelscope"}, "", "hf", id="a hub that has not got it"),
    ],
)
def test_what_a_family_does_not_have_is_told_with_what_it_has(
    name: str, wants: dict[str, str], nearest: str, lists: str
) -> None:
    with pytest.raises(UnknownModel) as caught:
        find_model(CATALOG, name, **wants)
    assert caught.value.nearest == nearest or not nearest
    assert lists in caught.value.message


def test_every_offer_of_every_family_makes_a_source() -> None:
    for family in CATALOG.families.values():
        for offer in family.offers:
            for size in offer.sizes or family.sizes:
                for quantization in offer.quantizations:
                    found = find_model(CATALOG, family.name, size=size, format=offer.format, quantization=quantization)
                    assert "{" not in found.source + "".join(found.include)
                    assert found.source.count("/") == 3


def test_formats_of_offers_are_formats_engines_know() -> None:
    known = {format for rules in all_rules().values() for format in rules.formats}
    assert {offer.format for family in CATALOG.families.values() for offer in family.offers} <= known


@pytest.mark.parametrize(
    ("engine", "version", "nearest"),
    [("llamacp", None, "llamacpp"), ("llamacpp", "2026.10.11548", "2026.10.11549"), ("vllm", "9", "")],
)
def test_releases_that_do_not_exist(engine: str, version: str | None, nearest: str) -> None:
    with pytest.raises(UnknownRelease) as caught:
        CATALOG.release(engine, version)
    assert caught.value.nearest == nearest


def test_a_folder_of_files_is_put_over_the_catalog(tmp_path: Path) -> None:
    (tmp_path / "10-engines.yaml").write_text(
        """
        engines:
          vllm:
            default: "0.33.0"
            releases:
              "0.33.0": {variants: [cpu, cuda], images: {cuda: registry.example/vllm:0.33.0}}
            architectures: {BrandNewForCausalLM: "0.33.0"}
        """
    )
    (tmp_path / "20-models.yml").write_text(
        """
        models:
          qwen3: {sizes: ["1"], offers: [{format: gguf, hf: "our/{size}b"}]}
          ours: {sizes: ["1"], offers: [{format: gguf, hf: our/model}]}
        """
    )
    (tmp_path / "notes.txt").write_text("not a catalog")
    catalog = load_catalog(tmp_path)
    vllm = catalog.release("vllm")
    assert (vllm.version, vllm.variants, vllm.images) == (
        "0.33.0",
        ("cpu", "cuda"),
        {"cuda": "registry.example/vllm:0.33.0"},
    )
    assert vllm.architectures is not None
    assert {"BrandNewForCausalLM", "LlamaForCausalLM"} <= set(vllm.architectures)
    assert catalog.release("vllm", "0.32.0").variants == ()
    assert catalog.release("llamacpp") == CATALOG.release("llamacpp")
    assert find_model(catalog, "qwen3").source == "hf://our/1b"
    assert find_model(catalog, "ours").source == "hf://our/model"


def test_later_files_win_over_earlier_ones(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text('models: {ours: {sizes: ["1"], offers: [{format: gguf, hf: our/first}]}}')
    second.write_text('models: {ours: {sizes: ["1"], offers: [{format: gguf, hf: our/second}]}}')
    assert find_model(load_catalog(first, second), "ours").source == "hf://our/second"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("models: [", "wrong.yaml", id="no YAML"),
        pytest.param("models: {ours: {sizes: [], offers: 3}}", "$.models[...].offers", id="a wrong type"),
        pytest.param("engines: {ours: {releases: {}}}", "engines.ours.default", id="an engine without releases"),
        pytest.param('engines: {vllm: {default: "7"}}', "engines.vllm.default", id="a default that does not exist"),
        pytest.param("models: {ours: {sizes: [], offers: []}}", "models.ours", id="a family without sizes"),
        pytest.param("modles: {}", "modles", id="a misspelt section"),
    ],
)
def test_a_wrong_file_is_named_with_the_field(tmp_path: Path, text: str, says: str) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text)
    with pytest.raises(CatalogFileError, match=r"wrong\.yaml|engines|models") as caught:
        load_catalog(wrong)
    assert says in str(caught.value)


def test_a_missing_override_is_an_error_and_not_an_empty_catalog(tmp_path: Path) -> None:
    with pytest.raises(CatalogFileError, match=r"gone\.yaml"):
        load_catalog(tmp_path / "gone.yaml")
