"""Amounts as Kubernetes and as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferry.api.quantity import QuantityError, format_bytes, format_count, parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("4", 4.0),
        ("500m", 0.5),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("8Gi", 8 * 1024**3),
        ("1.5Mi", 1.5 * 1024**2),
        ("8G", 8e9),
        ("100k", 1e5),
        ("1e3", 1000.0),
        ("1E3", 1000.0),
        ("1E", 1e18),
        ("2n", 2e-9),
        (" 4 ", 4.0),
        ("-1", -1.0),
    ],
)
def test_a_quantity_is_read(text, amount):
    assert parse_quantity(text) == pytest.approx(amount)


@pytest.mark.parametrize(
    "text", ["", "x", "4x", "4gi", "4 Gi", "1e", "0x10", "1_000", "NaN", "inf", "٣", "4GiB", "--1"]
)
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(QuantityError, match="is not a quantity"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (950, "950 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (400 * 1024**2, "400 MiB"),
        (1023 * 1024**2, "1 GiB"),
        (14.25 * 1024**3, "14.2 GiB"),
        (3 * 1024**4, "3 TiB"),
        (5000 * 1024**5, "5000 PiB"),
    ],
)
def test_bytes_are_written_with_three_digits(size, text):
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(12, "12"), (1_607_424, "1.61M"), (494_032_768, "494M"), (7_615_616_512, "7.62B"), (10**12, "1T")],
)
def test_parameters_are_written_as_model_cards_do(count, text):
    assert format_count(count) == text


@given(st.integers(0, 2**62))
def test_bytes_read_back_are_what_was_written_within_a_percent(size):
    text = format_bytes(size).replace("iB", "i").replace(" ", "").removesuffix("B")
    assert parse_quantity(text) == pytest.approx(size, rel=0.01, abs=1)
