"""What people write as a source, and what they are told when it is not one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferry_runtime.model.errors import InvalidSource
from inferry_runtime.model.source import (
    HuggingFace,
    LocalPath,
    ModelScope,
    ObjectStore,
    Source,
    WebFile,
    parse_source,
    revision_of,
    without_revision,
)

SOURCES = {
    "hf://Qwen/Qwen2.5-0.5B": HuggingFace(repository="Qwen/Qwen2.5-0.5B"),
    "HF://org/repo": HuggingFace(repository="org/repo"),
    " hf://org/repo/ ": HuggingFace(repository="org/repo"),
    "hf://org/repo@main": HuggingFace(repository="org/repo", revision="main"),
    "hf://org/repo@refs/pr/3": HuggingFace(repository="org/repo", revision="refs/pr/3"),
    "modelscope://qwen/Qwen@v1.0": ModelScope(repository="qwen/Qwen", revision="v1.0"),
    "https://example.com/a/model.gguf": WebFile(url="https://example.com/a/model.gguf"),
    "http://127.0.0.1:8080/m.gguf?sig=a%2Fb": WebFile(url="http://127.0.0.1:8080/m.gguf?sig=a%2Fb"),
    "https://huggingface.co/org/repo/resolve/main/m.gguf": WebFile(
        url="https://huggingface.co/org/repo/resolve/main/m.gguf"
    ),
    "s3://bucket/models/llama": ObjectStore(scheme="s3", bucket="bucket", prefix="models/llama"),
    "s3://bucket/models/llama/": ObjectStore(scheme="s3", bucket="bucket", prefix="models/llama"),
    "gs://bucket": ObjectStore(scheme="gs", bucket="bucket", prefix=""),
    "az://container/m.gguf": ObjectStore(scheme="az", bucket="container", prefix="m.gguf"),
    "file:///models/m.gguf": LocalPath(path="/models/m.gguf"),
    "file://localhost/models": LocalPath(path="/models"),
    "/models//llama/": LocalPath(path="/models/llama"),
    "./llama": LocalPath(path="./llama"),
    "../llama": LocalPath(path="../llama"),
    "~/models/llama": LocalPath(path="~/models/llama"),
    "examples/models/parrot": LocalPath(path="examples/models/parrot"),
    "model.gguf": LocalPath(path="model.gguf"),
    "models/model.safetensors": LocalPath(path="models/model.safetensors"),
}

REFUSED = {
    "": "hf://org/repo",
    "a\nb": "hf://org/repo",
    "qwen": "hf://org/qwen",
    "Qwen/Qwen2.5": "hf://Qwen/Qwen2.5",
    "hf://repo": "hf://org/repo",
    "hf://org/repo/file.gguf": 'files.include, such as ["file.gguf"]',
    "hf://org/..": "hf://org/repo",
    "hf://org/repo@": "hf://org/repo@main",
    "hf://org/repo@a..b": "hf://org/repo@main",
    "hf:org/repo": "hf://org/repo",
    "hf:/org/repo": "hf://org/repo",
    "huggingface://org/repo": "hf://org/repo",
    "hff://org/repo": "hf://org/repo",
    "modelscop://org/repo": "modelscope://org/repo",
    "gcs://bucket/x": "gs://bucket/x",
    "s3a://bucket/x": "s3://bucket/x",
    "ftp://host/x": None,
    "oci://registry/x": None,
    "https://example.com/folder/": "URL of one file",
    "https://example.com": "URL of one file",
    "https:///model.gguf": "https://host/path/model.gguf",
    "https://user:secret@example.com/m.gguf": "secret",
    "https://example.com:port/m.gguf": "https://host/path/model.gguf",
    "https://example.com/%2e%2e": "URL of one file",
    "https://huggingface.co/org/repo": "hf://org/repo",
    "https://huggingface.co/org/repo/tree/main": "hf://org/repo",
    "https://www.modelscope.cn/models/qwen/Qwen": "modelscope://qwen/Qwen",
    "s3://": "s3://bucket/prefix",
    "s3://b ucket/x": "s3://bucket/prefix",
    "gs://bucket/a/../b": "gs://bucket/folder/model",
    "file://models/x": "file:///models/x",
}


@pytest.mark.parametrize(("text", "source"), SOURCES.items(), ids=list(SOURCES))
def test_a_source_is_read_as_what_it_names(text: str, source: Source) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize("source", SOURCES.values(), ids=str)
def test_a_source_written_out_reads_back_the_same(source: Source) -> None:
    assert parse_source(str(source)) == source


@pytest.mark.parametrize(("text", "advice"), REFUSED.items(), ids=[repr(text) for text in REFUSED])
def test_a_wrong_source_is_answered_with_what_to_write_instead(text: str, advice: str | None) -> None:
    with pytest.raises(InvalidSource) as refused:
        parse_source(text)
    assert (advice or "write ") in refused.value.hint
    assert "secret@" not in refused.value.message


@given(
    st.text(max_size=40) | st.builds("{}://{}".format, st.sampled_from(["hf", "s3", "https", "file", "x"]), st.text())
)
def test_any_text_is_either_a_source_that_reads_back_or_refused_with_advice(text: str) -> None:
    try:
        source = parse_source(text)
    except InvalidSource as refused:
        assert refused.hint
    else:
        assert parse_source(str(source)) == source


def test_the_revision_is_taken_out_of_a_source_that_has_one() -> None:
    source = parse_source("hf://org/repo@v1")
    assert (revision_of(source), str(without_revision(source))) == ("v1", "hf://org/repo")
    assert revision_of(parse_source("./folder")) == ""
