"""The difference between two JSON objects, as a merge patch.

Owns: computing it. Does not own: sending it. Source: RFC 7386.
"""

from collections.abc import Mapping
from typing import Any


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch that turns `old` into `new`; empty when they are equal."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if nested := difference(before, value):
                patch[name] = nested
        elif name not in old or before != value:
            patch[name] = value
    return patch
