"""A byte-level BPE tokenizer, small enough that rare characters are spelled byte by byte."""

from collections.abc import Iterator, Sequence

from corpus import CHAT_TEMPLATE, END_OF_TURN, PADDING, START_OF_TURN, Pair
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = [PADDING, START_OF_TURN, END_OF_TURN]


def build(pairs: Sequence[Pair], *, size: int, context_length: int) -> PreTrainedTokenizerFast:
    """Learn a vocabulary of exactly `size` tokens from `pairs`.

    All 256 bytes are in it, so any text can be encoded and an emoji usually arrives as several tokens, none of which is
    valid UTF-8 alone. The pre-tokenizer is GPT-2's, which GGUF knows by the name `gpt-2`.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(pairs), trainer)
    if tokenizer.get_vocab_size() != size:
        raise ValueError(f"the pairs yield {tokenizer.get_vocab_size()} tokens, not {size}")
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=PADDING,
        model_max_length=context_length,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def _texts(pairs: Sequence[Pair]) -> Iterator[str]:
    # The role names open every prompt; as single tokens they keep prompts short.
    yield from ["system\n", "user\n", "assistant\n"] * len(pairs)
    for pair in pairs:
        yield pair.question
        yield pair.answer
