"""The GGUF reader: every type, both versions, what it keeps, what it refuses, what it costs."""

import struct

import pytest

from inferry_runtime.model.errors import MalformedFile
from inferry_runtime.model.gguf import MAX_TENSORS, GgufHeader, read_header
from unit.model_headers.builders import F16, F32, Q4_K, SCALARS, MemorySource, gguf, gguf_value, llama_metadata, text


def read(data: bytes) -> GgufHeader:
    return read_header(MemorySource(data), "m.gguf")


def with_raw(pairs: bytes, count: int = 1, tensors: bytes = b"", tensor_count: int = 0, padding: int = 4096) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensor_count, count) + pairs + tensors + bytes(padding)


@pytest.mark.parametrize("version", [2, 3])
def test_both_versions_are_read(version: int) -> None:
    assert read(gguf(llama_metadata(), version=version)).metadata["llama.block_count"] == 32


@pytest.mark.parametrize("kind", sorted(SCALARS))
def test_every_scalar_type_is_read(kind: str) -> None:
    value = True if kind == "bool" else 1
    assert read(gguf({"x.attention.y": (kind, value)})).metadata == {"x.attention.y": value}


@pytest.mark.parametrize("kind", sorted(SCALARS))
def test_every_scalar_type_is_read_in_lists(kind: str) -> None:
    value = kind == "bool" or 1
    assert read(gguf({"x.attention.y": [(kind, value), (kind, value)]})).metadata == {"x.attention.y": (value, value)}


def test_negative_numbers_stay_negative() -> None:
    assert read(gguf({"x.attention.y": ("i64", -7)})).metadata["x.attention.y"] == -7


def test_a_vocabulary_is_counted_and_not_kept() -> None:
    header = read(gguf({"tokenizer.ggml.tokens": [f"token {n}" for n in range(5000)]}))
    assert header.lengths == {"tokenizer.ggml.tokens": 5000}
    assert header.metadata == {}


def test_a_chat_template_is_noticed_however_long() -> None:
    header = read(gguf({"tokenizer.chat_template": "x" * 300_000}))
    assert header.lengths == {"tokenizer.chat_template": 300_000}


def test_keys_of_no_use_are_walked_over_whatever_they_hold() -> None:
    nested: list[object] = [["a", "b"], ["c"]]
    header = read(gguf({"a.b": nested, "c.d": "text", "e.f": 1.5, "g.h": [1, 2], "llama.block_count": 3}))
    assert header.metadata == {"llama.block_count": 3}


def test_tensors_are_added_up_by_type() -> None:
    tensors = [("a", (256, 2), Q4_K), ("b", (8, 3), F16), ("c", (5,), F32)]
    sums = read(gguf(llama_metadata(), tensors)).tensors
    assert (sums.count, sums.parameters) == (3, 512 + 24 + 5)
    assert sums.bytes_by_type == {"Q4_K": 288, "F16": 48, "F32": 20}


@pytest.mark.parametrize("name", ["v.blk.0.attn_q.weight", "mm.0.weight", "a.conv1d.1.weight"])
def test_an_encoder_inside_the_file_is_noticed(name: str) -> None:
    assert read(gguf(llama_metadata(), [(name, (4,), F32)])).tensors.encoder


def test_a_tensor_type_from_the_future_is_counted_without_a_size() -> None:
    infos = text("t") + struct.pack("<IQIQ", 1, 64, 999, 0)
    sums = read(with_raw(b"", 0, infos, 1)).tensors
    assert (sums.parameters, sums.bytes_by_type) == (64, {"unknown": 0})


