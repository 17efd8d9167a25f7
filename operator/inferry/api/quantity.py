"""Kubernetes quantities, and amounts as people read them."""

import re
from typing import Final

_QUANTITY: Final = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([eE][+-]?\d+)|([EPTGMK]i|[numkMGTPE]))?", re.ASCII)
"""The grammar of `resource.Quantity` in k8s.io/apimachinery: a decimal number with an exponent or one suffix."""

_BINARY: Final = {suffix: 1024.0 ** (power + 1) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))}
_DECIMAL: Final = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_SUFFIXES: Final = {**_BINARY, **_DECIMAL}

_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")
_COUNTS: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


class QuantityError(ValueError):
    """The text is not a quantity; the message says what one looks like."""


def parse_quantity(text: str) -> float:
    """The amount in base units: cores for "500m", bytes for "8Gi". Raises QuantityError."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise QuantityError(f'"{text}" is not a quantity; write it like 500m, 4, 1.5, 512Mi or 8Gi')
    number, exponent, suffix = match.groups()
    return float(number + (exponent or "")) * (_SUFFIXES[suffix] if suffix else 1.0)


def format_bytes(size_bytes: float) -> str:
    """Three significant digits: "950 B", "1.5 KiB", "14 GiB"."""
    if size_bytes < 1024:
        return f"{int(size_bytes)} B"
    power = 1
    while size_bytes / 1024**power >= 1000 and power < len(_UNITS):
        power += 1
    return f"{_short(size_bytes / 1024**power)} {_UNITS[power - 1]}"


def format_count(count: int) -> str:
    """Parameters as model cards write them: "494M", "7.6B"."""
    for size, suffix in _COUNTS:
        if count >= size:
            return f"{_short(count / size)}{suffix}"
    return str(count)


def _short(amount: float) -> str:
    text = f"{amount:.2f}" if amount < 10 else f"{amount:.1f}" if amount < 100 else f"{amount:.0f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
