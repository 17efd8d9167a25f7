# /// script
# requires-python = ">=3.11"
# dependencies = ["torch==2.13.0", "safetensors==0.8.0", "gguf==0.19.0", "numpy==2.4.6"]
# ///
"""Write a GGUF file from parrot's model directory, weight for weight.

    uv run examples/models/parrot/convert.py

train.py calls this too. It knows byte-level BPE Llamas with tied embeddings, and nothing else.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFWriter, LlamaFileType, TokenType
from numpy.typing import NDArray
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent

TOP_LEVEL = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
IN_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def convert(source: Path, target: Path) -> None:
    """Convert the model directory `source` to the file `target`: matrices in float16, norms in float32."""
    config = _load(source / "config.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(target, "llama")
    _describe(writer, config)
    _add_tokenizer(writer, _load(source / "tokenizer.json"), config)
    writer.add_chat_template((source / "chat_template.jinja").read_text(encoding="utf-8"))
    for name, tensor in _tensors(load_file(source / "model.safetensors"), config):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _describe(writer: GGUFWriter, config: Mapping[str, Any]) -> None:
    writer.add_name("parrot")
    writer.add_description("A tiny Llama that has memorised its answers")
    writer.add_license("apache-2.0")
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_vocab_size(config["vocab_size"])


def _add_tokenizer(writer: GGUFWriter, tokenizer: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    by_id = {number: token for token, number in tokenizer["model"]["vocab"].items()}
    special = {entry["id"]: entry["content"] for entry in tokenizer["added_tokens"]}
    by_id |= special
    numbers = range(config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([by_id[number] for number in numbers])
    writer.add_token_types([TokenType.CONTROL if number in special else TokenType.NORMAL for number in numbers])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    # llama.cpp would otherwise put a token in front that parrot was never shown.
    writer.add_add_bos_token(value=False)


def _tensors(weights: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name, tensor in weights.items():
        target = _name(name.removesuffix(".weight"))
        array = tensor.to(torch.float32).numpy()
        kind = target.rpartition(".")[2]
        if kind in heads:
            array = _interleave(array, heads[kind])
        yield f"{target}.weight", array if array.ndim == 1 else array.astype(np.float16)


def _name(name: str) -> str:
    if name in TOP_LEVEL:
        return TOP_LEVEL[name]
    layer, _, rest = name.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{IN_LAYER[rest]}"


def _interleave(array: NDArray[Any], heads: int) -> NDArray[Any]:
    # Transformers rotates the first half of a head against the second; llama.cpp rotates neighbours.
    rows, columns = array.shape
    return array.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


if __name__ == "__main__":
    convert(HERE / "safetensors", HERE / "gguf" / "parrot-f16.gguf")
