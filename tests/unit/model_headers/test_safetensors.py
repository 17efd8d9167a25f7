"""The safetensors reader: sums, and every lie a header can tell about its file."""

import json
import struct

import pytest

from inferry_runtime.model.errors import MalformedFile
from inferry_runtime.model.safetensors import SafetensorsHeader, combined, read_header, read_index
from unit.model_headers.builders import MemorySource, raw_safetensors, safetensors


def read(data: bytes) -> SafetensorsHeader:
    return read_header(MemorySource(data), "m.safetensors")


def one(entry: object, data_bytes: int = 16) -> bytes:
    return raw_safetensors(json.dumps({"t": entry}), data_bytes)


def test_elements_are_added_up_by_type() -> None:
    header = read(
        safetensors({"a": ("BF16", (4, 8), 64), "b": ("F32", (8,), 32), "c": ("BF16", (), 2)}, {"format": "pt"})
    )
    assert header == SafetensorsHeader(elements={"BF16": 33, "F32": 8}, metadata={"format": "pt"})
    assert header.parameters(None) == 41


PACKED = {
    "gptq packs eight weights into 32 bits": (
        {
            "l.qweight": ("I32", (16, 8), 512),
            "l.qzeros": ("I32", (2, 1), 8),
            "l.scales": ("F16", (2, 8), 32),
            "l.g_idx": ("I32", (4,), 16),
        },
        4.0,
        16 * 8 * 8,
    ),
    "bitsandbytes packs two into a byte": (
        {
            "l.weight": ("U8", (64, 1), 64),
            "l.weight.absmax": ("U8", (2,), 2),
            "l.weight.quant_state.bitsandbytes__nf4": ("U8", (9,), 9),
        },
        4.0,
        128,
    ),
    "nvfp4 packs two into a byte": (
        {"l.weight": ("U8", (8, 4), 32), "l.weight_scale": ("F8_E4M3", (8, 1), 8), "l.weight_scale_2": ("F32", (), 4)},
        4.0,
        64,
    ),
    "mxfp4 keeps blocks and scales": (
        {"l.gate_blocks": ("U8", (2, 16), 32), "l.gate_scales": ("U8", (2,), 2), "l.bias": ("BF16", (4,), 8)},
        4.0,
        64 + 4,
    ),
    "mlx packs into unsigned words": (
        {"l.weight": ("U32", (4, 2), 32), "l.scales": ("BF16", (4,), 8), "l.biases": ("BF16", (4,), 8)},
        8.0,
        32,
    ),
    "fp8 has one element per weight": (
        {"l.weight": ("F8_E4M3", (8, 8), 64), "l.weight_scale_inv": ("F32", (1,), 4)},
        8.0,
        64,
    ),
}


@pytest.mark.parametrize(("tensors", "bits", "parameters"), PACKED.values(), ids=PACKED)
def test_packed_weights_are_counted_unpacked(
    tensors: dict[str, tuple[str, tuple[int, ...], int]], bits: float, parameters: int
) -> None:
    assert read(safetensors(tensors)).parameters(bits) == parameters


def test_shards_add_up() -> None:
    shard = read(safetensors({"a": ("F16", (3,), 6)}))
    assert combined([shard, shard]).elements == {"F16": 6}


