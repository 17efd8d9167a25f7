"""Quantization labels and versions, parsed into numbers instead of searched for digits."""

import re

# "Int4", "4bit", "4-bit", "w4a16", "q4_k_m", "fp8", "mxfp4": a letter part that names a width, then the width,
# or the width followed by "bit".
_WIDTH = re.compile(r"(?:^|[-_.])(?:int|w|i?q|uint|mxfp|nvfp|fp|bf|f)(\d+)|(?:^|[-_.])(\d+)-?bits?", re.IGNORECASE)
_FLOATS = frozenset({16, 32})


def bits_of_label(label: str) -> tuple[int, ...]:
    """Every quantized width a label names, sorted: "Int4-Int8Mix" is (4, 8), "AWQ-FP16Mix" is ()."""
    widths = {int(named or counted) for named, counted in _WIDTH.findall(label)}
    return tuple(sorted(widths - _FLOATS))


def version_key(version: str) -> tuple[int, ...]:
    """Orders versions by their leading numbers: "0.11.0.post1" is (0, 11, 0). Empty sorts first."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()
