"""The value of `ray start --resources`: a JSON object in the quotes of a shell.

Owns: reading it. Does not own: what is put into it (`raycluster.logical_resources`).
"""

import contextlib
import json
import math
import shlex


def parse(flag: str) -> dict[str, float] | None:
    """Read the custom resources as the shell would hand them to Ray; None when broken.

    Quotes around the JSON are optional here; within double quotes, escaped ones are understood.
    """
    candidates = [flag.strip(" '\"`")]
    with contextlib.suppress(ValueError):  # unbalanced quotes: only the first reading is left
        candidates.append("".join(shlex.split(flag)))
    for candidate in candidates:
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(value, dict) and all(map(_is_number, value.values())):
            return value
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)


def needs_shell(flag: str) -> bool:
    """Tell whether only a shell knows the value: it holds variables or commands."""
    return "$" in flag