FINE = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short, 8 bytes expected"),
        (struct.pack("<Q", 0), "JSON cut short"),
        (struct.pack("<Q", 1 << 40) + bytes(100), "a header of 1099511627776 bytes in a file of 108"),
        (struct.pack("<Q", (1 << 64) - 1) + bytes(100), "a header of 18446744073709551615 bytes"),
        (raw_safetensors("[]"), "where '{' should be"),
        (raw_safetensors('{"t": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]'), "JSON cut short"),
        (raw_safetensors(b'{"\xff": {}}'), "not UTF-8"),
        (raw_safetensors(b'{"\\ud800": {}}'), "not UTF-8"),
        (one({**FINE, "shape": [-4]}), "no size"),
        (one({**FINE, "shape": [4.0]}), "no size"),
        (raw_safetensors('{"t": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 16]}}', 16), "no size"),
        (
            raw_safetensors('{"t": {"dtype": "F32", "shape": [' + "9" * 5000 + '], "data_offsets": [0, 16]}}', 16),
            "where a value",
        ),
        (one({**FINE, "shape": [1 << 62, 1 << 62]}), "elements of 32 bits in 16 bytes"),
        (one({**FINE, "shape": [1] * 17}), "more than 16 numbers"),
        (one({**FINE, "data_offsets": [16, 0]}), "lies at 16:0"),
        (one({**FINE, "data_offsets": [8, 24]}), "lies at 8:24 of 16 bytes"),
        (one({**FINE, "data_offsets": [0, 16, 32]}), "more than 2 numbers"),
        (one({**FINE, "data_offsets": [0]}), "lacks"),
        (one({**FINE, "dtype": "Q9"}), "unknown dtype 'Q9'"),
        (one({**FINE, "dtype": 7}), "where a string"),
        (one({"dtype": "F32"}), "lacks"),
        (one([]), "where '{' should be"),
        (raw_safetensors(json.dumps({"a": FINE, "b": FINE}), 16), "overlap"),
        (raw_safetensors('{"a": %s, "a": %s}' % ((json.dumps(FINE),) * 2), 32), "'a' is there twice"),
        (raw_safetensors('{"__metadata__": ' + "[" * 100_000), "nested more than|where '{'"),
        (raw_safetensors('{"t": {"x": ' + "[" * 100_000), "nested more than 64 deep"),
        (raw_safetensors("{}{}"), "behind the end"),
        (raw_safetensors("{'a': 1}"), "in JSON|where a string"),
    ],
)
def test_a_lie_is_named(data: bytes, message: str) -> None:
    with pytest.raises(MalformedFile, match=message) as caught:
        read(data)
    assert caught.value.message.startswith("m.safetensors: ")


def test_a_header_cut_anywhere_is_a_typed_error() -> None:
    whole = safetensors({"a": ("BF16", (4, 8), 64), "b": ("F32", (8,), 32)}, {"format": "pt"}, data=False)
    for length in range(len(whole)):
        with pytest.raises(MalformedFile, match=r"^m\.safetensors: "):
            read(whole[:length])


def test_a_file_of_40_gb_costs_its_header_and_32_kib() -> None:
    shape = (1 << 20, 1000)
    tensors = {f"model.layers.{n}.mlp.down_proj.weight": ("BF16", shape, 2 * shape[0] * shape[1]) for n in range(19)}
    head = safetensors(tensors, data=False)
    source = MemorySource(head, size_bytes=len(head) + 19 * 2 * shape[0] * shape[1])
    assert source.size_bytes > 39_000_000_000
    assert read_header(source, "m.safetensors").parameters(None) == 19 * shape[0] * shape[1]
    assert source.bytes_read <= len(head) + (32 << 10)


def test_a_header_of_many_windows_is_streamed() -> None:
    tensors = {f"model.layers.{n}.experts.{n}.weight": ("F8_E4M3", (1,), 1) for n in range(8_000)}
    source = MemorySource(safetensors(tensors))
    assert read_header(source, "m.safetensors").elements == {"F8_E4M3": 8_000}


def index(weight_map: object) -> MemorySource:
    return MemorySource(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}).encode())


def test_an_index_names_each_file_once() -> None:
    assert read_index(index({"a": "x-2.safetensors", "b": "x-1.safetensors", "c": "x-2.safetensors"}), "i") == (
        "x-1.safetensors",
        "x-2.safetensors",
    )


@pytest.mark.parametrize(
    "path", ["../x.safetensors", "/etc/x", "a/../../x", "a//b", "", ".", "..", "a\\b", "./x", "a/", "a\0b"]
)
def test_an_index_may_not_point_outside(path: str) -> None:
    with pytest.raises(MalformedFile, match="not a file beside it"):
        read_index(index({"a": path}), "i")


@pytest.mark.parametrize("weight_map", [{}, [], None, "x", {"a": 1}, {"a": {"b": "c"}}])
def test_an_index_without_a_map_is_malformed(weight_map: object) -> None:
    with pytest.raises(MalformedFile, match=r"^i: "):
        read_index(index(weight_map), "i")
