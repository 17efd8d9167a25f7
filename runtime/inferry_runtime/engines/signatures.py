"""Failure signatures as data: `signatures.json`, compiled. An engine's own come before those all engines share."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec

from inferry_runtime.engines.base import Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureRow:
    pattern: str
    reason: str
    hint: str


@cache
def signatures_of(engine: str) -> tuple[Signature, ...]:
    """Most specific first. Raises KeyError for an engine that has none."""
    document = files(__package__).joinpath("signatures.json").read_bytes()
    rows = msgspec.json.decode(document, type=dict[str, tuple[SignatureRow, ...]])
    return tuple(
        Signature(pattern=re.compile(row.pattern), reason=row.reason, hint=row.hint)
        for row in (*rows[engine], *rows["common"])
    )
