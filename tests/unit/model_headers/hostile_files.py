"""Builders of the hostile corpus: each file is one lie, named after its reader and the lie."""

import json
import struct
from pathlib import Path

from unit.model_headers.builders import F32, gguf_value, raw_safetensors, text

FINE = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


def gguf_head(tensors: int, keys: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys)


def listed(kind: int, count: int) -> bytes:
    """A key that holds a list of `count` entries of a type, without the entries."""
    return text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, kind, count)


def tensor(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


FILES = {
    "gguf-empty": b"",
    "gguf-magic-only": b"GGUF",
    "gguf-big-endian": b"GGUF" + struct.pack(">IQQ", 3, 1, 1) + bytes(64),
    "gguf-counts-of-2-to-63": gguf_head(1 << 63, 1 << 63) + bytes(64),
    "gguf-key-of-2-to-60-bytes": gguf_head(0, 1) + struct.pack("<Q", 1 << 60),
    "gguf-key-length-overflows": gguf_head(0, 1) + struct.pack("<Q", (1 << 64) - 1) + bytes(64),
    "gguf-strings-of-2-to-62": gguf_head(0, 1) + listed(8, 1 << 62) + bytes(64),
    "gguf-string-length-wraps": gguf_head(0, 1) + listed(8, 2) + struct.pack("<Q", (1 << 64) - 8) + bytes(64),
    "gguf-numbers-of-2-to-62": gguf_head(0, 1) + listed(10, 1 << 62) + bytes(64),
    "gguf-lists-in-lists": gguf_head(0, 1) + text("a.b") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 1000,
    "gguf-lists-of-empty-lists": gguf_head(0, 1) + listed(9, 1 << 40) + struct.pack("<IQ", 8, 0) * 100,
    "gguf-type-of-nothing": gguf_head(0, 1) + text("a.b") + struct.pack("<I", 255) + bytes(64),
    "gguf-same-key-twice": gguf_head(0, 2) + (text("general.name") + gguf_value("x")) * 2 + bytes(64),
    "gguf-name-not-utf-8": gguf_head(0, 1)
    + text("general.name")
    + struct.pack("<I", 8)
    + text(b"\xc3\x28")
    + bytes(64),
    "gguf-tensor-of-2-to-62": gguf_head(1, 0) + tensor("t", (1 << 62, 1 << 62, 1 << 62, 1 << 62), F32, 0) + bytes(64),
    "gguf-tensor-behind-the-end": gguf_head(1, 0) + tensor("t", (4,), F32, 1 << 62) + bytes(64),
    "gguf-tensor-of-many-dimensions": gguf_head(1, 0) + text("t") + struct.pack("<I", 0xFFFFFFFF) + bytes(64),
    "gguf-alignment-of-zero": gguf_head(0, 1) + text("general.alignment") + gguf_value(0) + bytes(64),
    "safetensors-empty": b"",
    "safetensors-header-of-2-to-63": struct.pack("<Q", 1 << 63) + b"{}",
    "safetensors-header-longer-than-file": struct.pack("<Q", 100) + b"{}",
    "safetensors-nested-too-deep": raw_safetensors('{"t": {"x": ' + "[" * 1000),
    "safetensors-number-of-5000-digits": raw_safetensors('{"t": {"dtype": "F32", "shape": [' + "9" * 5000 + "]}}"),
    "safetensors-nan-in-a-shape": raw_safetensors('{"t": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 0]}}'),
    "safetensors-shape-overflows": raw_safetensors(json.dumps({"t": {**FINE, "shape": [1 << 62] * 16}}), 16),
    "safetensors-offsets-behind-the-end": raw_safetensors(
        json.dumps({"t": {**FINE, "data_offsets": [0, 1 << 62]}}), 16
    ),
    "safetensors-tensors-overlap": raw_safetensors(json.dumps({"a": FINE, "b": FINE}), 16),
    "safetensors-same-tensor-twice": raw_safetensors('{"a": %s, "a": %s}' % ((json.dumps(FINE),) * 2), 32),
    "safetensors-name-not-utf-8": raw_safetensors(b'{"\xc3\x28": {}}'),
    "safetensors-unfinished-string": raw_safetensors('{"' + "x" * 1000),
    "index-outside": b'{"weight_map": {"a": "../../etc/passwd"}}',
    "index-outside-by-escape": b'{"weight_map": {"a": "\\u002e\\u002e/x"}}',
    "index-absolute": b'{"weight_map": {"a": "/etc/passwd"}}',
    "index-nested": b'{"weight_map": ' + b'{"a": ' * 1000,
    "index-not-an-object": b"[" * 1000,
    "json-nested-too-deep": b'{"a":' * 1000,
    "json-same-key-twice": b'{"num_hidden_layers": 1, "num_hidden_layers": 2}',
    "json-not-an-object": b"null",
    "json-not-utf-8": b'{"a": "\xff"}',
    "json-lone-surrogate": b'{"a": "\\ud800"}',
    "json-two-documents": b"{}{}",
}

# kind-lie -> (the beginning, what is repeated to the end).
ENDLESS = {
    "gguf-useless-keys": (gguf_head(0, 5000), text("k" * 1000) + gguf_value(1)),
    "gguf-empty-strings": (gguf_head(0, 1) + listed(8, 200_000), struct.pack("<Q", 0) * 1000),
    "gguf-too-many-strings": (gguf_head(0, 1) + listed(8, 4_000_001), struct.pack("<Q", 0) * 1000),
    "gguf-empty-lists": (gguf_head(0, 1) + listed(9, 10_000), struct.pack("<IQ", 8, 0) * 1000),
    "gguf-too-many-lists": (gguf_head(0, 1) + listed(9, 10_001), struct.pack("<IQ", 8, 0) * 1000),
    "gguf-lists-in-lists": (gguf_head(0, 1) + listed(9, 5000), struct.pack("<IQ", 9, 5000) * 1000),
    "gguf-nothing": (gguf_head(5000, 5000), bytes(1000)),
    "safetensors-one-string": (struct.pack("<Q", 90_000_000) + b'{"', b"x" * 1000),
    "safetensors-white-space": (struct.pack("<Q", 90_000_000) + b"{", b" " * 1000),
    "safetensors-brackets": (struct.pack("<Q", 90_000_000) + b'{"a": {"b":', b"[" * 1000),
    "index-one-string": (b'{"weight_map": {"', b"x" * 1000),
    "index-white-space": (b'{"weight_map": ', b" " * 1000),
}


class Endless:
    """`head`, then `block` over and over."""

    def __init__(self, head: bytes, block: bytes, size_bytes: int) -> None:
        self._head = head
        self._block = block
        self.size_bytes = size_bytes
        self.bytes_read = 0

    def read_at(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        behind = max(0, offset - len(self._head))
        skip = behind % len(self._block)
        repeated = self._block * (length // len(self._block) + 2)
        return (self._head[offset : offset + length] + repeated[skip:])[:length]


def write(folder: Path) -> None:
    """The corpus as it is committed."""
    folder.mkdir(exist_ok=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    write(Path(__file__).parent / "corpus")
