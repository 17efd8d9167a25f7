"""Which files of a listing make the model, from names and sizes alone."""

from collections.abc import Sequence

import pytest

from inferry_runtime.model.errors import ModelError, ModelNotFound
from inferry_runtime.model.facts import Format
from inferry_runtime.model.inspection import InspectionRequest
from inferry_runtime.model.labels import base, bits_of, label_in, normal, rank
from inferry_runtime.model.listing import ListedFile
from inferry_runtime.model.select import select
from inferry_runtime.model.selection import Selection


def chosen(paths: Sequence[str], **request: object) -> Selection:
    files = [ListedFile(path=path, size_bytes=100) for path in sorted(paths)]
    return select(files, InspectionRequest(source="x", **request))  # type: ignore[arg-type]


def weights(paths: Sequence[str], **request: object) -> list[str]:
    return [file.path for file in chosen(paths, **request).weights]


HF = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
    "LICENSE",
    ".gitattributes",
]
SHARDS = [f"model-{n:05}-of-00003.safetensors" for n in (1, 2, 3)]
QWEN_GGUF = [
    f"qwen2.5-0.5b-instruct-{label}.gguf" for label in ("fp16", "q2_k", "q3_k_m", "q4_0", "q4_k_m", "q5_k_m", "q8_0")
]
SPLIT = [f"UD-Q4_K_XL/M-UD-Q4_K_XL-{n:05}-of-00002.gguf" for n in (1, 2)]

SAFETENSORS = {
    "a single file": (["model.safetensors"], ["model.safetensors"]),
    "a single file before shards": (["model.safetensors", *SHARDS], ["model.safetensors"]),
    "shards in order": (SHARDS[::-1], SHARDS),
    "the model's shards, not another set's": ([*SHARDS, "extra-00001-of-00001.safetensors"], SHARDS),
    "not Mistral's own copy": (["model.safetensors", "consolidated.safetensors"], ["model.safetensors"]),
    "Mistral's own copy if there is nothing else": (["consolidated.safetensors"], ["consolidated.safetensors"]),
    "not a copy in another folder": (
        ["model.safetensors", "original/model.safetensors", "onnx/m.safetensors"],
        ["model.safetensors"],
    ),
    "not the pickles": (["model.safetensors", "pytorch_model.bin", "training_args.bin"], ["model.safetensors"]),
    "not an adapter": (["model.safetensors", "adapter_model.safetensors"], ["model.safetensors"]),
    "safetensors before GGUF": (["model.safetensors", "m-Q4_K_M.gguf"], ["model.safetensors"]),
    "whatever it is called": (["weights.safetensors"], ["weights.safetensors"]),
}


@pytest.mark.parametrize(("paths", "expected"), SAFETENSORS.values(), ids=SAFETENSORS)
def test_safetensors_are_chosen(paths: list[str], expected: list[str]) -> None:
    found = chosen([*HF, *paths])
    assert ([file.path for file in found.weights], found.format, found.folder) == (expected, Format.SAFETENSORS, "")


def test_everything_an_engine_needs_comes_along_and_nothing_else() -> None:
    wanted = {
        *(
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "model.safetensors.index.json",
        ),
        *("vocab.txt", "merges.txt", "tokenizer.model", "tekken.json", "chat_template.jinja", "hf_quant_config.json"),
        *("modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors", "additional_chat_templates/tool.jinja"),
    }
    unwanted = {
        *(
            "README.md",
            "LICENSE",
            "LICENSE.txt",
            ".gitattributes",
            "params.json",
            "trainer_state.json",
            "all_results.json",
        ),
        *(
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
            "tf_model.h5",
            "model.onnx",
            "onnx/config.json",
            "flax_model.msgpack",
        ),
        *("original/params.json", "openvino/openvino_model.xml", "images/a.png", "consolidated.safetensors", "m.gguf"),
    }
    found = chosen([*wanted, *unwanted, *SHARDS, "modeling_x.py"])
    assert {file.path for file in found.support} == wanted
    assert [file.path for file in found.code] == ["modeling_x.py"]
    assert found.index == "model.safetensors.index.json"


def test_a_model_in_its_only_folder_is_found_there() -> None:
    found = chosen(["safetensors/config.json", "safetensors/model.safetensors", "README.md"])
    assert (found.folder, [file.path for file in found.weights]) == ("safetensors", ["safetensors/model.safetensors"])
    assert [file.path for file in found.support] == ["safetensors/config.json"]


def test_pickles_are_the_last_resort() -> None:
    found = chosen([*HF, "pytorch_model.bin", "optimizer.pt", "training_args.bin"])
    assert (found.format, [file.path for file in found.weights]) == (Format.PICKLE, ["pytorch_model.bin"])


def test_pickle_shards_come_in_order_with_their_index() -> None:
    shards = [f"pytorch_model-{n:05}-of-00002.bin" for n in (1, 2)]
    found = chosen([*HF, *shards, "pytorch_model.bin.index.json"])
    assert [file.path for file in found.weights] == shards
    assert "pytorch_model.bin.index.json" in [file.path for file in found.support]


