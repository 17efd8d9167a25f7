"""Arguments are checked against what the installed version declares."""

import pytest

from inferry.catalog.load import load_catalog
from inferry_runtime.engines.base import ArgumentValue
from inferry_runtime.engines.registry import ENGINES
from inferry_runtime.engines.schema import check_arguments, load_schema

LLAMACPP = load_schema("llamacpp", "2026.10.11549")
TRANSFORMERS = load_schema("transformers", "5.23.0")


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_ctx": 4096, "n_parallel": 2, "cache_type_k": "q8_0", "cache_type_v": "q8_0"},
        {"sampling.top_k": 40, "sampling.temp": 1, "sampling.min_p": 0.05},
        {"flash_attn_type": "enabled", "pooling_type": "mean", "embedding": True},
        {"speculative.draft.n_max": 8, "cpuparams.n_threads": 4, "tensor_split": "3,1"},
        {},
    ],
)
def test_arguments_llama_cpp_has(arguments: dict[str, ArgumentValue]) -> None:
    assert check_arguments(LLAMACPP, arguments) == ()


@pytest.mark.parametrize(
    ("name", "value", "nearest", "says"),
    [
        pytest.param("n_cxt", 4096, "n_ctx", "not an argument", id="a typo"),
        pytest.param("n-ctx", 4096, "n_ctx", "not an argument", id="dashes for underscores"),
        pytest.param("top_k", 40, "sampling.top_k", "not an argument", id="the group left out"),
        pytest.param("sampling.topk", 40, "sampling.top_k", "not an argument", id="a typo inside a group"),
        pytest.param("blorp", 1, "", "not an argument", id="nothing is near"),
        pytest.param("n_ctx", "4096", "", "an integer", id="text for a number"),
        pytest.param("n_ctx", True, "", "an integer", id="true is no number"),
        pytest.param("n_ctx", 1.5, "", "an integer", id="half a token"),
        pytest.param("embedding", 1, "", "a boolean", id="a number for a switch"),
        pytest.param("cache_type_k", "q8", "q8_0", "one of", id="a choice that does not exist"),
        pytest.param("cache_type_k", "q2_k", "", "one of", id="a type that is no cache type"),
        pytest.param("port", 9000, "", "decided by inferry", id="an address"),
        pytest.param("model.path", "/etc/passwd", "", "decided by inferry", id="another model"),
    ],
)
def test_what_is_wrong_with_an_argument(name: str, value: ArgumentValue, nearest: str, says: str) -> None:
    (problem,) = check_arguments(LLAMACPP, {"n_parallel": 2, name: value})
    assert problem.name == name
    assert says in problem.message
    assert not nearest or problem.nearest == nearest


def test_all_problems_are_told_at_once_in_order() -> None:
    problems = check_arguments(LLAMACPP, {"zzz": 1, "n_ctx": "x", "aaa": 1})
    assert [problem.name for problem in problems] == ["aaa", "n_ctx", "zzz"]


def test_arguments_of_transformers() -> None:
    assert check_arguments(TRANSFORMERS, {"continuous_batching": True, "dtype": "float32", "reasoning": "off"}) == ()
    (problem,) = check_arguments(TRANSFORMERS, {"quantization": "bnb-4"})
    assert problem.nearest == "bnb-4bit"


def test_every_release_that_can_be_installed_has_its_arguments_read() -> None:
    for name, offer in load_catalog().engines.items():
        for release in offer.releases.values():
            assert bool(release.variants) is bool(ENGINES[name].argument_schema(release.version)), release


def test_a_version_that_was_never_read_has_no_arguments() -> None:
    assert load_schema("llamacpp", "1.0") == ()
