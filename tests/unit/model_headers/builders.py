"""Model files made byte by byte, and a repository in memory that counts what is read from it."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inferry_runtime.model.errors import ModelNotFound
from inferry_runtime.model.inspect import inspect
from inferry_runtime.model.inspection import Inspection, InspectionRequest
from inferry_runtime.model.listing import ListedFile

SCALARS = {"u8": (0, "B"), "i8": (1, "b"), "u16": (2, "H"), "i16": (3, "h"), "u32": (4, "I"), "i32": (5, "i")}
SCALARS |= {"f32": (6, "f"), "bool": (7, "?"), "u64": (10, "Q"), "i64": (11, "q"), "f64": (12, "d")}
F32, F16, Q4_K = 0, 1, 12

Value = tuple[str, object] | int | float | bool | str | list[object]


class MemorySource:
    """Bytes at hand, zeros behind them up to `size_bytes`. Counts what is asked for."""

    def __init__(self, data: bytes, size_bytes: int | None = None) -> None:
        self.data = data
        self.size_bytes = len(data) if size_bytes is None else size_bytes
        self.bytes_read = 0
        self.reads = 0

    def read_at(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size_bytes - offset))
        self.bytes_read += length
        self.reads += 1
        here = self.data[offset : offset + length]
        return here + bytes(length - len(here))


@dataclass
class MemoryRepository:
    contents: Mapping[str, bytes | MemorySource]
    license: str = ""
    revision: str = "0123abcd"
    opened: list[str] = field(default_factory=list)

    def files(self) -> tuple[ListedFile, ...]:
        return tuple(
            ListedFile(path=path, size_bytes=len(data) if isinstance(data, bytes) else data.size_bytes)
            for path, data in sorted(self.contents.items())
        )

    def open(self, path: str) -> MemorySource:
        if path not in self.contents:
            raise ModelNotFound(f"no file {path}")
        self.opened.append(path)
        data = self.contents[path]
        return MemorySource(data) if isinstance(data, bytes) else data


def looked_at(contents: Mapping[str, bytes | MemorySource], **request: object) -> Inspection:
    """What `inspect` says of a repository with these files."""
    return inspect(MemoryRepository(contents), InspectionRequest(source="file:///m", **request), "file:///m")  # type: ignore[arg-type]


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def gguf_value(value: Value) -> bytes:
    """Type number and bytes. Plain Python values get the type converters use; a pair names another one."""
    if isinstance(value, bool):
        return gguf_value(("bool", value))
    if isinstance(value, int):
        return gguf_value(("u32", value))
    if isinstance(value, float):
        return gguf_value(("f32", value))
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        items = [gguf_value(item) for item in value] or [gguf_value(0)]
        return (
            struct.pack("<I", 9)
            + items[0][:4]
            + struct.pack("<Q", len(value))
            + b"".join(i[4:] for i in items if value)
        )
    kind, content = value
    number, code = SCALARS[kind]
    return struct.pack(f"<I{code}", number, content)


def gguf(
    metadata: Mapping[str, Value],
    tensors: Sequence[tuple[str, Sequence[int], int]] = (("token_embd.weight", (32, 4), F32),),
    *,
    version: int = 3,
    data: bool = True,
) -> bytes:
    """A whole file; `data=False` leaves the tensors' bytes away."""
    pairs = b"".join(text(key) + gguf_value(value) for key, value in metadata.items())
    infos, end = b"", 0
    for name, shape, kind in tensors:
        infos += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, end)
        end += -(-tensor_bytes(shape, kind) // 32) * 32
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata)) + pairs + infos
    padding = -len(head) % 32
    return head + bytes(padding + end) if data else head


def tensor_bytes(shape: Sequence[int], kind: int) -> int:
    count = 1
    for size in shape:
        count *= size
    return {F32: count * 4, F16: count * 2, Q4_K: count // 256 * 144}[kind]


def llama_metadata(**more: Value) -> dict[str, Value]:
    """Llama 3.1 8B as its converter writes it, without the vocabulary."""
    known: dict[str, Value] = {
        "general.architecture": "llama",
        "general.name": "Meta Llama 3.1 8B Instruct",
        "general.license": "llama3.1",
        "general.file_type": 15,
        "llama.block_count": 32,
        "llama.context_length": 131072,
        "llama.embedding_length": 4096,
        "llama.feed_forward_length": 14336,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
        "llama.rope.dimension_count": 128,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": ["a", "b", "c"],
        "tokenizer.ggml.scores": [0.0, 0.5, 1.0],
        "tokenizer.chat_template": "{{ messages }}",
    }
    return {**known, **{key.replace("__", "."): value for key, value in more.items()}}


def safetensors(
    tensors: Mapping[str, tuple[str, Sequence[int], int]],
    metadata: Mapping[str, str] | None = None,
    *,
    data: bool = True,
) -> bytes:
    """name -> (dtype, shape, bytes of the tensor)."""
    header: dict[str, object] = {} if metadata is None else {"__metadata__": dict(metadata)}
    at = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw + (bytes(at) if data else b"")


def raw_safetensors(header: str | bytes, data_bytes: int = 0) -> bytes:
    raw = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(raw)) + raw + bytes(data_bytes)


WEIGHTS = safetensors(
    {"model.embed.weight": ("BF16", (4, 8), 64), "model.norm.weight": ("F32", (8,), 32)}, {"format": "pt"}
)


def model(config: Mapping[str, object], **files: bytes) -> dict[str, bytes | MemorySource]:
    """A repository with one small weight file; keywords name further files, "__" for a dot."""
    named = {name.replace("__", "."): data for name, data in files.items()}
    return {"config.json": json.dumps(config).encode(), "model.safetensors": WEIGHTS, **named}
