"""The first question: a replica is ready when its engine has answered it, not when it says it is healthy."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from inferry_runtime.order import Probe
from inferry_runtime.serve.answers import Document, decode, has_embedding, has_message, has_rank, has_text
from inferry_runtime.serve.failures import ServeError, failure
from inferry_runtime.serve.plain_http import Answer, NoAnswer, ask

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0
"""A small model is healthy in 50 ms and should not wait for us; one that loads for minutes need not be asked often."""

PROBE_TOKENS = 8
"""Enough for a few words, whatever the tokenizer."""

BODY_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Question:
    path: str
    body: bytes
    is_answer: Callable[[Document], bool]


async def healthy(host: str, port: int, path: str, on_wait: Callable[[], None]) -> None:
    """Return when the engine says 200. Waits as long as it takes: the caller watches the process."""
    pause = FIRST_PAUSE_SECONDS
    while not await _is_healthy(host, port, path):
        on_wait()
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


async def ask_first_question(host: str, port: int, probe: Probe, model: str) -> None:
    """Return when there was a real answer. Raises ServeError with ProbeFailed."""
    question = question_for(probe, model)
    try:
        async with asyncio.timeout(probe.timeout_seconds):
            answer = await _patiently(host, port, question)
    except TimeoutError:
        raise _failed(f"no answer to the first question within {probe.timeout_seconds:g} s") from None
    problem = problem_of(question, answer)
    if problem:
        raise _failed(f"the first question to {question.path} {problem}")


def question_for(probe: Probe, model: str) -> Question:
    """The request a client would send, as small as the task allows. Raises ServeError for a task without one."""
    short: dict[str, Any] = {"model": model, "max_tokens": PROBE_TOKENS, "temperature": 0}
    match probe.task:
        case "chat":
            messages = [{"role": "user", "content": probe.prompt}]
            return _question("/v1/chat/completions", {**short, "messages": messages}, has_message)
        case "generate":
            return _question("/v1/completions", {**short, "prompt": probe.prompt}, has_text)
        case "embed":
            return _question("/v1/embeddings", {"model": model, "input": probe.prompt}, has_embedding)
        case "rerank":
            documents = [probe.prompt, "something else"]
            return _question("/v1/rerank", {"model": model, "query": probe.prompt, "documents": documents}, has_rank)
        case _:
            raise ServeError(failure("InvalidOrder", f"there is no question for the task {probe.task!r}"))


def problem_of(question: Question, answer: Answer) -> str:
    """What is wrong with the answer; "" when it is one."""
    excerpt = answer.body[:BODY_CHARACTERS].decode("utf-8", errors="replace").strip()
    if answer.status != 200:
        return f"was answered with status {answer.status}: {excerpt}"
    try:
        document = decode(answer.body)
    except msgspec.DecodeError as error:
        return f"was answered with something else than an answer ({error}): {excerpt}"
    return "" if question.is_answer(document) else f"was answered with nothing: {excerpt}"


async def _patiently(host: str, port: int, question: Question) -> Answer:
    """Some engines are healthy a moment before they take requests: 503 and closed connections are asked again."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            answer = await ask(host, port, question.path, question.body)
            if answer.status != 503:
                return answer
        except NoAnswer:
            pass
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


async def _is_healthy(host: str, port: int, path: str) -> bool:
    try:
        return (await ask(host, port, path)).status == 200
    except NoAnswer:
        return False


def _question(path: str, body: Mapping[str, Any], is_answer: Callable[[Document], bool]) -> Question:
    return Question(path, msgspec.json.encode(body), is_answer)


def _failed(message: str) -> ServeError:
    return ServeError(failure("ProbeFailed", message, hint="The engine runs but does not answer; its log says more."))