GGUFS = {
    "Q4_K_M is preferred": (QWEN_GGUF, {}, ["qwen2.5-0.5b-instruct-q4_k_m.gguf"]),
    "its nearest neighbour otherwise": (["m-Q2_K.gguf", "m-Q8_0.gguf", "m-Q5_K_M.gguf"], {}, ["m-Q5_K_M.gguf"]),
    "eight bits before two": (["m-Q2_K.gguf", "m-Q8_0.gguf"], {}, ["m-Q8_0.gguf"]),
    "the plain one before the dynamic one": (["m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"], {}, ["m-Q4_K_M.gguf"]),
    "the only one, whatever it is": (["m-IQ1_S.gguf"], {}, ["m-IQ1_S.gguf"]),
    "what was asked for": (QWEN_GGUF, {"quantization": "Q8_0"}, ["qwen2.5-0.5b-instruct-q8_0.gguf"]),
    "in any spelling": (QWEN_GGUF, {"quantization": " q5-k-M "}, ["qwen2.5-0.5b-instruct-q5_k_m.gguf"]),
    "fp16 is f16": (QWEN_GGUF, {"quantization": "F16"}, ["qwen2.5-0.5b-instruct-fp16.gguf"]),
    "a dynamic one by its plain name": (
        ["m-UD-Q4_K_XL.gguf", "m-Q8_0.gguf"],
        {"quantization": "Q4_K_XL"},
        ["m-UD-Q4_K_XL.gguf"],
    ),
    "exactly the dynamic one": (
        ["m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"],
        {"quantization": "UD-Q4_K_M"},
        ["m-UD-Q4_K_M.gguf"],
    ),
    "all parts of a split one": ([*SPLIT, "m-Q8_0.gguf"], {}, SPLIT),
    "the label of the folder": (["Q8_0/m.gguf", "Q4_K_M/m.gguf"], {}, ["Q4_K_M/m.gguf"]),
    "by pattern": (QWEN_GGUF, {"include": ("*q4_0.gguf",)}, ["qwen2.5-0.5b-instruct-q4_0.gguf"]),
    "by folder": ([*SPLIT, "m-Q4_K_M.gguf"], {"include": ("UD-Q4_K_XL/",)}, SPLIT),
    "without what is excluded": (QWEN_GGUF, {"exclude": ("*q4_k_m*", "*q4_0*")}, ["qwen2.5-0.5b-instruct-q5_k_m.gguf"]),
    "in a mixed repository on request": (
        [*HF, "model.safetensors", "m-Q8_0.gguf"],
        {"format": "gguf"},
        ["m-Q8_0.gguf"],
    ),
    "in a mixed repository by quantization": (
        [*HF, "model.safetensors", "m-Q8_0.gguf"],
        {"quantization": "q8_0"},
        ["m-Q8_0.gguf"],
    ),
    "without a configuration beside the safetensors": (["x.safetensors", "m-Q8_0.gguf"], {}, ["m-Q8_0.gguf"]),
    "a complete set before a broken one": (["m-Q4_K_M-00001-of-00002.gguf", "m-Q8_0.gguf"], {}, ["m-Q8_0.gguf"]),
    "not the statistics": (["imatrix.gguf", "m-Q8_0.gguf"], {}, ["m-Q8_0.gguf"]),
    "a file without a label on trust": (["model.gguf"], {"quantization": "Q4_K_M"}, ["model.gguf"]),
}


@pytest.mark.parametrize(("paths", "request_", "expected"), GGUFS.values(), ids=GGUFS)
def test_a_gguf_is_chosen(paths: list[str], request_: dict[str, object], expected: list[str]) -> None:
    found = chosen(paths, **request_)
    assert ([file.path for file in found.weights], found.format) == (expected, Format.GGUF)


def test_a_choice_among_several_is_noted_with_the_others() -> None:
    (note,) = chosen(QWEN_GGUF).notes
    assert note.startswith("Q4_K_M was chosen of 7 quantizations")
    assert "Q8_0" in note and "F16" in note


PROJECTORS = {
    "half precision first": (["mmproj-F32.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"], "mmproj-F16.gguf"),
    "else what there is": (["mmproj-BF16.gguf"], "mmproj-BF16.gguf"),
    "wherever the word stands": (["gemma-mmproj-f16.gguf"], "gemma-mmproj-f16.gguf"),
    "the model's own": (["mmproj-other-9b-F16.gguf", "mmproj-gemma-3-4b-F32.gguf"], "mmproj-gemma-3-4b-F32.gguf"),
}


@pytest.mark.parametrize(("projectors", "expected"), PROJECTORS.values(), ids=PROJECTORS)
def test_a_projector_is_set_apart(projectors: list[str], expected: str) -> None:
    found = chosen(["gemma-3-4b-Q4_K_M.gguf", *projectors])
    assert [file.path for file in found.weights] == ["gemma-3-4b-Q4_K_M.gguf"]
    assert found.projector is not None and found.projector.path == expected


