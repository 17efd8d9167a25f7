"""What a spec may not say although every field has the right type."""

import pytest

from inferry.api.problems import dotted, nearest
from inferry.api.reasons import Reason
from inferry.api.validate import validate, validate_name
from worlds.samples import a_deployment

HF = {"source": "hf://a/b"}


def found(**spec):
    return [
        (dotted(problem.path), problem.nearest, problem.reason.value) for problem in validate(a_deployment(**spec).spec)
    ]


RIGHT = {
    "a hub": {"model": HF},
    "a hub at a revision": {"model": {"source": "hf://a/b@v1.0"}},
    "the other hub": {"model": {"source": "modelscope://a/b"}},
    "a file on the web": {"model": {"source": "https://x.example/a.gguf"}},
    "a bucket": {"model": {"source": "s3://bucket/path"}},
    "a path": {"model": {"source": "/models/a"}},
    "a relative path": {"model": {"source": "./models/a"}},
    "a file": {"model": {"source": "file:///models/a"}},
    "the catalog": {"model": {"name": "qwen2.5", "size": "0.5", "hub": "hf"}},
    "names of hubs to be served": {"model": HF, "servedNames": ["Qwen/Qwen2.5-0.5B-Instruct:free", "gpt-4o"]},
    "the same amount": {"model": HF, "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1000m"}}},
    "the processor asked for": {"model": HF, "resources": {"accelerators": [{"vendor": "cpu"}]}},
    "arguments for whichever engine": {"model": HF, "engine": {"args": {"n_ctx": 1}}},
}


@pytest.mark.parametrize("spec", RIGHT.values(), ids=RIGHT.keys())
def test_right(spec):
    assert found(**spec) == []


WRONG = {
    "no slash after the scheme": ({"model": {"source": "hf:a/b"}}, ("spec.model.source", "hf://a/b", "InvalidSource")),
    "a repository without its organization": (
        {"model": {"source": "hf://b"}},
        ("spec.model.source", "", "InvalidSource"),
    ),
    "a size of something that has one": (
        {"model": {**HF, "size": "7"}},
        ("spec.model.size", "", "InvalidSpec"),
    ),
    "a format with a typo": ({"model": {**HF, "format": "guff"}}, ("spec.model.format", "gguf", "InvalidSpec")),
    "a task with a typo": ({"model": {**HF, "tasks": ["chatt"]}}, ("spec.model.tasks[0]", "chat", "InvalidSpec")),
    "a mirror that is none": ({"model": {**HF, "mirror": "x"}}, ("spec.model.mirror", "", "InvalidSpec")),
    "a secret nobody can have": (
        {"model": {**HF, "secretRef": {"name": "My Token"}}},
        ("spec.model.secretRef.name", "my-token", "InvalidSpec"),
    ),
    "a served name with a space": (
        {"model": HF, "servedNames": ["my model"]},
        ("spec.servedNames[0]", "", "InvalidSpec"),
    ),
    "an engine with capitals": (
        {"model": HF, "engine": {"name": "vLLM"}},
        ("spec.engine.name", "vllm", "UnknownEngine"),
    ),
    "a variable set twice": (
        {"model": HF, "engine": {"env": [{"name": "A"}, {"name": "A"}]}},
        ("spec.engine.env[1].name", "", "InvalidSpec"),
    ),
    "a variable nobody can set": (
        {"model": HF, "engine": {"env": [{"name": "1=2"}]}},
        ("spec.engine.env[0].name", "", "InvalidSpec"),
    ),
    "a vendor with a typo": (
        {"model": HF, "resources": {"accelerators": [{"count": 1}, {"vendor": "nvida"}]}},
        ("spec.resources.accelerators[1].vendor", "nvidia", "InvalidSpec"),
    ),
    "nothing asked for": (
        {"model": HF, "resources": {"limits": {"memory": "0"}}},
        ("spec.resources.limits.memory", "", "InvalidSpec"),
    ),
}


@pytest.mark.parametrize(("spec", "expected"), WRONG.values(), ids=WRONG.keys())
def test_wrong(spec, expected):
    assert found(**spec) == [expected]


def test_everything_is_told_at_once():
    spec = {"model": {"source": "hff://a"}, "servedNames": ["a", "a"], "engine": {"name": "x", "image": "y"}}
    assert [path for path, _, _ in found(**spec)] == ["spec.model.source", "spec.servedNames[1]", "spec.engine.name"]


def test_a_problem_is_a_sentence_with_its_field_and_value():
    (problem,) = validate(a_deployment(model=HF, engine={"name": "vlm"}).spec)
    assert problem.sentence().startswith('spec.engine.name "vlm": is not an engine')
    assert problem.sentence().endswith('Did you mean "vllm"?')
    assert problem.reason is Reason.UNKNOWN_ENGINE


@pytest.mark.parametrize("name", ["a", "a-b.c", "9", "a" * 253])
def test_a_name_kubernetes_takes(name):
    assert validate_name(name) == ()


@pytest.mark.parametrize("name", ["A", "-a", "a-", "a..b", "a_b", "a b", "a" * 254, "ä"])
def test_a_name_kubernetes_does_not_take(name):
    assert len(validate_name(name)) == 1


@pytest.mark.parametrize(
    ("word", "expected"), [("served_names", "servedNames"), ("modle", "model"), ("REPLICAS", "replicas"), ("zzz", "")]
)
def test_the_nearest_spelling(word, expected):
    assert nearest(word, ["servedNames", "model", "replicas"]) == expected
