"""Safetensors headers: what tensors there are, checked against the file, without reading one of them.

Format: https://github.com/huggingface/safetensors (a 64-bit length, a JSON object, the tensors).
"""

import math
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from inferry_runtime.model.bytes import ByteSource
from inferry_runtime.model.errors import MalformedFile
from inferry_runtime.model.json_reader import JsonReader
from inferry_runtime.model.window import Window

# The reference implementation refuses longer headers.
MAX_HEADER_BYTES = 100_000_000
# DeepSeek-V3, the model with the most tensors, has 91 000 over 163 files.
MAX_TENSORS = 200_000
# More files than any index lists; the largest published models have below 400.
MAX_INDEXED_FILES = 10_000
# A shard of 5 GB has a header of 3 to 60 KiB: one request for most, and little waste for the rest.
FIRST_READ_BYTES = 32 << 10
MAX_RANK = 16

# https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs, enum Dtype.
DTYPE_BITS: Mapping[str, int] = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}

# Integer tensors by these names hold several weights per element.
_PACKED_SUFFIXES = (".qweight", ".weight_packed", "_blocks", ".weight")
# What goes with quantized weights and holds no weight of its own.
_COMPANION_SUFFIXES = (
    ".qzeros",
    ".scales",
    ".g_idx",
    ".weight_scale",
    ".weight_scale_inv",
    ".weight_scale_2",
    ".weight_global_scale",
    ".input_scale",
    ".input_global_scale",
    ".weight_zero_point",
    ".weight_g_idx",
    ".weight_shape",
    ".absmax",
    ".quant_map",
    ".nested_absmax",
    ".nested_quant_map",
    ".k_scale",
    ".v_scale",
    "_scales",
    ".biases",
    ".SCB",
)
_BITSANDBYTES_STATE = ".quant_state."


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsHeader:
    """The sums over all tensors of one file."""

    elements: Mapping[str, int] = field(default_factory=dict)
    """dtype -> elements of tensors that hold one weight per element."""
    packed_bits: int = 0
    """Bits of integer tensors that hold several weights per element."""
    metadata: Mapping[str, str] = field(default_factory=dict)

    def parameters(self, bits: float | None) -> int:
        """Weights in the model when packed tensors spend `bits` on each; None leaves them at 8."""
        return sum(self.elements.values()) + int(self.packed_bits // (bits or 8))


def combined(headers: Iterable[SafetensorsHeader]) -> SafetensorsHeader:
    """The header a single file with all their tensors would have; metadata of the first."""
    elements: Counter[str] = Counter()
    packed, metadata = 0, dict[str, str]()
    for header in headers:
        elements.update(header.elements)
        packed += header.packed_bits
        metadata = metadata or dict(header.metadata)
    return SafetensorsHeader(elements=dict(elements), packed_bits=packed, metadata=metadata)


def read_header(source: ByteSource, name: str) -> SafetensorsHeader:
    """Raises MalformedFile when the header lies about the file. Reads the header and at most 32 KiB more."""
    window = Window(source, name, limit_bytes=MAX_HEADER_BYTES + 8, first_bytes=FIRST_READ_BYTES)
    length = int.from_bytes(window.take(8), "little")
    if length > min(MAX_HEADER_BYTES, source.size_bytes - 8):
        raise window.malformed(f"a header of {length} bytes in a file of {source.size_bytes}")
    window.narrow(8 + length)
    tensors = _Tensors(window, data_bytes=source.size_bytes - 8 - length)
    reader = JsonReader(window)
    for key in reader.members():
        if key == "__metadata__":
            tensors.read_metadata(reader)
        else:
            tensors.read_tensor(key, reader)
    reader.finish()
    return tensors.header()


def read_index(source: ByteSource, name: str) -> tuple[str, ...]:
    """The files that `weight_map` names, sorted, relative to the index. Raises MalformedFile."""
    reader = JsonReader(Window(source, name, limit_bytes=MAX_HEADER_BYTES))
    files: set[str] = set()
    for key in reader.members():
        if key != "weight_map":
            reader.skip()
            continue
        for _tensor in reader.members():
            files.add(_inside(reader.text(), name))
            if len(files) > MAX_INDEXED_FILES:
                raise MalformedFile(f"{name}: names more than {MAX_INDEXED_FILES} files")
    reader.finish()
    if not files:
        raise MalformedFile(f"{name}: no weight_map, or an empty one")
    return tuple(sorted(files))


def _inside(path: str, index: str) -> str:
    """`path` if it stays below the index's folder."""
    clean = posixpath.normpath(path)
    if (
        not path
        or path.startswith("/")
        or "\\" in path
        or "\0" in path
        or clean != path
        or clean.split("/")[0] in ("..", ".")
    ):
        raise MalformedFile(f"{index}: weight_map names {path[:80]!r}, which is not a file beside it")
    return path


class _Tensors:
    """Adds up one file's tensors as they come by."""

    def __init__(self, window: Window, data_bytes: int) -> None:
        self._window = window
        self._data_bytes = data_bytes
        self._seen: set[int] = set()
        self._elements: Counter[str] = Counter()
        self._packed_bits = 0
        self._stored_bytes = 0
        self._metadata: dict[str, str] = {}

    def read_metadata(self, reader: JsonReader) -> None:
        """Keeps only which framework wrote the file; the rest may be anything."""
        for key in reader.members():
            if key == "format":
                self._metadata[key] = reader.text()[:32]
            else:
                reader.skip()

    def read_tensor(self, name: str, reader: JsonReader) -> None:
        self._once(name)
        dtype, shape, begin, end = "", None, None, None
        for key in reader.members():
            if key == "dtype":
                dtype = reader.text()
            elif key == "shape":
                shape = self._naturals(name, reader, MAX_RANK)
            elif key == "data_offsets":
                begin, end = (*self._naturals(name, reader, 2), None, None)[:2]
            else:
                reader.skip()
        if shape is None or begin is None or end is None:
            raise self._lie(name, "lacks its dtype, shape or offsets")
        self._add(name, dtype, math.prod(shape), begin, end)

    def header(self) -> SafetensorsHeader:
        if self._stored_bytes > self._data_bytes:
            raise self._window.malformed(f"tensors of {self._stored_bytes} bytes in {self._data_bytes}; they overlap")
        return SafetensorsHeader(elements=dict(self._elements), packed_bits=self._packed_bits, metadata=self._metadata)

    def _once(self, name: str) -> None:
        """Hashes instead of names: a hostile header may hold hundreds of thousands of long ones."""
        if hash(name) in self._seen:
            raise self._lie(name, "is there twice")
        if len(self._seen) == MAX_TENSORS:
            raise self._window.malformed(f"more than {MAX_TENSORS} tensors")
        self._seen.add(hash(name))

    def _naturals(self, name: str, reader: JsonReader, most: int) -> tuple[int, ...]:
        numbers: list[int] = []
        for _ in reader.elements():
            if len(numbers) == most:
                raise self._lie(name, f"has a list of more than {most} numbers")
            numbers.append(reader.natural())
        return tuple(numbers)

    def _add(self, name: str, dtype: str, elements: int, begin: int, end: int) -> None:
        bits = DTYPE_BITS.get(dtype)
        if bits is None:
            raise self._lie(name, f"has the unknown dtype {dtype[:32]!r}")
        if begin > end or end > self._data_bytes:
            raise self._lie(name, f"lies at {begin}:{end} of {self._data_bytes} bytes")
        if (elements * bits + 7) // 8 != end - begin:
            raise self._lie(name, f"has {elements} elements of {bits} bits in {end - begin} bytes")
        self._stored_bytes += end - begin
        if name.endswith(_COMPANION_SUFFIXES) or _BITSANDBYTES_STATE in name:
            return
        if dtype in ("I32", "U32", "U8", "I64") and name.endswith(_PACKED_SUFFIXES):
            self._packed_bits += elements * bits
        else:
            self._elements[dtype] += elements

    def _lie(self, name: str, what: str) -> MalformedFile:
        return self._window.malformed(f"tensor {name[:80]!r} {what}")