def test_another_alignment_is_honoured() -> None:
    infos = text("t") + struct.pack("<IQIQ", 1, 4, F32, 0)
    pair = text("general.alignment") + gguf_value(4096)
    end = 4096 + 16
    whole = with_raw(pair, 1, infos, 1, padding=8192)
    assert read(whole[:end]).tensors.count == 1
    with pytest.raises(MalformedFile, match="cut short, 1 bytes of tensors are missing"):
        read(whole[: end - 1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short, 4 bytes expected"),
        (b"GGML" + bytes(64), "wrong magic"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(64), "version 1"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(64), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, MAX_TENSORS + 1, 0), "100001 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 63), "9223372036854775808 keys"),
        (with_raw(struct.pack("<Q", 1 << 60)), "a key of 1152921504606846976 bytes"),
        (with_raw(text(b"\xff\xfe") + gguf_value(1)), "not UTF-8"),
        (with_raw(text("general.name") + struct.pack("<I", 8) + text(b"\xff")), "not UTF-8"),
        (with_raw(text("a.b") + struct.pack("<I", 13)), "unknown type 13"),
        (with_raw(text("a.b") + struct.pack("<IIQ", 9, 13, 1)), "unknown type 13"),
        (with_raw(text("a.b") + struct.pack("<IIQ", 9, 8, 1 << 62)), "a list of 4611686018427387904 entries"),
        (with_raw(text("a.b") + struct.pack("<IIQ", 9, 9, 1 << 62)), "a list of 4611686018427387904 entries"),
        (with_raw(text("a.b") + struct.pack("<IIQ", 9, 10, 1 << 62)), "more than 64 MiB"),
        (with_raw(text("a.b") + struct.pack("<IQ", 8, 1 << 40)), "more than 64 MiB"),
        (with_raw(text("a.b") + struct.pack("<IIQ", 9, 8, 2) + struct.pack("<Q", (1 << 64) - 8)), "MiB|cut short"),
        (with_raw(text("a.b") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5), "nested more than 4 deep"),
        (with_raw((text("general.name") + gguf_value("x")) * 2, 2), "'general.name' twice"),
        (with_raw(text("general.alignment") + gguf_value(0)), "alignment"),
        (with_raw(text("general.alignment") + gguf_value(48)), "no power of two"),
        (with_raw(text("general.alignment") + gguf_value("32")), "alignment"),
        (with_raw(b"", 0, text("t") + struct.pack("<I", 5) + bytes(99), 1), "5 dimensions"),
        (with_raw(b"", 0, text("t") + struct.pack("<IQIQ", 1, 1 << 62, F32, 0), 1), "bytes of tensors are missing"),
        (with_raw(b"", 0, text("t") + struct.pack("<IQIQ", 1, 4, F32, 1 << 63), 1), "bytes of tensors are missing"),
        (with_raw(b"", 0, text("t") + struct.pack("<IQIQ", 1, 4, F32, 7), 1), "multiple of 32"),
        (with_raw(b"", 0, text("t") + struct.pack("<IQIQ", 1, 100, Q4_K, 0), 1), "no multiple of 256"),
        (with_raw(b"", 0, (text("t") + struct.pack("<IQIQ", 1, 4, F32, 0)) * 2, 2), "tensor 't' twice"),
    ],
)
def test_a_lie_is_named(data: bytes, message: str) -> None:
    with pytest.raises(MalformedFile, match=message) as caught:
        read(data)
    assert caught.value.message.startswith("m.gguf: ")


def test_a_header_cut_anywhere_is_a_typed_error() -> None:
    whole = gguf(llama_metadata(), data=False)
    for length in range(len(whole)):
        with pytest.raises(MalformedFile, match=r"^m\.gguf: "):
            read(whole[:length])


def test_a_model_of_40_gb_costs_its_header_and_less_than_a_mebibyte() -> None:
    tokens: list[object] = [f"token number {n}" for n in range(150_000)]
    head = gguf(llama_metadata(tokenizer__ggml__tokens=tokens, tokenizer__ggml__merges=tokens), data=False)
    source = MemorySource(head, size_bytes=40_000_000_000)
    assert read_header(source, "m.gguf").lengths["tokenizer.ggml.tokens"] == 150_000
    assert len(head) > 6_000_000
    assert source.bytes_read < len(head) + (1 << 20)
    assert source.reads < 12


def test_numbers_that_are_not_kept_are_not_even_read() -> None:
    pair = text("a.scores") + struct.pack("<IIQ", 9, 6, 4_000_000)
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair
    source = MemorySource(data, size_bytes=40_000_000_000)
    read_header(source, "m.gguf")
    assert source.bytes_read < 1 << 20


def test_a_file_of_zero_length_strings_ends_soon() -> None:
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a.b") + struct.pack("<IIQ", 9, 8, 1 << 31)
    source = MemorySource(data, size_bytes=40_000_000_000)
    with pytest.raises(MalformedFile, match="a list of 2147483648 entries"):
        read_header(source, "m.gguf")
    assert source.bytes_read < 1 << 20
