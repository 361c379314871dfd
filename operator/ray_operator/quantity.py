"""Kubernetes quantities with exact arithmetic: `500m`, `2Gi`, `1e3`.

Owns: parsing, adding, rounding up and the canonical text. Does not own: what is measured
(`raycluster.resources`). Invariant: no float is involved, and `str(parse(str(q))) == str(q)`.
Source: Kubernetes, apimachinery `resource.Quantity`.
"""

import functools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Format = Literal["binary", "decimal", "exponent"]

_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_SYNTAX = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))"
    r"(?:(?P<binary>[KMGTPE]i)|(?P<decimal>[numkMGTPE])|[eE](?P<exponent>[+-]?\d{1,3}))?",
    re.ASCII,
)
_NANO = 10**9


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount and how it likes to be written.

    `str()` gives the canonical text: the largest suffix that leaves no fraction.
    """

    value: Fraction
    format: Format = "decimal"

    def __add__(self, other: "Quantity") -> "Quantity":
        """Add; the format is that of the first operand that isn't zero."""
        return Quantity(self.value + other.value, self.format if self.value else other.format)

    def __mul__(self, times: int) -> "Quantity":
        """Multiply as if added up `times` times."""
        return Quantity(self.value * times, self.format)

    def __bool__(self) -> bool:
        """Tell whether it is anything but zero."""
        return bool(self.value)

    def __str__(self) -> str:
        """Write canonically."""
        if not self.value:
            return "0"
        if self.format == "binary" and abs(self.value) >= 1024 and self.value.denominator == 1:
            return _binary_text(self.value.numerator)
        return _decimal_text(self.value, exponential=self.format == "exponent")


ZERO = Quantity(Fraction(0))


def parse(text: str | int) -> Quantity:
    """Read a quantity, rounded up (away from zero) to nano units as Kubernetes does.

    Raises ValueError when it is none; the message says what was expected.
    """
    found = _parsed(str(text).strip())
    if found is None:
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2 or 4Gi")
    return found


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> Quantity | None:
    match = _SYNTAX.fullmatch(text)
    if match is None:
        return None
    value = Fraction(match["number"])
    format_: Format = "decimal"
    if match["binary"]:
        value *= 1024 ** _BINARY.index(match["binary"])
        format_ = "binary"
    elif match["exponent"]:
        value *= Fraction(10) ** int(match["exponent"])
        format_ = "exponent"
    else:
        value *= Fraction(10) ** _DECIMAL[match["decimal"] or ""]
    return Quantity(_away_from_zero(value * _NANO) / _NANO, format_)


def round_up(quantity: Quantity) -> int:
    """Round away from zero to whole units: 500m is 1."""
    return int(_away_from_zero(quantity.value))


def total(quantities: Iterable[Quantity]) -> Quantity:
    """Add all up, ZERO when there are none."""
    return sum(quantities, ZERO)


def _away_from_zero(value: Fraction) -> Fraction:
    return Fraction(math.ceil(value) if value > 0 else math.floor(value))


def _binary_text(value: int) -> str:
    power = 0
    while value % 1024 == 0 and power < len(_BINARY) - 1:
        value //= 1024
        power += 1
    return f"{value}{_BINARY[power]}"


def _decimal_text(value: Fraction, *, exponential: bool) -> str:
    """Write with the exponent, a multiple of 3, that leaves the smallest whole number."""
    exponent = -9
    number = int(value * _NANO)
    while number % 1000 == 0 and exponent < 18:
        number //= 1000
        exponent += 3
    if exponential:
        return f"{number}e{exponent}" if exponent else str(number)
    return f"{number}{_DECIMAL_SUFFIX[exponent]}"
