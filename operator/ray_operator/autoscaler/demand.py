"""What a cluster lacks, in one form: equal requests are one, with a count.

Owns: normalising what Ray tells. Does not own: reading it (`wire_gcs`) or serving it (`packing`).
Invariant: two answers of Ray that ask for the same come out equal.
Source: Ray, autoscaler.proto; which requests are copies of others was seen on 2.46 and 2.60.
"""

from collections.abc import Iterable, Mapping

import msgspec

from ray_operator import scaling_records
from ray_operator.autoscaler import amounts

MOST_SHAPES = 1000
"""Of requests; what there are more of, rarest first, waits for the next round."""

Selector = scaling_records.Selector


class Shape(msgspec.Struct, frozen=True):
    """Equal requests: what they ask for, where they may run, and what keeps them apart."""

    amounts: tuple[tuple[str, int], ...]
    selectors: tuple[Selector, ...] = ()
    apart: str = ""

    def order(self) -> tuple[bool, int, int, int, tuple[tuple[str, int], ...]]:
        """Return what sorts the hardest last. Source: Ray's scheduler."""
        constraints = len(self.selectors[0]) if self.selectors else 0
        asked = sum(amount for _, amount in self.amounts)
        return (bool(self.apart), constraints, len(self.amounts), asked, self.amounts)

    def request(self) -> scaling_records.ResourceRequest:
        """Return it as Ray says it."""
        return scaling_records.ResourceRequest(
            amounts=tuple((name, amount / amounts.SCALE) for name, amount in self.amounts),
            selectors=self.selectors,
            apart=self.apart,
        )

    def __str__(self) -> str:
        """Write for people."""
        where = " or ".join(map(_shown, self.selectors))
        return amounts.shown(self.amounts) + (f" where {where}" if where else "")


Counted = tuple[tuple[Shape, int], ...]
"""Shapes and how many of each; the hardest to place come first."""


class Gang(msgspec.Struct, frozen=True):
    """Shapes that are worth something only all together."""

    alternatives: tuple[Counted, ...]
    details: str = ""
    locality: str = ""

    def order(self) -> tuple[int, int]:
        """Return what sorts the hardest last. Source: Ray's scheduler."""
        first = self.alternatives[0]
        return (
            sum(count for shape, count in first if shape.apart),
            sum(count for _, count in first),
        )

    def gang(self) -> scaling_records.Gang:
        """Return it as Ray says it."""
        return scaling_records.Gang(
            alternatives=tuple(
                tuple(shape.request() for shape, count in each for _ in range(count))
                for each in self.alternatives
            ),
            details=self.details,
            locality=self.locality,
        )

    def __str__(self) -> str:
        """Write for people; the id in the details tells them little."""
        kind = self.details.partition(":")[2].partition("|")[0]
        parts = " + ".join(f"{count} of {shape}" for shape, count in self.alternatives[0])
        return f"placement group {kind} of {parts}" if kind else f"placement group of {parts}"


class Demand(msgspec.Struct, frozen=True):
    """All that is asked for; the hardest come first."""

    requests: Counted = ()
    gangs: tuple[Gang, ...] = ()
    constraint: Counted = ()

    def __bool__(self) -> bool:
        """Tell whether anything is asked for."""
        return bool(self.requests or self.gangs or self.constraint)


def normalised(given: scaling_records.Demand) -> Demand:
    """Bring what Ray asks for into one form."""
    requests = counted(given.requests)
    if len(requests) > MOST_SHAPES:
        most = sorted(requests, key=lambda each: -each[1])[:MOST_SHAPES]
        requests = _sorted(dict(most))
    gangs = (_gang(each) for each in given.gangs)
    return Demand(
        requests=requests,
        gangs=tuple(sorted(filter(None, gangs), key=Gang.order, reverse=True)),
        constraint=counted(given.constraint),
    )


def counted(given: scaling_records.Counted) -> Counted:
    """Merge equal requests; those of placement groups that stand are dropped."""
    found: dict[Shape, int] = {}
    for request, count in given:
        if count <= 0 or amounts.is_of_placement_group(name for name, _ in request.amounts):
            continue
        shape = _shape(request)
        found[shape] = found.get(shape, 0) + count
    return _sorted(found)


def _sorted(found: Mapping[Shape, int]) -> Counted:
    return tuple(sorted(found.items(), key=lambda each: each[0].order(), reverse=True))


def _shape(request: scaling_records.ResourceRequest) -> Shape:
    selectors = request.selectors if any(request.selectors) else ()
    return Shape(amounts.asked(request.amounts), selectors, request.apart)


def _gang(given: scaling_records.Gang) -> Gang | None:
    alternatives = tuple(filter(None, map(_bundles, given.alternatives)))
    return Gang(alternatives, given.details, given.locality) if alternatives else None


def _bundles(given: Iterable[scaling_records.ResourceRequest]) -> Counted:
    """Count bundles; those that must share a node become one."""
    single: list[tuple[scaling_records.ResourceRequest, int]] = []
    shared: dict[tuple[str, tuple[Selector, ...]], dict[str, float]] = {}
    for request in given:
        if not request.together:
            single.append((request, 1))
            continue
        total = shared.setdefault((request.together, request.selectors), {})
        for name, amount in request.amounts:
            total[name] = total.get(name, 0.0) + amount
    for (_, selectors), total in shared.items():
        merged = scaling_records.ResourceRequest(tuple(sorted(total.items())), selectors)
        single.append((merged, 1))
    return counted(tuple(single))


def _shown(selector: Selector) -> str:
    return (
        " and ".join(
            f"{each.key} {'is' if each.is_in else 'is not'} {'|'.join(each.values)}"
            for each in selector
        )
        or "anywhere"
    )
