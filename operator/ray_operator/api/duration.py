"""Durations as Go writes them: `30s`, `5m`, `1h30m`.

Owns: reading them. Source: Go, `time.ParseDuration`, which KubeRay uses.
"""

import re
from datetime import timedelta
from fractions import Fraction

_UNITS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_LONGEST = 2**63 // 10**9


def parse(text: str) -> timedelta | None:
    """Read a duration, None when it is none; below a microsecond it is cut."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return timedelta()
    seconds, position = Fraction(0), 0
    for match in _PART.finditer(rest):
        if match.start() != position:
            return None
        position = match.end()
        seconds += Fraction(match[1]) * _UNITS[match[2]]
    if position != len(rest) or not rest or seconds > _LONGEST:
        return None
    return timedelta(microseconds=sign * int(seconds * 10**6))
