"""Quantization labels in file names: found, compared, turned into bits. Parsed, never searched for digits."""

import re

# "Q4_K_M", "IQ2_XXS", "UD-Q4_K_XL", "i1-Q6_K", "TQ1_0", "MXFP4_MOE", "NVFP4", "BF16", "F16", "fp16", "Q4_0_4_4"
_LABEL = re.compile(
    r"(?<![A-Za-z0-9])((?:UD[-_]|i1[-_])?(?:I?Q\d(?:_[A-Z0-9]{1,3})*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|B?F16|FP16|F32|FP32))"
    r"(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_BITS = re.compile(r"(?:UD-|I1-)?(?:(?:I?Q|TQ)(\d)|(?:MX|NV)FP(\d)|B?F(\d+))")
_PREFIX = re.compile(r"^(?:UD-|I1-)")
_PLAIN = ("F16", "BF16", "F32")

# Best first, for a user who named none: the middle of the quality curve, then its neighbours, then what fits anywhere.
PREFERENCE = (
    *("Q4_K_M", "Q4_K_XL", "Q4_K_L", "Q4_K_S", "MXFP4_MOE", "MXFP4", "IQ4_XS", "IQ4_NL", "Q4_0", "Q4_1", "NVFP4"),
    *("Q5_K_M", "Q5_K_XL", "Q5_K_L", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "Q6_K_XL", "Q6_K_L", "Q8_0", "Q8_K_XL"),
    *("Q3_K_L", "Q3_K_XL", "Q3_K_M", "IQ3_M", "Q3_K_S", "IQ3_S", "IQ3_XS", "IQ3_XXS", "F16", "BF16", "F32"),
)


def normal(label: str) -> str:
    """One spelling for each label: "q4_k_m" and "Q4-K-M" are "Q4_K_M", "fp16" is "F16"."""
    text = label.strip().upper()
    prefix = _PREFIX.match(text.replace("_", "-", 1) if text.startswith(("UD_", "I1_")) else text)
    head = prefix.group() if prefix else ""
    body = text[len(head) :].replace("-", "_")
    return head + re.sub(r"^FP(16|32)$", r"F\1", body)


def base(label: str) -> str:
    """The label without who made it: "UD-Q4_K_XL" is "Q4_K_XL"."""
    return _PREFIX.sub("", normal(label))


def label_in(name: str) -> str:
    """The last label in a file or folder name, "" without one."""
    found = [match.group(1) for match in _LABEL.finditer(name)]
    return normal(found[-1]) if found else ""


def bits_of(label: str) -> float | None:
    """The width a label names; None when it names none."""
    match = _BITS.match(normal(label))
    return float(next(group for group in match.groups() if group)) if match else None


def is_plain(label: str) -> bool:
    """Whether it names floats instead of a quantization."""
    return normal(label) in _PLAIN


def rank(label: str) -> int:
    """Place in PREFERENCE; unknown labels come last."""
    plain = base(label)
    return PREFERENCE.index(plain) if plain in PREFERENCE else len(PREFERENCE)
