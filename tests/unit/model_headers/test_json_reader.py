"""The JSON of strangers: what is read, what is bounded, what is refused."""

import json
import math

import pytest

from inferry_runtime.model.errors import MalformedFile
from inferry_runtime.model.json_document import Document, read_document, read_keys, read_list
from inferry_runtime.model.json_reader import MAX_VALUES, Json, JsonReader
from inferry_runtime.model.window import Window
from unit.model_headers.builders import MemorySource


def value(text: str | bytes, window_bytes: int = 4096) -> Json:
    raw = text.encode() if isinstance(text, str) else text
    reader = JsonReader(Window(MemorySource(raw), "x.json", limit_bytes=1 << 30, first_bytes=window_bytes))
    found = reader.value()
    reader.finish()
    return found


@pytest.mark.parametrize("window_bytes", [1, 2, 3, 7, 4096])
@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "12.5",
        "1e3",
        "-0.5E-2",
        "true",
        "false",
        "null",
        '""',
        '"\\u00e9\\n\\"x\\\\"',
        "[]",
        "{}",
        " [ 1 , 2 ] ",
        '{"a": [1, {"b": null}], "c": "d"}',
        '\r\n\t{"é": "\\ud83e\\udd9c"}\n',
    ],
)
def test_the_same_as_the_standard_library(text: str, window_bytes: int) -> None:
    assert value(text, window_bytes) == json.loads(text)


def test_what_python_writes_for_infinity_is_read() -> None:
    found = value('{"time_step_limit": [0.0, Infinity, -Infinity, NaN]}')
    assert isinstance(found, dict) and isinstance(found["time_step_limit"], list)
    assert found["time_step_limit"][1:3] == [math.inf, -math.inf]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "[",
        '"',
        '"a',
        "[1",
        "[1,",
        "[1,]",
        "{1:2}",
        '{"a"}',
        '{"a":}',
        '{"a":1,}',
        '{"a" 1}',
        "[1 2]",
        "01",
        "1.",
        "+1",
        "-",
        "--1",
        "1e",
        "tru",
        "True",
        "nan",
        "'a'",
        "{'a':1}",
        '"\t"',
        '"\\x"',
        "/* */ 1",
        "1 2",
        "[]]",
        "\ufeff{}",
        '"\\ud800"',
    ],
)
def test_what_is_no_json_is_malformed(text: str) -> None:
    with pytest.raises(MalformedFile, match=r"^x\.json: "):
        value(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "key \"'a'\" twice|'a' twice"),
        (b'"\xff"', "not UTF-8"),
        ("[" * 1_000_000, "nested more than 64 deep"),
        ('{"a":' * 100_000, "nested more than 64 deep"),
        ("[" + "1," * (MAX_VALUES + 1), "more than 50000 values"),
        ("[" + f'"{"x" * 100_000}",' * 50, "more text than any real document"),
        ('"' + "x" * 5_000_000, "more than 1 MiB|a value of"),
        ("9" * 1000, "where a value should be"),
        (" " * 3_000_000 + "x", "a value of more than 1 MiB"),
    ],
)
def test_hostile_documents_are_bounded(text: str | bytes, message: str) -> None:
    with pytest.raises(MalformedFile, match=message):
        value(text)


def document(**values: Json) -> Document:
    return Document("config.json", values)


def test_absent_is_absent_however_it_is_written() -> None:
    config = document(a=None, b=-1, c="auto", d=7.0, e=[])
    assert [config.integer(key) for key in "abcdef"] == [None, None, None, 7, None, None]
    assert config.integer("a", "b", "c", "d") == 7


@pytest.mark.parametrize("wrong", ["eight", 1.5, math.nan, math.inf, True, ["x"], {}, 1 << 41])
def test_a_number_that_is_none_names_file_and_key(wrong: Json) -> None:
    with pytest.raises(MalformedFile, match=r"^config\.json: layers is not a whole number"):
        document(layers=wrong).integer("layers")


def test_a_list_per_layer_counts_as_its_largest() -> None:
    assert document(width=[8, 16, None]).integer("width") == 16


def test_a_nested_key_is_named_with_its_path() -> None:
    section = document(text_config={"heads": "x"}).section("text_config")
    assert section is not None
    with pytest.raises(MalformedFile, match=r"text_config\.heads"):
        section.integer("heads")


def test_lists_have_an_end() -> None:
    with pytest.raises(MalformedFile, match="at most 4096 entries"):
        document(layers=[1] * 5000).integers("layers")


def test_a_document_is_an_object_of_reasonable_size() -> None:
    with pytest.raises(MalformedFile, match="not a JSON object"):
        read_document(MemorySource(b"[]"), "x.json")
    with pytest.raises(MalformedFile, match="more than any file of this name should have"):
        read_document(MemorySource(b"{}", size_bytes=1 << 30), "x.json")


def test_only_the_wanted_keys_of_a_large_document_are_kept() -> None:
    tokens = {str(n): {"content": f"<{n}>", "special": True} for n in range(15_000)}
    raw = json.dumps({"added_tokens_decoder": tokens, "chat_template": "{{ x }}"}).encode()
    assert list(read_keys(MemorySource(raw), "tokenizer_config.json", frozenset({"chat_template"})).names()) == [
        "chat_template"
    ]


def test_a_list_of_objects_is_read() -> None:
    found = read_list(MemorySource(b'[{"path": "1_Pooling"}, 7]'), "modules.json")
    assert [entry.text("path") for entry in found] == ["1_Pooling"]
