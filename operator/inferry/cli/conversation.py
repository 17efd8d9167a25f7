"""Asking a model through the gateway, piece by piece as the answer comes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import httpx2

from inferry.cli.refusal import Refusal

# The SDKs' own read time-out: a long answer on a slow machine is still an answer.
READ_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Where to ask, whom, and how."""

    address: str
    """`http://host:port` of the gateway."""
    model: str
    max_tokens: int | None = None
    temperature: float | None = None

    def body(self, **content: object) -> dict[str, object]:
        """The request, with only what was said."""
        options = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        said = {name: value for name, value in options.items() if value is not None}
        return {"model": self.model, "stream": True, **said, **content}


def chat(asking: Asking, messages: Sequence[Message]) -> Iterator[str]:
    """Pieces of the answer. Raises Refusal."""
    turns = [{"role": message.role, "content": message.content} for message in messages]
    for event in _events(f"{asking.address}/v1/chat/completions", asking.body(messages=turns)):
        yield _text(event, "delta", "content")


def complete(asking: Asking, prompt: str) -> Iterator[str]:
    """Pieces of the continuation. Raises Refusal."""
    for event in _events(f"{asking.address}/v1/completions", asking.body(prompt=prompt)):
        yield _text(event, "text")


def _events(url: str, body: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    timeout = httpx2.Timeout(READ_TIMEOUT_SECONDS, connect=5.0)
    try:
        with httpx2.Client(timeout=timeout, trust_env=False) as client, client.stream("POST", url, json=body) as answer:
            if answer.status_code != httpx2.codes.OK:
                answer.read()
                raise Refusal(_error_of(answer))
            yield from _parsed(answer.iter_lines())
    except httpx2.TransportError as error:
        raise Refusal(f"the gateway at {url} cannot be reached: {error}", hint="is `inferry local` running?") from error


def _parsed(lines: Iterator[str]) -> Iterator[Mapping[str, object]]:
    for line in lines:
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data.startswith("[DONE]"):
            return
        if not data:
            continue
        event = json.loads(data)
        if event.get("error"):
            raise Refusal(f"the answer broke off: {event['error'].get('message', data)}")
        yield event


def _text(event: Mapping[str, object], *path: str) -> str:
    choices = event.get("choices")
    found: object = choices[0] if isinstance(choices, list) and choices else {}
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def _error_of(answer: httpx2.Response) -> str:
    try:
        message = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = answer.text[:500]
    return f"{message} (HTTP {answer.status_code})"