REFUSED = {
    "an empty source": ([], {}, "there are no files"),
    "nothing to load": ([*HF, "model.onnx"], {}, "there is nothing to load; found 4 .json"),
    "patterns that match nothing": (
        QWEN_GGUF,
        {"include": ("*q4_k_l.gguf",)},
        "leaves none of 7 files; the nearest is .*q4_k_m.gguf",
    ),
    "everything excluded": (QWEN_GGUF, {"exclude": ("*",)}, "leaves none of 7"),
    "a quantization that is not there": (
        QWEN_GGUF,
        {"quantization": "Q6_K"},
        "there is no quantization Q6_K; there are Q4_K_M",
    ),
    "a missing part": (SPLIT[:1], {}, "M-UD-Q4_K_XL-00002-of-00002.gguf is missing"),
    "a missing part of what was asked for": (
        ["m-Q4_K_M-00002-of-00002.gguf", "m-Q8_0.gguf"],
        {"quantization": "q4_k_m"},
        "m-Q4_K_M-00001-of-00002.gguf is missing",
    ),
    "a missing shard": ([*HF, *SHARDS[:2]], {}, "model-00003-of-00003.safetensors is missing"),
    "two models of one quantization": (
        ["a-7B-Q4_K_M.gguf", "b-1B-Q4_K_M.gguf"],
        {},
        "several models: a-7B-Q4_K_M, b-1B-Q4_K_M",
    ),
    "two models without labels": (["a.gguf", "b.gguf"], {}, "several models"),
    "two folders": (
        ["a/config.json", "a/m.safetensors", "b/config.json", "b/m.safetensors"],
        {},
        "several models, in a, b",
    ),
    "a projector alone": (["mmproj-F16.gguf"], {}, "1 projectors and no model"),
    "an adapter": (["adapter_config.json", "adapter_model.safetensors"], {}, "LoRA adapter"),
    "weights without configuration": (["model.safetensors"], {}, "without config.json"),
    "configuration left out by a pattern": (
        [*HF, "model.safetensors"],
        {"include": ("*.safetensors",)},
        "without config.json",
    ),
    "a format that is not there": (QWEN_GGUF, {"format": "safetensors"}, "no safetensors weights; found 7 .gguf"),
    "pickles without configuration": (["pytorch_model.bin"], {}, "pickle weights without config.json"),
}


@pytest.mark.parametrize(("paths", "request_", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_chosen_is_explained(paths: list[str], request_: dict[str, object], message: str) -> None:
    with pytest.raises(ModelNotFound, match=message) as caught:
        chosen(paths, **request_)
    assert caught.value.hint


def test_the_nearest_quantization_is_offered() -> None:
    with pytest.raises(ModelNotFound) as caught:
        chosen(QWEN_GGUF, quantization="Q4_K")
    assert caught.value.hint == "use Q4_K_M"


def test_an_unknown_format_is_answered_with_the_nearest() -> None:
    with pytest.raises(ModelError, match="'safetensor' is not known") as caught:
        chosen(QWEN_GGUF, format="safetensor")
    assert caught.value.hint == "use safetensors"


def test_a_set_that_claims_many_parts_costs_nothing() -> None:
    with pytest.raises(ModelNotFound, match="is missing"):
        chosen(["m-00001-of-99999.gguf"])


LABELS = {
    "qwen2.5-0.5b-instruct-q4_k_m": "Q4_K_M",
    "Qwen3-30B-A3B-UD-Q4_K_XL": "UD-Q4_K_XL",
    "m.i1-Q6_K": "I1-Q6_K",
    "gpt-oss-20b-mxfp4": "MXFP4",
    "Llama-3-BF16": "BF16",
    "x-fp16": "F16",
    "Qwen3-8B-Instruct": "",
    "phi-4-Q4_0_4_4": "Q4_0_4_4",
    "m-TQ1_0": "TQ1_0",
    "F16-trained-Q8_0": "Q8_0",
}


@pytest.mark.parametrize(("name", "label"), LABELS.items())
def test_labels_are_found_in_names(name: str, label: str) -> None:
    assert label_in(name) == label


@pytest.mark.parametrize(
    ("label", "bits"),
    [("Q4_K_M", 4), ("iq2_xxs", 2), ("UD-Q8_K_XL", 8), ("TQ1_0", 1), ("MXFP4_MOE", 4), ("BF16", 16), ("junk", None)],
)
def test_bits_are_parsed(label: str, bits: float | None) -> None:
    assert bits_of(label) == bits


def test_labels_have_one_spelling() -> None:
    assert normal("ud_q4-k-xl") == "UD-Q4_K_XL"
    assert base("i1-q4_k_m") == "Q4_K_M"
    assert rank("Q4_K_M") < rank("Q8_0") < rank("nobody")
