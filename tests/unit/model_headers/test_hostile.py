"""Files made to harm: whatever the bytes, an answer or a typed error, soon and in little memory."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferry_runtime.model import gguf as gguf_reader
from inferry_runtime.model import safetensors as safetensors_reader
from inferry_runtime.model.bytes import ByteSource
from inferry_runtime.model.errors import MalformedFile, ModelError
from inferry_runtime.model.json_document import read_document
from unit.model_headers import configs, hostile_files
from unit.model_headers.builders import MemorySource, gguf, llama_metadata, looked_at, model, safetensors

CORPUS = Path(__file__).parent / "corpus"
# No deadline: other work on the machine is no failure.
PATIENT = settings(deadline=None)
# What a reader may hold at its worst: windows, one long string, a set of tensor names as numbers, kept values.
MEMORY_BYTES = 24 << 20

GGUF = gguf(llama_metadata(tokenizer__nested=[["a"], ["b"]]))
TENSORS = safetensors({"a.weight": ("BF16", (4, 8), 64), "b.weight": ("F32", (8,), 32)}, {"format": "pt"})
CONFIG = json.dumps(configs.GEMMA_3_12B).encode()
INDEX = json.dumps({"metadata": {}, "weight_map": {"a": "model.safetensors", "b": "other.safetensors"}}).encode()


READERS: dict[str, Callable[[ByteSource, str], object]] = {
    "gguf": gguf_reader.read_header,
    "safetensors": safetensors_reader.read_header,
    "index": safetensors_reader.read_index,
    "json": read_document,
}
GOOD = {"gguf": GGUF, "safetensors": TENSORS, "index": INDEX, "json": CONFIG}


def answers_or_names_the_file(kind: str, source: ByteSource) -> None:
    try:
        READERS[kind](source, "f")
    except MalformedFile as error:
        assert error.message.startswith("f: ")


@pytest.mark.parametrize("kind", READERS)
@PATIENT
@given(data=st.binary(max_size=400))
def test_any_bytes(kind: str, data: bytes) -> None:
    answers_or_names_the_file(kind, MemorySource(data))


@pytest.mark.parametrize("kind", READERS)
@PATIENT
@given(data=st.data())
def test_a_good_file_with_bytes_changed(kind: str, data: st.DataObject) -> None:
    mutable = bytearray(GOOD[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(mutable) - 1))
        patch = data.draw(
            st.sampled_from([b"\0", b"\xff" * 8, b"\x7f", b"[", b'"', b"\\"]) | st.binary(min_size=1, max_size=8)
        )
        mutable[at : at + len(patch)] = patch
    answers_or_names_the_file(kind, MemorySource(bytes(mutable)))


@pytest.mark.parametrize("kind", READERS)
def test_a_good_file_cut_at_every_byte(kind: str) -> None:
    for length in range(len(GOOD[kind]) - 1):
        with pytest.raises(MalformedFile, match=r"^f: "):
            READERS[kind](MemorySource(GOOD[kind][:length]), "f")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = sorted({key for config in vars(configs).values() if isinstance(config, dict) for key in config})


@PATIENT
@given(
    changes=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6),
    base=st.sampled_from(["DEEPSEEK_V3", "GRANITE_4_H", "GEMMA_3_12B"]),
)
def test_a_configuration_with_any_values_in_known_keys(changes: dict[str, object], base: str) -> None:
    config = {**vars(configs)[base], **changes}
    try:
        looked_at(model(config))
    except MalformedFile as error:
        assert error.message.startswith("config.json: ")


LLAMA_KEYS = sorted(key for key in llama_metadata() if not key.startswith("tokenizer"))
EXTRA_KEYS = ["attention.sliding_window", "ssm.inner_size", "ssm.state_size", "ssm.conv_kernel", "nextn_predict_layers"]
VALUES = st.one_of(
    st.integers(0, 2**64 - 1).map(lambda number: ("u64", number)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: ("i64", number)),
    st.integers(0, 100),
    st.floats(width=32).map(lambda number: ("f32", number)),
    st.booleans(),
    st.text(max_size=8).filter(lambda text: text.isascii()),
    st.lists(st.integers(0, 8), max_size=40),
)


@PATIENT
@given(
    changes=st.dictionaries(st.sampled_from([*LLAMA_KEYS, *(f"llama.{key}" for key in EXTRA_KEYS)]), VALUES, max_size=4)
)
def test_a_gguf_with_any_values_in_known_keys(changes: dict[str, object]) -> None:
    try:
        looked_at({"m.gguf": gguf({**llama_metadata(), **changes})})  # type: ignore[dict-item]
    except ModelError as error:
        assert error.message.startswith("m.gguf")


@PATIENT
@given(
    paths=st.lists(
        st.text(alphabet="am-_./0Q4KM1of5", min_size=1, max_size=30).map(lambda text: text + ".gguf"),
        min_size=1,
        max_size=6,
    )
)
def test_any_names_in_a_listing(paths: list[str]) -> None:
    try:
        looked_at(dict.fromkeys(paths, GGUF))
    except ModelError as error:
        assert error.message


@pytest.mark.parametrize("name", sorted(hostile_files.FILES))
def test_the_corpus_is_what_its_builders_build(name: str) -> None:
    """`python -m unit.model_headers.hostile_files` in tests/ writes it anew."""
    assert (CORPUS / name).read_bytes() == hostile_files.FILES[name]


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_every_file_of_the_corpus_is_refused_in_little_memory(path: Path) -> None:
    source = MemorySource(path.read_bytes())
    tracemalloc.start()
    try:
        with pytest.raises(MalformedFile, match=r"^f: "):
            READERS[path.name.split("-")[0]](source, "f")
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", sorted(hostile_files.ENDLESS))
def test_endless_files_cost_little_memory_and_few_bytes(kind: str) -> None:
    """Files of 40 GB that consist of a beginning and one repeated block."""
    source = hostile_files.Endless(*hostile_files.ENDLESS[kind], size_bytes=40_000_000_000)
    tracemalloc.start()
    try:
        answers_or_names_the_file(kind.split("-", maxsplit=1)[0], source)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES
    finally:
        tracemalloc.stop()
    assert source.bytes_read < 16 << 20
