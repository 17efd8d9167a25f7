"""What is wrong with what somebody wrote: where it stands, what it says, what was probably meant."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from inferry.api.reasons import Reason

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """One field, in one object."""

    path: FieldPath
    message: str
    """A sentence that says what to do."""
    value: str = ""
    """As it was written; "" when nothing was."""
    nearest: str = ""
    """The valid spelling it is closest to."""
    reason: Reason = Reason.INVALID_SPEC

    def sentence(self) -> str:
        """Without the place in a file: `spec.engine.name "vlm": there is no such engine; did you mean "vllm"?`"""
        value = f' "{self.value}"' if self.value else ""
        guess = f' Did you mean "{self.nearest}"?' if self.nearest else ""
        return f"{dotted(self.path)}{value}: {self.message}{guess}"


def dotted(path: FieldPath) -> str:
    """`spec.resources.accelerators[0].vendor`"""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """The known spelling closest to the word, whatever its case; "" when none is close."""
    by_fold = {_fold(candidate): candidate for candidate in known}
    found = difflib.get_close_matches(_fold(word), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else ""


def _fold(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "").replace(".", "")
