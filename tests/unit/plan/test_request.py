"""What is asked of a source, from what the spec says of the model."""

import pytest

from inferry.api.model_deployment import Model
from inferry.catalog.load import load_catalog
from inferry.plan.request import UnknownFamily, inspection_request


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def test_a_source_is_asked_for_as_it_was_written(catalog):
    written = {
        "source": "hf://a/b",
        "revision": "v1",
        "files": {"include": ["*.gguf"], "exclude": ["*-f32.gguf"]},
        "format": "gguf",
        "quantization": "q4_k_m",
        "tasks": ["embed"],
        "integrity": {"allowUnsafeFormats": True},
    }
    asked = inspection_request(Model.model_validate(written), catalog)
    assert (asked.source, asked.revision, asked.format, asked.quantization) == ("hf://a/b", "v1", "gguf", "q4_k_m")
    assert (asked.include, asked.exclude) == (("*.gguf",), ("*-f32.gguf",))
    assert (asked.tasks, asked.allow_unsafe_formats) == (("embed",), True)


def test_every_family_of_the_catalog_has_a_source(catalog):
    assert catalog.families
    for name in catalog.families:
        asked = inspection_request(Model(name=name), catalog)
        assert "://" in asked.source
        assert asked.format


def test_files_that_were_named_win_over_those_of_the_catalog(catalog):
    name = next(iter(catalog.families))
    asked = inspection_request(Model.model_validate({"name": name, "files": {"include": ["mine"]}}), catalog)
    assert asked.include == ("mine",)


def test_a_misspelt_family_is_told_with_the_nearest_one(catalog):
    with pytest.raises(UnknownFamily) as refused:
        inspection_request(Model(name="qwen2.5-instrukt"), catalog)
    assert (refused.value.reason, refused.value.hint) == ("UnknownModel", "Did you mean qwen2.5-instruct?")


def test_a_family_that_resembles_none_is_told_what_to_do(catalog):
    with pytest.raises(UnknownFamily) as refused:
        inspection_request(Model(name="!!!!!!!!!!"), catalog)
    assert refused.value.hint
