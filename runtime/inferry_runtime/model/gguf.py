"""GGUF headers, version 2 and 3: the metadata that decides something, and sums over the tensors.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Nothing else is kept: a vocabulary is counted, not
built, and unknown keys are walked over.
"""

import math
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from inferry_runtime.model.bytes import ByteSource
from inferry_runtime.model.errors import MalformedFile
from inferry_runtime.model.ggml import tables
from inferry_runtime.model.window import FIRST_WINDOW_BYTES, Window

Scalar = int | float | bool | str
Value = Scalar | tuple[int | float | bool, ...]

# The largest real headers (vocabularies of 262 000 tokens with merges, an embedded tokenizer.json) are below 40 MiB.
MAX_HEADER_BYTES = 64 << 20
# Real files have below 100 keys and below 3000 tensors.
MAX_KEYS = 65_536
MAX_TENSORS = 100_000
MAX_NAME_BYTES = 1024
MAX_RANK = 4
MAX_NESTING = 4
# Per-layer lists are kept; tokens, scores and merges are longer.
MAX_KEPT_LIST = 1024
MAX_KEPT_KEYS = 256
# Strings in lists, which have to be walked one by one. The largest vocabularies have 800 000 with their merges.
MAX_LISTED_STRINGS = 4_000_000
# Lists in lists. The format allows them, no known key has them.
MAX_INNER_LISTS = 10_000
# Names and licences are kept; chat templates are only noticed.
MAX_KEPT_TEXT_BYTES = 1024

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
# https://github.com/ggml-org/ggml/blob/master/include/gguf.h, enum gguf_type.
_SCALARS: Mapping[int, struct.Struct] = {
    number: struct.Struct(f"<{code}")
    for number, code in {
        0: "B",
        1: "b",
        2: "H",
        3: "h",
        4: "I",
        5: "i",
        6: "f",
        7: "?",
        10: "Q",
        11: "q",
        12: "d",
    }.items()
}
_U32, _U64 = _SCALARS[4], _SCALARS[10]
_CHAT_TEMPLATE = "tokenizer.chat_template"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSums:
    """Over all tensors of one file."""

    count: int = 0
    parameters: int = 0
    bytes_by_type: Mapping[str, int] = field(default_factory=dict)
    """Name of the tensor type -> bytes; types this build has no size for are "unknown", with 0 bytes."""
    encoder: bool = False
    """Tensors of an image or audio encoder are inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    metadata: Mapping[str, Value]
    lengths: Mapping[str, int]
    """Entries of the lists, and bytes of the strings, that were too long to keep."""
    tensors: TensorSums


def read_header(source: ByteSource, name: str, *, first_bytes: int = FIRST_WINDOW_BYTES) -> GgufHeader:
    """Raises MalformedFile. Reads the header, skips what it can, and wastes less than one window behind it."""
    window = Window(source, name, limit_bytes=MAX_HEADER_BYTES, first_bytes=first_bytes)
    tensor_count, key_count = _preamble(window)
    metadata = _Metadata(window)
    for _ in range(key_count):
        metadata.read_pair()
    tensors = _TensorList(window)
    for _ in range(tensor_count):
        tensors.read_one()
    sums = tensors.finish(_alignment(window, metadata.values))
    return GgufHeader(metadata=metadata.values, lengths=metadata.lengths, tensors=sums)


def _preamble(window: Window) -> tuple[int, int]:
    if window.take(4) != _MAGIC:
        raise window.malformed("no GGUF file (wrong magic)")
    raw = window.take(4)
    version = int.from_bytes(raw, "little")
    if int.from_bytes(raw, "big") in _VERSIONS:
        raise MalformedFile(f"{window.name}: a big-endian GGUF", hint="use the little-endian file of the same model")
    if version not in _VERSIONS:
        raise window.malformed(f"GGUF version {version}, expected 2 or 3")
    tensor_count, key_count = _u64(window), _u64(window)
    if tensor_count > MAX_TENSORS or key_count > MAX_KEYS:
        raise window.malformed(f"{tensor_count} tensors and {key_count} keys")
    return tensor_count, key_count


def _alignment(window: Window, metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get("general.alignment", 32)
    if isinstance(alignment, bool) or not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
        raise window.malformed("general.alignment is no size")
    if alignment & (alignment - 1):
        raise window.malformed(f"general.alignment {alignment} is no power of two")
    return alignment


def _u32(window: Window) -> int:
    number: int = _U32.unpack(window.take(4))[0]
    return number


def _u64(window: Window) -> int:
    number: int = _U64.unpack(window.take(8))[0]
    return number


def _text(window: Window, length: int) -> str:
    try:
        return window.take(length).decode()
    except UnicodeDecodeError as error:
        raise window.malformed("a string that is not UTF-8") from error


def _name(window: Window, what: str) -> str:
    length = _u64(window)
    if length > MAX_NAME_BYTES:
        raise window.malformed(f"a {what} of {length} bytes")
    return _text(window, length)


def _kept(key: str) -> bool:
    parts = key.split(".", 2)
    known = key in tables().kept_keys or key.startswith(_CHAT_TEMPLATE)
    return known or (len(parts) > 1 and parts[1] in tables().kept_parts)


class _Metadata:
    def __init__(self, window: Window) -> None:
        self._window = window
        self._strings_left = MAX_LISTED_STRINGS
        self._lists_left = MAX_INNER_LISTS
        self.values: dict[str, Value] = {}
        self.lengths: dict[str, int] = {}

    def read_pair(self) -> None:
        key = _name(self._window, "key")
        kind = _u32(self._window)
        if key in self.values or key in self.lengths:
            raise self._window.malformed(f"key {key[:80]!r} twice")
        keep = _kept(key) and len(self.values) + len(self.lengths) < MAX_KEPT_KEYS
        if kind == _STRING:
            self._read_text(key, keep=keep)
        elif kind == _ARRAY:
            self._read_array(key, keep=keep)
        else:
            value = self._scalar(kind)
            if keep:
                self.values[key] = value

    def _read_text(self, key: str, *, keep: bool) -> None:
        length = _u64(self._window)
        if keep and length <= MAX_KEPT_TEXT_BYTES:
            self.values[key] = _text(self._window, length)
            return
        self._window.skip(length)
        if keep:
            self.lengths[key] = length

    def _read_array(self, key: str, *, keep: bool) -> None:
        kind, count = _u32(self._window), _u64(self._window)
        packed = _SCALARS.get(kind)
        if keep and packed is not None and count <= MAX_KEPT_LIST:
            raw = self._window.take(count * packed.size)
            self.values[key] = tuple(number for (number,) in packed.iter_unpack(raw))
            return
        self._skip_array(kind, count, 1)
        if keep:
            self.lengths[key] = count

    def _skip_array(self, kind: int, count: int, depth: int) -> None:
        if depth > MAX_NESTING:
            raise self._window.malformed(f"lists nested more than {MAX_NESTING} deep")
        if kind == _STRING:
            self._strings_left -= count
            self._refuse_more_than_fits(count, 8, self._strings_left)
            self._window.skip_prefixed(count)
        elif kind == _ARRAY:
            self._lists_left -= count
            self._refuse_more_than_fits(count, 12, self._lists_left)
            for _ in range(count):
                self._skip_array(_u32(self._window), _u64(self._window), depth + 1)
        else:
            self._window.skip(count * self._packed(kind).size)

    def _refuse_more_than_fits(self, count: int, least_bytes: int, left: int) -> None:
        if count * least_bytes > self._window.remaining or left < 0:
            raise self._window.malformed(f"a list of {count} entries in {self._window.remaining} bytes")

    def _scalar(self, kind: int) -> Scalar:
        packed = self._packed(kind)
        value: int | float | bool = packed.unpack(self._window.take(packed.size))[0]
        return value

    def _packed(self, kind: int) -> struct.Struct:
        if kind not in _SCALARS:
            raise self._window.malformed(f"a value of the unknown type {kind}")
        return _SCALARS[kind]


class _TensorList:
    """Adds up the tensors as they come by, and checks that the file is long enough for them."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._count = 0
        self._parameters = 0
        self._bytes: Counter[str] = Counter()
        self._end = 0
        self._offsets_or = 0
        self._encoder = False
        self._seen: set[int] = set()

    def read_one(self) -> None:
        name = _name(self._window, "tensor name")
        rank = _u32(self._window)
        if rank > MAX_RANK:
            raise self._window.malformed(f"tensor {name[:80]!r} has {rank} dimensions")
        shape = struct.unpack(f"<{rank}Q", self._window.take(8 * rank))
        kind, offset = _u32(self._window), _u64(self._window)
        self._once(name)
        self._count += 1
        self._parameters += math.prod(shape)
        self._encoder |= name.startswith(("v.", "a.", "mm."))
        self._offsets_or |= offset
        self._end = max(self._end, offset + self._size(name, shape, kind))

    def finish(self, alignment: int) -> TensorSums:
        if self._offsets_or % alignment:
            raise self._window.malformed(f"a tensor that does not start at a multiple of {alignment}")
        data_start = -(-self._window.position // alignment) * alignment
        missing = data_start + self._end - (self._window.position + self._window.remaining)
        if self._count and missing > 0:
            raise self._window.malformed(f"the file is cut short, {missing} bytes of tensors are missing")
        return TensorSums(
            count=self._count, parameters=self._parameters, bytes_by_type=dict(self._bytes), encoder=self._encoder
        )

    def _once(self, name: str) -> None:
        if hash(name) in self._seen:
            raise self._window.malformed(f"tensor {name[:80]!r} twice")
        self._seen.add(hash(name))

    def _size(self, name: str, shape: tuple[int, ...], kind: int) -> int:
        known = tables().tensor_types.get(kind)
        if known is None:
            # An engine newer than this table may know it; only its size cannot be checked.
            self._bytes["unknown"] += 0
            return 0
        row = shape[0] if shape else 1
        if row % known.elements:
            raise self._window.malformed(f"tensor {name[:80]!r} has rows of {row}, no multiple of {known.elements}")
        size = math.prod(shape) // known.elements * known.bytes
        self._bytes[known.name] += size
        return size
