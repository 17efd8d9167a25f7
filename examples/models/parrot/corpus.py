"""The book that parrot knows by heart, and the text a conversation becomes before a tokenizer sees it."""

import json
from dataclasses import dataclass
from pathlib import Path

END_OF_TURN = "<|im_end|>"
START_OF_TURN = "<|im_start|>"
PADDING = "<|endoftext|>"

# Every engine renders this with its own Jinja, so it keeps to what all of them implement: one loop and one condition.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Pair:
    """A question and the one answer to it, both without surrounding white space."""

    question: str
    answer: str


def read(path: Path) -> list[Pair]:
    """Return the pairs of a JSON Lines file in file order.

    Raises ValueError for a repeated question, and for an answer that starts or ends with white space: some engines
    strip it, so it could not come back exactly.
    """
    pairs = [Pair(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    if len({pair.question for pair in pairs}) != len(pairs):
        raise ValueError(f"{path} asks a question twice")
    for pair in pairs:
        if pair.answer != pair.answer.strip():
            raise ValueError(f"{path}: the answer to {pair.question!r} starts or ends with white space")
    return pairs


def turn(role: str, content: str) -> str:
    """Render one finished turn as the chat template does."""
    return f"{START_OF_TURN}{role}\n{content}{END_OF_TURN}\n"


def prompt(question: str, history: str = "") -> str:
    """Render everything up to the first character of the answer, as the chat template does with a generation prompt."""
    return f"{history}{turn('user', question)}{START_OF_TURN}assistant\n"
