"""The inference routes that can be reached at all; a model's own routes choose among them."""

from collections.abc import Mapping
from dataclasses import dataclass

from inferry.gateway.errors import Dialect


@dataclass(frozen=True, slots=True)
class Rule:
    """How one POST route is handled. Its body is a JSON object with the model's name in `model`."""

    path: str
    dialect: Dialect = Dialect.OPENAI
    repeatable: bool = False
    """Asking twice costs little and changes nothing, so an engine's failure may be retried elsewhere."""


RULES: Mapping[bytes, Rule] = {
    rule.path.encode(): rule
    for rule in (
        Rule("/v1/chat/completions"),
        Rule("/v1/completions"),
        Rule("/v1/responses", dialect=Dialect.RESPONSES),
        Rule("/v1/messages", dialect=Dialect.ANTHROPIC),
        Rule("/v1/messages/count_tokens", dialect=Dialect.ANTHROPIC, repeatable=True),
        Rule("/v1/embeddings", repeatable=True),
        Rule("/v2/embed", repeatable=True),
        Rule("/pooling", repeatable=True),
        Rule("/rerank", repeatable=True),
        Rule("/v1/rerank", repeatable=True),
        Rule("/v1/reranking", repeatable=True),
        Rule("/v2/rerank", repeatable=True),
        Rule("/score", repeatable=True),
        Rule("/v1/score", repeatable=True),
        Rule("/classify", repeatable=True),
        Rule("/v1/classify", repeatable=True),
        Rule("/tokenize", repeatable=True),
        Rule("/v1/tokenize", repeatable=True),
        Rule("/detokenize", repeatable=True),
        Rule("/v1/detokenize", repeatable=True),
        Rule("/apply-template", repeatable=True),
    )
}
