"""From flags to an object."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferry.api.validate import validate_name
from inferry.cli.launching import LaunchRequest, deployment_for, made_name
from inferry.cli.paths import absolute_source
from inferry.cli.refusal import INVALID_INPUT, Refusal


@pytest.mark.parametrize(
    ("source", "name"),
    [
        pytest.param("hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-gguf", id="a repository"),
        pytest.param("hf://Qwen/Qwen3-8B@main", "qwen3-8b", id="a revision is not part of a name"),
        pytest.param("modelscope://org/Some_Model", "some-model", id="what no name may have becomes a dash"),
        pytest.param("/models/parrot/gguf", "parrot", id="a folder called by its format takes its parent's name"),
        pytest.param("./weights/tiny-q4_k_m.gguf", "tiny-q4-k-m", id="a file loses its suffix"),
        pytest.param("s3://bucket/llama/", "llama", id="a closing slash says nothing"),
        pytest.param("https://example.org/a/model.gguf", "model", id="a url"),
        pytest.param("/models/Ünï mödel 🦜", "uni-model", id="letters lose their accents, and what is no letter"),
        pytest.param("///", "model", id="nothing telling at all"),
        pytest.param("hf://org/" + "x" * 90, "x" * 53, id="a long one is cut"),
    ],
)
def test_a_name_is_made_from_the_telling_part_of_a_source(source: str, name: str) -> None:
    assert made_name(source) == name


@given(st.text(min_size=1, max_size=300))
def test_a_made_name_is_always_one_an_object_can_have(source: str) -> None:
    assert validate_name(made_name(source)) == ()


def test_only_what_was_given_is_written() -> None:
    deployment = deployment_for(LaunchRequest(source="hf://a/b"), folder=Path("/"))
    assert deployment.spec.model.model_dump(exclude_unset=True) == {"source": "hf://a/b"}
    assert deployment.spec.engine.model_dump(exclude_unset=True) == {}


def test_engine_arguments_keep_their_types() -> None:
    arguments = ("n_ctx=4096", "flash=true", "sampling.temp=0.5", "cache_type_k=q8_0", 'name="7"', "list=[1]")
    deployment = deployment_for(LaunchRequest(source="hf://a/b", arguments=arguments), folder=Path("/"))
    assert deployment.spec.engine.args == {
        "n_ctx": 4096,
        "flash": True,
        "sampling.temp": 0.5,
        "cache_type_k": "q8_0",
        "name": "7",
        "list": "[1]",
    }


@pytest.mark.parametrize(
    ("source", "absolute"),
    [
        pytest.param("models/x", "/home/me/models/x", id="relative to the folder"),
        pytest.param("../x", "/home/x", id="upwards"),
        pytest.param("/abs/x", "/abs/x", id="absolute stays"),
        pytest.param("hf://org/x", "hf://org/x", id="a uri stays"),
    ],
)
def test_relative_folders_become_absolute(source: str, absolute: str) -> None:
    assert absolute_source(source, Path("/home/me")) == absolute


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(LaunchRequest(), id="neither a source nor a family"),
        pytest.param(LaunchRequest(source=""), id="an empty source is not the folder one stands in"),
        pytest.param(LaunchRequest(source="hf://a/b", model="qwen"), id="both"),
        pytest.param(LaunchRequest(source="hf://a/b", arguments=("n_ctx",)), id="an argument without a value"),
    ],
)
def test_contradictory_flags_are_refused_as_input(request_: LaunchRequest) -> None:
    with pytest.raises(Refusal) as refused:
        deployment_for(request_, folder=Path("/"))
    assert refused.value.code == INVALID_INPUT


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        pytest.param(LaunchRequest(source="/x", name="x" * 254), "metadata.name", id="a name too long"),
        pytest.param(LaunchRequest(source="/x", name="Bad_Name"), "Did you mean bad-name?", id="a name nobody takes"),
        pytest.param(LaunchRequest(source="/x", replicas=-1), "spec.replicas", id="less than nothing"),
        pytest.param(LaunchRequest(source="/x", context_length=0), "spec.engine.contextLength", id="no context"),
        pytest.param(LaunchRequest(source="/x", engine="vlm"), "Did you mean vllm?", id="a mistyped engine"),
        pytest.param(LaunchRequest(source="/x", format="gguff"), "Did you mean gguf?", id="a mistyped format"),
        pytest.param(LaunchRequest(source="/x", served_names=("a", "a")), "twice", id="a name served twice"),
        pytest.param(LaunchRequest(source="hff://a/b"), "unknown source scheme", id="a scheme nobody knows"),
        pytest.param(LaunchRequest(source="hf://a"), "does not name a repository", id="half a repository"),
    ],
)
def test_flags_are_checked_like_a_file_before_anything_is_written(request_: LaunchRequest, told: str) -> None:
    with pytest.raises(Refusal) as refused:
        deployment_for(request_, folder=Path("/"))
    assert refused.value.code == INVALID_INPUT
    assert told in refused.value.message


def test_a_folder_may_have_any_name() -> None:
    folder = '/srv/two words/ünï 🦜/"quoted": {x}'
    assert deployment_for(LaunchRequest(source=folder), folder=Path("/")).spec.model.source == folder
