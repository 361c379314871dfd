"""Quantities as Kubernetes reads and writes them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_operator import quantity

QUANTITIES = st.builds(
    quantity.Quantity,
    st.integers(-(10**30), 10**30).map(lambda nano: Fraction(nano, 10**9)),
    st.sampled_from(["binary", "decimal", "exponent"]),
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0Gi", "0"),
        ("200m", "200m"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        ("1.5", "1500m"),
        ("2.0", "2"),
        (3, "3"),
        ("1000", "1k"),
        ("1000m", "1"),
        ("100k", "100k"),
        ("1000000", "1M"),
        ("1024", "1024"),
        ("512Mi", "512Mi"),
        ("1024Mi", "1Gi"),
        ("1280Mi", "1280Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1.0001Ki", "1024102400u"),
        ("1e3", "1e3"),
        ("1E", "1E"),
        ("1E2", "100"),
        ("5e-1", "500e-3"),
        ("100u", "100u"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("-500m", "-500m"),
        ("+2", "2"),
        (".5", "500m"),
        ("5.", "5"),
    ],
)
def test_text_becomes_canonical(text: str | int, canonical: str) -> None:
    assert str(quantity.parse(text)) == canonical


@pytest.mark.parametrize("text", ["", "abc", "1 Gi", "1gi", "1K", "--1", "1e", "1Gi5", "٣"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("text", "whole"),
    [("0", 0), ("1m", 1), ("500m", 1), ("1500m", 2), ("2", 2), ("1Gi", 2**30), ("-1500m", -2)],
)
def test_rounding_goes_up_to_whole_units(text: str, whole: int) -> None:
    assert quantity.round_up(quantity.parse(text)) == whole


@pytest.mark.parametrize(
    ("parts", "total"),
    [
        ([], "0"),
        (["100m", "100m"], "200m"),
        (["1Gi", "1G"], "2073741824"),
        (["1G", "1Gi"], "2073741824"),
        (["1Gi", "1024k"], "1049576Ki"),
        (["0", "1Gi", "1Gi"], "2Gi"),
        (["1Gi", "1000"], "1073742824"),
    ],
)
def test_a_sum_keeps_the_format_of_its_first_part(parts: list[str], total: str) -> None:
    assert str(quantity.total(map(quantity.parse, parts))) == total


@given(QUANTITIES)
def test_canonical_text_says_the_same_amount(given_: quantity.Quantity) -> None:
    again = quantity.parse(str(given_))
    assert again.value == given_.value
    plain = {str(given_.value)} if given_.format == "binary" else set()  # no suffix fits, as in Go
    assert str(given_) in {str(again)} | plain


def test_a_binary_amount_without_a_factor_of_1024_has_no_suffix() -> None:
    assert str(quantity.Quantity(Fraction(625_000), "binary")) == "625000"


@given(QUANTITIES)
def test_rounding_up_never_loses_and_adds_less_than_one(given_: quantity.Quantity) -> None:
    assert 0 <= abs(quantity.round_up(given_)) - abs(given_.value) < 1


@given(QUANTITIES, st.integers(0, 20))
def test_multiplying_is_adding_up(given_: quantity.Quantity, times: int) -> None:
    assert str(given_ * times) == str(quantity.total([given_] * times))
