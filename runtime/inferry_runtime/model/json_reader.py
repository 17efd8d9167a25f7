"""JSON as a stream: walks documents of any size in little memory and stops at the first lie.

Not the standard library's parser, because headers come from strangers: depth, number of values and length of strings
are bounded before anything is kept, and the part of a document nobody asked for is never built.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from inferry_runtime.model.window import Window

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

# Real configurations nest below 10 levels and hold below 10 000 values (lists of layers excluded from quantization).
MAX_DEPTH = 64
MAX_VALUES = 50_000
MAX_KEPT_CHARACTERS = 4 << 20
# Longer than any 64-bit integer or double; Python's int() is quadratic in the digits.
MAX_NUMBER_CHARACTERS = 64

_TOKEN = re.compile(
    rb'[ \t\r\n]*+(?:("(?:[^"\\]|\\.)*+")|([{}\[\],:])|(-?[0-9][0-9.eE+-]*+|-?[A-Za-z]++)|([^"]))', re.DOTALL
)
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# Python writes the last three, and published configurations have them (time_step_limit of Mamba models).
_WORDS: dict[bytes, bool | float | None] = {
    b"true": True,
    b"false": False,
    b"null": None,
    b"NaN": float("nan"),
    b"Infinity": float("inf"),
    b"-Infinity": float("-inf"),
}


class JsonReader:
    """A pull parser. All errors are MalformedFile."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._pending: bytes | None = None
        self._values = 0
        self._characters = 0

    def members(self) -> Iterator[str]:
        """The keys of an object. Between two of them the caller has to consume the value: read, walk or skip it."""
        self._expect(b"{")
        if self._take_if(b"}"):
            return
        while True:
            key = self._text(self._next())
            self._expect(b":")
            yield key
            if self._ends(b"}"):
                return

    def elements(self) -> Iterator[None]:
        """One step per element of an array; the caller has to consume each."""
        self._expect(b"[")
        if self._take_if(b"]"):
            return
        while True:
            yield None
            if self._ends(b"]"):
                return

    def value(self) -> Json:
        """Builds the next value."""
        return self._value(0, keep=True)

    def skip(self) -> None:
        """Checks the next value and keeps nothing of it."""
        self._value(0, keep=False)

    def text(self) -> str:
        return self._text(self._next())

    def natural(self) -> int:
        """An integer that is not negative, below 2**63."""
        number = self._scalar(self._next())
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 63:
            raise self._window.malformed("a number that is no size")
        return number

    def finish(self) -> None:
        """Nothing but white space may follow."""
        rest = self._token()
        if rest:
            raise self._window.malformed(f"{_shown(rest)} behind the end of the document")

    def _value(self, depth: int, *, keep: bool) -> Json:
        if depth > MAX_DEPTH:
            raise self._window.malformed(f"JSON nested more than {MAX_DEPTH} deep")
        self._values += keep
        if self._values > MAX_VALUES:
            raise self._window.malformed(f"more than {MAX_VALUES} values")
        token = self._peek()
        if token == b"{":
            return self._object(depth, keep=keep)
        if token == b"[":
            return self._array(depth, keep=keep)
        token = self._next()
        if token[:1] != b'"':
            return self._scalar(token)
        text = self._text(token)
        self._keep(text if keep else "")
        return text

    def _array(self, depth: int, *, keep: bool) -> list[Json]:
        built: list[Json] = []
        for _ in self.elements():
            value = self._value(depth + 1, keep=keep)
            if keep:
                built.append(value)
        return built

    def _object(self, depth: int, *, keep: bool) -> dict[str, Json]:
        built: dict[str, Json] = {}
        for key in self.members():
            value = self._value(depth + 1, keep=keep)
            if not keep:
                continue
            if key in built:
                raise self._window.malformed(f"key {_shown(key.encode())} twice")
            self._keep(key)
            built[key] = value
        return built

    def _keep(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > MAX_KEPT_CHARACTERS:
            raise self._window.malformed("more text than any real document of its kind")

    def _text(self, token: bytes) -> str:
        if token[:1] != b'"':
            raise self._window.malformed(f"{_shown(token)} where a string should be")
        try:
            text: str = msgspec.json.decode(token, type=str)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._window.malformed("a string that is not UTF-8 or not JSON") from error
        return text

    def _scalar(self, token: bytes) -> int | float | bool | None:
        if token in _WORDS:
            return _WORDS[token]
        if len(token) > MAX_NUMBER_CHARACTERS or not _NUMBER.fullmatch(token):
            raise self._window.malformed(f"{_shown(token)} where a value should be")
        return float(token) if re.search(rb"[.eE]", token) else int(token)

    def _ends(self, closing: bytes) -> bool:
        token = self._next()
        if token not in (b",", closing):
            raise self._window.malformed(f"{_shown(token)} where ',' or '{closing.decode()}' should be")
        return token == closing

    def _expect(self, wanted: bytes) -> None:
        token = self._next()
        if token != wanted:
            raise self._window.malformed(f"{_shown(token)} where '{wanted.decode()}' should be")

    def _take_if(self, wanted: bytes) -> bool:
        if self._peek() != wanted:
            return False
        self._pending = None
        return True

    def _peek(self) -> bytes:
        if self._pending is None:
            self._pending = self._next()
        return self._pending

    def _next(self) -> bytes:
        if self._pending is not None:
            token, self._pending = self._pending, None
            return token
        found = self._token()
        if not found:
            raise self._window.malformed("JSON cut short")
        return found

    def _token(self) -> bytes:
        """The next token, b"" when only white space or an unfinished string is left."""
        found = self._window.match(_TOKEN)
        if found is None:
            return b""
        text, mark, word, stray = found.groups()
        if stray is not None:
            raise self._window.malformed(f"{_shown(stray)} in JSON")
        return bytes(text or mark or word)


def _shown(token: bytes) -> str:
    """Something of a stranger's bytes that is safe in a message."""
    return repr(token[:40].decode(errors="replace"))
