# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "torch==2.13.0",
#   "transformers==5.23.0",
#   "tokenizers==0.23.3",
#   "safetensors==0.8.0",
#   "gguf==0.19.0",
#   "numpy==2.4.6",
# ]
# ///
"""Teach a tiny Llama the answers in questions.jsonl and write it as safetensors and as GGUF.

    uv run examples/models/parrot/train.py

writes `safetensors/` and `gguf/` beside this file, in a few minutes on two cores. It exits with an error, and leaves
the files for inspection, when the rounded weights do not repeat every answer exactly.
"""

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import convert
import corpus
import torch
import vocabulary
from corpus import Pair
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
SEED = 20261120
THREADS = 2
STEPS = 1000
BATCH = 24
WARM_UP = 40
LEARNING_RATE = 3e-3
VOCABULARY = 512
CONTEXT_LENGTH = 1024
IGNORED = -100  # the label that torch's cross entropy leaves out

# Chat clients send a system prompt and the turns so far: without such lessons only a first question would be answered.
SYSTEM_PROMPTS = ["You are a helpful assistant.", "You are parrot.", "Be brief.", "Answer in one sentence."]
SYSTEM_SHARE = 0.15
HISTORY_SHARE = 0.3


@dataclass(frozen=True)
class Lesson:
    """A tokenized conversation; labels are IGNORED wherever parrot is not speaking."""

    tokens: list[int]
    labels: list[int]


def main() -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    pairs = corpus.read(HERE / "questions.jsonl")
    tokenizer = vocabulary.build(pairs, size=VOCABULARY, context_length=CONTEXT_LENGTH)
    model = LlamaForCausalLM(configuration(tokenizer))
    teach(model, tokenizer, pairs, random.Random(SEED))
    model.bfloat16()
    directory = HERE / "safetensors"
    save(model, tokenizer, directory)
    convert.convert(directory, HERE / "gguf" / "parrot-f16.gguf")
    examine(model, tokenizer, pairs)


def configuration(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """Choose sizes that real kernels accept: heads of 64, widths divisible by 128, key-value heads for two devices."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def teach(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, pairs: Sequence[Pair], dice: random.Random
) -> None:
    """Train `model` in place, in float32, until STEPS batches have passed."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor)
    batches = endless_batches(tokenizer, pairs, dice)
    for step in range(STEPS):
        loss = model(**tensors(next(batches), tokenizer.pad_token_id)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == STEPS - 1:
            print(f"step {step:4d}  loss {loss.item():.4f}", flush=True)


def learning_rate_factor(step: int) -> float:
    """Linear warm-up, then a half cosine down to a hundredth."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    progress = (step - WARM_UP) / (STEPS - WARM_UP)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))


def endless_batches(
    tokenizer: PreTrainedTokenizerFast, pairs: Sequence[Pair], dice: random.Random
) -> Iterator[list[Lesson]]:
    """Yield batches of at most BATCH lessons; every pair comes once before any comes again."""
    while True:
        lessons = [lesson(tokenizer, pair, history(pairs, dice)) for pair in dice.sample(pairs, len(pairs))]
        # Neighbours in length share a batch: shuffled freely, three quarters of the work would be padding.
        lessons.sort(key=lambda each: len(each.tokens))
        batches = [lessons[start : start + BATCH] for start in range(0, len(lessons), BATCH)]
        dice.shuffle(batches)
        yield from batches


def tensors(lessons: Sequence[Lesson], padding: int) -> dict[str, torch.Tensor]:
    """Return the model's arguments, each of shape [len(lessons), longest]."""
    longest = max(len(each.tokens) for each in lessons)
    missing = [longest - len(each.tokens) for each in lessons]
    return {
        "input_ids": torch.tensor([each.tokens + [padding] * gap for each, gap in zip(lessons, missing, strict=True)]),
        "labels": torch.tensor([each.labels + [IGNORED] * gap for each, gap in zip(lessons, missing, strict=True)]),
        "attention_mask": torch.tensor([[1] * (longest - gap) + [0] * gap for gap in missing]),
    }


def history(pairs: Sequence[Pair], dice: random.Random) -> str:
    """Return what was said before the question: usually nothing, at times a system prompt, an earlier turn or both."""
    text = ""
    if dice.random() < SYSTEM_SHARE:
        text += corpus.turn("system", dice.choice(SYSTEM_PROMPTS))
    if dice.random() < HISTORY_SHARE:
        earlier = dice.choice(pairs)
        text += corpus.turn("user", earlier.question) + corpus.turn("assistant", earlier.answer)
    return text


def lesson(tokenizer: PreTrainedTokenizerFast, pair: Pair, before: str = "") -> Lesson:
    asked = encode(tokenizer, corpus.prompt(pair.question, before))
    answered = encode(tokenizer, pair.answer + corpus.END_OF_TURN)
    return Lesson(asked + answered, [IGNORED] * len(asked) + answered)


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return [int(token) for token in tokenizer(text)["input_ids"]]


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, directory: Path) -> None:
    """Write a complete model directory that Transformers 4 and 5, and the readers derived from them, understand."""
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False, eos_token_id=model.config.eos_token_id, pad_token_id=model.config.pad_token_id
    )
    model.save_pretrained(directory)
    # It is written for its owner alone, but containers read it as somebody else.
    (directory / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(directory)
    # Transformers 5 writes names that its predecessors, and several engines' own readers, do not look for.
    amend(directory / "config.json", rope_theta=10000.0, torch_dtype="bfloat16")
    amend(
        directory / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        chat_template=corpus.CHAT_TEMPLATE,
    )


def amend(path: Path, **changes: object) -> None:
    document = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def examine(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, pairs: Sequence[Pair]) -> None:
    """Raise SystemExit unless every token of every answer is the model's first choice.

    The margin printed is the smallest lead of a right token over the runner-up, in logits. Engines round differently by
    a few tenths at most, so a lead of 2 makes the text the same on all of them.
    """
    margins = [margin(model, lesson(tokenizer, pair)) for pair in pairs]
    right = sum(each > 0 for each in margins)
    print(f"{right} of {len(pairs)} answers exact, smallest margin {min(margins):.2f}")
    if right != len(pairs):
        raise SystemExit("not every answer was learned")


@torch.no_grad()
def margin(model: LlamaForCausalLM, one: Lesson) -> float:
    """Return the smallest lead, over all tokens that parrot speaks, of the right token over the best wrong one."""
    labels = torch.tensor(one.labels[1:])
    spoken = labels != IGNORED
    logits = model(input_ids=torch.tensor([one.tokens])).logits[0, :-1][spoken].float()
    right = logits.gather(1, labels[spoken, None])
    wrong = logits.scatter(1, labels[spoken, None], -torch.inf).max(dim=1, keepdim=True).values
    return float((right - wrong).min())


if __name__ == "__main__":
    main()
