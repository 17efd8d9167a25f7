"""Small JSON files with typed access: every look-up either gives what was asked for or a MalformedFile."""

import math
from collections.abc import Iterator, Mapping

from inferry_runtime.model.bytes import ByteSource
from inferry_runtime.model.errors import MalformedFile
from inferry_runtime.model.json_reader import Json, JsonReader
from inferry_runtime.model.window import Window

# The largest published config.json files (lists of layers left out of quantization) are a few hundred KiB.
MAX_DOCUMENT_BYTES = 4 << 20
# Documents of which only some keys are kept: tokenizers list their special tokens in up to 2 MiB.
MAX_SKIMMED_BYTES = 32 << 20
# No dimension, count or length of a model comes near; larger ones are lies that would turn into memory or time.
MAX_NUMBER = 1 << 40
# A row of layers or experts; GPT-like models have below 200.
MAX_LIST = 4096


class Document:
    """One JSON object of `file`. Null counts as absent everywhere; so does a negative number (configs write -1 for
    "off") and the word "auto"."""

    def __init__(self, file: str, values: Mapping[str, Json], path: str = "") -> None:
        self.file = file
        self._values = values
        self._path = path

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def names(self) -> Iterator[str]:
        return iter(self._values)

    def integer(self, *keys: str) -> int | None:
        """The first of `keys` that is there, as a number between 0 and MAX_NUMBER; of a list per layer the largest."""
        for key in keys:
            value = self._values.get(key)
            if value is None or value == "auto":
                continue
            number = max(self.integers(key), default=None) if isinstance(value, list) else self._integral(key, value)
            if number is not None:
                return number
        return None

    def positive(self, *keys: str) -> int | None:
        """Like `integer`, with 0 as absent."""
        return self.integer(*keys) or None

    def number(self, key: str) -> float | None:
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.wrong(key, "a finite number")
        return float(value)

    def flag(self, key: str) -> bool | None:
        value = self._values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def text(self, *keys: str) -> str:
        """The first of `keys` that is there and a string; "" otherwise."""
        return next((value for key in keys if isinstance(value := self._values.get(key), str)), "")

    def section(self, *keys: str) -> "Document | None":
        """The first of `keys` that is there and an object."""
        for key in keys:
            value = self._values.get(key)
            if isinstance(value, dict):
                return Document(self.file, value, f"{self._path}{key}.")
        return None

    def sections(self, key: str) -> "tuple[Document, ...]":
        """The objects of a list; () when there is no list."""
        values = self._values.get(key)
        items = self._bounded(key, values) if isinstance(values, list) else []
        return tuple(
            Document(self.file, item, f"{self._path}{key}[{index}].")
            for index, item in enumerate(items)
            if isinstance(item, dict)
        )

    def texts(self, key: str) -> tuple[str, ...]:
        """The strings of a list; () when there is no list."""
        values = self._values.get(key)
        return tuple(item for item in values if isinstance(item, str)) if isinstance(values, list) else ()

    def integers(self, key: str) -> tuple[int, ...]:
        """The numbers of a list, null and negative ones as 0; () when there is no list."""
        values = self._values.get(key)
        if not isinstance(values, list):
            return ()
        return tuple(self._integral(key, item) or 0 if item is not None else 0 for item in self._bounded(key, values))

    def merged(self, over: "Document") -> "Document":
        """Both together; what `over` says wins."""
        values = {key: value for key, value in over._values.items() if value is not None}
        return Document(self.file, {**self._values, **values}, over._path)

    def wrong(self, key: str, wanted: str) -> MalformedFile:
        """The error for a key that holds something else, to be raised."""
        return MalformedFile(
            f"{self.file}: {self._path}{key} is not {wanted}", hint="correct the file or use another copy"
        )

    def _bounded(self, key: str, values: list[Json]) -> list[Json]:
        if len(values) > MAX_LIST:
            raise self.wrong(key, f"a list of at most {MAX_LIST} entries")
        return values

    def _integral(self, key: str, value: Json) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.wrong(key, "a whole number")
        if value != int(value) or value > MAX_NUMBER:
            raise self.wrong(key, f"a whole number up to {MAX_NUMBER}")
        return int(value) if value >= 0 else None


def read_document(source: ByteSource, name: str) -> Document:
    """The whole file. Raises MalformedFile unless it is one JSON object of reasonable size."""
    reader = _reader(source, name)
    value = reader.value()
    reader.finish()
    if not isinstance(value, dict):
        raise MalformedFile(f"{name}: not a JSON object")
    return Document(name, value)


def read_list(source: ByteSource, name: str) -> tuple[Document, ...]:
    """The objects of a file that holds one JSON list."""
    reader = _reader(source, name)
    value = reader.value()
    reader.finish()
    return Document(name, {"": value}).sections("")


def read_keys(source: ByteSource, name: str, wanted: frozenset[str]) -> Document:
    """Only some keys of a large object (a tokenizer's settings list every special token)."""
    reader = _reader(source, name, MAX_SKIMMED_BYTES)
    values: dict[str, Json] = {}
    for key in reader.members():
        if key in wanted:
            values[key] = reader.value()
        else:
            reader.skip()
    reader.finish()
    return Document(name, values)


def _reader(source: ByteSource, name: str, limit_bytes: int = MAX_DOCUMENT_BYTES) -> JsonReader:
    if source.size_bytes > limit_bytes:
        raise MalformedFile(f"{name}: {source.size_bytes} bytes, more than any file of this name should have")
    return JsonReader(Window(source, name, limit_bytes=limit_bytes))
