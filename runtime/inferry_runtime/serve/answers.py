"""What an OpenAI-compatible engine answers, as far as it shows that something was computed."""

import math
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[dict[str, Any], ...] | None = None

    @property
    def says_something(self) -> bool:
        return bool(self.content or self.reasoning_content or self.reasoning or self.tool_calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    message: Message | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    embedding: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    relevance_score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One type for all tasks: an engine fills in what it was asked for."""

    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    data: tuple[Vector, ...] = ()
    results: tuple[Rank, ...] = ()

    @property
    def computed(self) -> bool:
        """A model may end its answer at once; the engine still computed a token for it."""
        return self.usage is not None and (self.usage.completion_tokens or 0) > 0


def decode(body: bytes) -> Document:
    """Raises msgspec.DecodeError, also for numbers that are none."""
    return msgspec.json.decode(body, type=Document)


def has_message(document: Document) -> bool:
    return document.computed or any(choice.message and choice.message.says_something for choice in document.choices)


def has_text(document: Document) -> bool:
    return document.computed or any(choice.text for choice in document.choices)


def has_embedding(document: Document) -> bool:
    return any(vector.embedding and all(map(math.isfinite, vector.embedding)) for vector in document.data)


def has_rank(document: Document) -> bool:
    return any(rank.relevance_score is not None and math.isfinite(rank.relevance_score) for rank in document.results)
