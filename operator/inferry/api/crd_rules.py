"""What a schema cannot say: rules in CEL, each with a message that says what to do.

They say the same as `validate` where CEL can, so that `kubectl apply` refuses what `inferry apply` refuses. Nothing
that needs the catalog or the engines is here: those are data and may differ between clusters.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    path: str
    """Dotted from the object; "[]" stands for each item."""
    expression: str
    message: str


_QUANTITY: Final = "!has(self.{0}) || isQuantity(string(self.{0}))"
_WITHIN: Final = (
    "!has(self.requests) || !has(self.limits) || !has(self.requests.{0}) || !has(self.limits.{0})"
    " || !isQuantity(string(self.requests.{0})) || !isQuantity(string(self.limits.{0}))"
    " || quantity(string(self.requests.{0})).compareTo(quantity(string(self.limits.{0}))) <= 0"
)

_AMOUNTS: Final = tuple(
    Rule(
        f"spec.resources.{kind}",
        _QUANTITY.format(field),
        f"{field} is not a quantity; write it like 500m, 4, 512Mi or 8Gi.",
    )
    for kind in ("requests", "limits")
    for field in ("cpu", "memory")
)

RULES: Final = (
    Rule("spec.model", "has(self.source) || has(self.name)", "Say where the model is: set source or name."),
    Rule("spec.model", "!has(self.source) || !has(self.name)", "Both source and name are set; keep one of them."),
    Rule(
        "spec.model", "!has(self.size) || has(self.name)", "size is for models of the catalog; set name or remove it."
    ),
    Rule("spec.model", "!has(self.hub) || has(self.name)", "hub is for models of the catalog; set name or remove it."),
    Rule(
        "spec.model.source",
        r"self.matches('^((hf|modelscope)://[^/\\s]+/[^/\\s]+|(https?|s3|gs|az)://[^/\\s]+.*|file:///.+|/.+)$')",
        "Write it as hf://org/repo, modelscope://org/repo, https://host/file, s3://, gs:// or az://bucket/prefix,"
        " or file:///path.",
    ),
    Rule("spec.model.mirror", r"self.matches('^https?://[^/\\s]+')", "Write it like https://hub.example."),
    Rule("spec.servedNames", "self.all(one, self.exists_one(other, other == one))", "A name stands there twice."),
    Rule(
        "spec.servedNames",
        "self.all(one, one.matches('^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$'))",
        "Use letters, digits and . _ : / @ + -, and start with a letter or digit.",
    ),
    Rule(
        "spec.engine",
        "!has(self.image) || has(self.name)",
        "image needs name: nobody can see from an image which engine is in it.",
    ),
    *_AMOUNTS,
    *(
        Rule(
            "spec.resources",
            _WITHIN.format(field),
            f"requests.{field} is more than limits.{field}; raise the limit or lower the request.",
        )
        for field in ("cpu", "memory")
    ),
)
