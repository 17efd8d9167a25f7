import pytest

from inferry_runtime.engines.labels import bits_of_label, version_key


@pytest.mark.parametrize(
    ("label", "bits"),
    [
        ("Int4", (4,)),
        ("int8", (8,)),
        ("4bit", (4,)),
        ("8-bit", (8,)),
        ("8bits", (8,)),
        ("Int4-W4A16", (4,)),
        ("Int8-W8A16", (8,)),
        ("Int4-Int8Mix", (4, 8)),
        ("Int4-Int8Mix-Lite", (4, 8)),
        ("w4a16", (4,)),
        ("Q4_K_M", (4,)),
        ("UD-Q4_K_XL", (4,)),
        ("IQ3_XXS", (3,)),
        ("FP8", (8,)),
        ("nvfp4", (4,)),
        ("MXFP4_MOE", (4,)),
        ("AWQ", ()),
        ("AWQ-Lite", ()),
        ("AWQ-FP16Mix", ()),
        ("BF16", ()),
        ("none", ()),
        ("", ()),
        ("Qwen2.5-72B", ()),
    ],
)
def test_widths_a_label_names(label: str, bits: tuple[int, ...]) -> None:
    assert bits_of_label(label) == bits


def test_versions_are_ordered_by_their_numbers() -> None:
    versions = ["0.27.0", "0.9.2", "0.11.0.post1", "", "0.11.2", "2026.10.11549"]
    assert sorted(versions, key=version_key) == ["", "0.9.2", "0.11.0.post1", "0.11.2", "0.27.0", "2026.10.11549"]
