"""Resources in whole units, so that sums and comparisons are exact.

Owns: the unit and rounding. Does not own: what is counted. Invariant: a request is never rounded
down and a capacity never up. Source: Ray counts in steps of a 10,000th.
"""

import math
import re
from collections.abc import Iterable, Mapping

Amounts = Mapping[str, int]
"""Resources by name, in 10,000ths: of a CPU, a GPU, a byte."""
SCALE = 10_000

_OF_PLACEMENT_GROUP = re.compile(r".*_group_([0-9]+_)?[0-9a-f]{36}$")
_IMPLICIT = "node:__internal_implicit_resource_"
_OF_ONE_NODE = "node:"
_ROUNDING = 0.001
_STORE = "object_store_memory"


def asked(given: Iterable[tuple[str, float]]) -> tuple[tuple[str, int], ...]:
    """Return what a request asks for, by name; what every node has is left out."""
    return tuple(
        (name, whole)
        for name, amount in sorted(given)
        if not name.startswith(_IMPLICIT) and (whole := math.ceil(round(amount * SCALE, 3))) > 0
    )


def offered(given: Mapping[str, float]) -> dict[str, int]:
    """Return what a node has, or has free; what marks a single node is left out."""
    return {
        name: int(amount * SCALE + _ROUNDING)
        for name, amount in given.items()
        if not name.startswith(_OF_ONE_NODE)
    }


def is_of_placement_group(names: Iterable[str]) -> bool:
    """Tell whether a request waits for a placement group's own resources: no node brings them."""
    return any(_OF_PLACEMENT_GROUP.match(name) for name in names)


def lasting(total: Mapping[str, int]) -> dict[str, int]:
    """Return what another node of the kind would have too."""
    return {
        name: amount
        for name, amount in total.items()
        if name != _STORE
        and not name.startswith(_OF_ONE_NODE)
        and not _OF_PLACEMENT_GROUP.match(name)
    }


def shown(given: Iterable[tuple[str, int]]) -> str:
    """Write for people, as `{CPU: 1, memory: 2.0GiB}`."""
    return "{" + ", ".join(f"{name}: {_shown(name, amount)}" for name, amount in given) + "}"


def _shown(name: str, amount: int) -> str:
    if name in {"memory", _STORE}:
        return f"{amount / SCALE / 2**30:.1f}GiB"
    return f"{amount / SCALE:g}"
