import json

import pytest

from inferry_runtime.order import Probe
from inferry_runtime.serve.failures import ServeError
from inferry_runtime.serve.plain_http import Answer
from inferry_runtime.serve.probe import problem_of, question_for

ANSWERS = {
    "a chat answer": ("chat", {"choices": [{"message": {"content": "I am"}}]}),
    "a chat answer that only thought so far": (
        "chat",
        {"choices": [{"message": {"content": "", "reasoning_content": "Hm"}}]},
    ),
    "a model that ends its answer at once": (
        "chat",
        {"choices": [{"message": {"content": ""}}], "usage": {"completion_tokens": 1}},
    ),
    "a text": ("generate", {"choices": [{"text": " parrot"}]}),
    "an embedding": ("embed", {"data": [{"embedding": [0.5, -0.25]}]}),
    "a ranking": ("rerank", {"results": [{"index": 0, "relevance_score": -3.5}]}),
}

NOTHING = {
    "no choices": ("chat", {"choices": []}),
    "an empty message": ("chat", {"choices": [{"message": {"content": ""}}], "usage": {"completion_tokens": 0}}),
    "no message": ("chat", {"choices": [{"message": None}]}),
    "an error with status 200": ("chat", {"error": {"message": "no"}}),
    "an empty text": ("generate", {"choices": [{"text": ""}]}),
    "an empty embedding": ("embed", {"data": [{"embedding": []}]}),
    "no ranking": ("rerank", {"results": []}),
}


def question(task: str) -> tuple[str, dict[str, object]]:
    asked = question_for(Probe(task=task, prompt="Who are you?", timeout_seconds=1), "parrot")
    return asked.path, json.loads(asked.body)


def problem(task: str, status: int, body: bytes) -> str:
    asked = question_for(Probe(task=task, prompt="Who are you?", timeout_seconds=1), "parrot")
    return problem_of(asked, Answer(status=status, body=body))


@pytest.mark.parametrize(("task", "document"), ANSWERS.values(), ids=ANSWERS.keys())
def test_this_is_an_answer(task: str, document: object) -> None:
    assert problem(task, 200, json.dumps(document).encode()) == ""


@pytest.mark.parametrize(("task", "document"), NOTHING.values(), ids=NOTHING.keys())
def test_this_is_not_an_answer(task: str, document: object) -> None:
    assert "answered with nothing" in problem(task, 200, json.dumps(document).encode())


def test_an_error_is_quoted() -> None:
    assert problem("chat", 400, b'{"error": "no template"}') == (
        'was answered with status 400: {"error": "no template"}'
    )


@pytest.mark.parametrize(
    ("task", "body"),
    [
        ("chat", b"<html>hello</html>"),
        ("chat", b""),
        ("chat", b"[]"),
        ("chat", b'{"choices": "many"}'),
        ("embed", b'{"data": [{"embedding": [null, 0.5]}]}'),
        ("embed", b'{"data": [{"embedding": [NaN]}]}'),
    ],
)
def test_something_else_than_an_answer_is_quoted(task: str, body: bytes) -> None:
    told = problem(task, 200, body)
    assert "something else than an answer" in told
    assert told.endswith(body.decode())


@pytest.mark.parametrize(
    ("task", "path", "key"),
    [
        ("chat", "/v1/chat/completions", "messages"),
        ("generate", "/v1/completions", "prompt"),
        ("embed", "/v1/embeddings", "input"),
        ("rerank", "/v1/rerank", "query"),
    ],
)
def test_every_task_has_its_question_for_the_served_name(task: str, path: str, key: str) -> None:
    asked_path, body = question(task)
    assert asked_path == path
    assert body["model"] == "parrot"
    assert "Who are you?" in json.dumps(body[key])


def test_a_task_without_a_question_is_an_invalid_order() -> None:
    with pytest.raises(ServeError) as caught:
        question("dance")
    assert caught.value.failure.reason == "InvalidOrder"
