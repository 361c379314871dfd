"""Fit requests onto nodes: first those that are there, then as few new ones as will do.

Owns: what fits where, which node is the best, and how many new replicas that takes. Does not own:
what is asked for (`demand`), what there is (`survey`) or what follows (`decide`). Invariant: the
work doesn't grow with the number of equal requests or equal nodes, both of which are counted.

Choices agree with those of Ray's own scheduler, since the score is the same; groups of several
hosts grow by whole replicas here, where Ray counts single Pods.
Source: Ray 2.60, autoscaler v2, the order of requests and the score of nodes.
"""

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ray_operator.autoscaler import amounts, demand

GPU = "GPU"

Score = tuple[float, ...]
"""Of a node that was filled: of two, the higher is the better."""


class Bin(NamedTuple):
    """Equal nodes: what each of them has free, and who they are.

    Attributes:
        members: names of the nodes; new ones have none yet; there are `number` of them.
        marks: of the requests on it that keep others of the same mark away.
        is_stuck: it should be on its way, and isn't getting anywhere.
    """

    group: str
    free: amounts.Amounts
    total: amounts.Amounts
    labels: Mapping[str, str]
    members: tuple[str, ...] = ()
    number: int = 0
    marks: frozenset[str] = frozenset()
    is_stuck: bool = False


class Offer(NamedTuple):
    """Equal hosts of a new replica: what each has, and how many of them a replica has."""

    total: amounts.Amounts
    labels: Mapping[str, str]
    hosts: int = 1


class Source(NamedTuple):
    """A group that may grow.

    Attributes:
        room: how many more replicas it may have.
        offers: all the hosts of a replica; empty when nobody knows what they would have.
        availability: 1 unless it failed to bring nodes lately.
        is_failing: nodes are stuck that are like those that it brings.
    """

    group: str
    room: int
    offers: tuple[Offer, ...]
    priority: int = 0
    availability: float = 1.0
    is_failing: bool = False


class Filled(NamedTuple):
    """A node with requests placed on it: their places in the list, and how many of each."""

    used: tuple[tuple[int, int], ...]
    free: dict[str, int]
    marks: frozenset[str]
    score: Score


class Packing:
    """Place requests, and remember where; `sources` are the groups that may bring nodes.

    With `within`, a label and its value, other nodes are left alone. It is the `last_resort` to use
    nodes that are stuck, and to have more made of the kind.
    """

    def __init__(
        self,
        bins: Iterable[Bin],
        sources: Iterable[Source],
        *,
        conserves_gpus: bool = True,
    ) -> None:
        self.bins: list[Bin] = list(bins)
        self.sources = list(sources)
        self.launches: dict[str, int] = {}
        self.needed: set[str] = set()
        self.within: tuple[str, str] | None = None
        self.last_resort = False
        self._conserves_gpus = conserves_gpus
        self._order = {source.group: index for index, source in enumerate(self.sources)}

    def copy(self) -> "Packing":
        """Return another one that may go its own way."""
        twin = Packing(self.bins, self.sources, conserves_gpus=self._conserves_gpus)
        twin.launches, twin.needed = dict(self.launches), set(self.needed)
        return twin

    def place(self, wanted: demand.Counted) -> demand.Counted:
        """Place as much as fits onto the nodes that are there; return what is left."""
        waiting = _Waiting(wanted)
        bins, self.bins = self.bins, []
        self._use(waiting, bins)
        return waiting.rest()

    def grow(self, wanted: demand.Counted) -> demand.Counted:
        """Place onto new nodes; return what no group brings a node for."""
        waiting = _Waiting(wanted)
        is_served = True
        while is_served and waiting.places:
            is_served = self._launch(waiting)
        return waiting.rest()

    def values_of(self, label: str) -> list[str]:
        """Return the values that nodes have of a label, or new ones would have."""
        values = {each.labels.get(label, "") for each in self.bins}
        values |= {
            offer.labels.get(label, "") for source in self.sources for offer in source.offers
        }
        return sorted(values - {""})

    def bring(self, launches: Mapping[str, int]) -> None:
        """Take in new replicas that are needed anyhow."""
        for group, replicas in launches.items():
            self.bins += self._hosts(self._order[group], replicas)

    def _hosts(self, place: int, replicas: int) -> list[Bin]:
        source = self.sources[place]
        self.launches[source.group] = self.launches.get(source.group, 0) + replicas
        self.sources[place] = source._replace(room=source.room - replicas)
        return [_fresh(source, offer, replicas * offer.hosts) for offer in source.offers]

    def _use(self, waiting: "_Waiting", bins: Iterable[Bin]) -> None:
        """Fill nodes that are there, the best first, each once.

        A node was filled with what was left then. If that isn't left any more when its turn comes,
        it is filled anew, and goes back into the queue if it is no longer the best.
        """
        queue: list[tuple[Score, int, Bin, Filled]] = []
        numbers = itertools.count()

        def enqueue(each: Bin, filled: Filled | None) -> None:
            if filled is None:
                self.bins.append(each)
            else:
                heapq.heappush(queue, (_negated(filled.score), next(numbers), each, filled))

        for each in bins:
            enqueue(each, self._fill(each, waiting))
        while queue:
            _, _, each, filled = heapq.heappop(queue)
            if not waiting.has(filled.used):
                enqueue(each, self._fill(each, waiting))
            elif rest := self._commit(each, filled, waiting):
                enqueue(rest, self._fill(rest, waiting))

    def _commit(self, each: Bin, filled: Filled, waiting: "_Waiting") -> Bin | None:
        """Fill as many of equal nodes alike as there is work for; return those that stay as is."""
        most = len(each.members) or each.number
        times = max(1, min(most, *(waiting.left[place] // count for place, count in filled.used)))
        waiting.take(filled.used, times)
        self.needed.update(each.members[:times])
        done = each._replace(free=filled.free, marks=filled.marks)
        if each.members:
            self.bins.append(done._replace(members=each.members[:times]))
            rest = each._replace(members=each.members[times:])
            return rest if rest.members else None
        self.bins.append(done._replace(number=times))
        rest = each._replace(number=each.number - times)
        return rest if rest.number else None

    def _launch(self, waiting: "_Waiting") -> bool:
        """Add replicas of the group that serves best; tell whether any does."""
        best: tuple[Score, Source, Offer, Filled] | None = None
        for source in self.sources:
            if source.room <= 0 or (source.is_failing and not self.last_resort):
                continue
            for offer in source.offers:
                filled = self._fill(_fresh(source, offer), waiting)
                if filled is None:
                    continue
                score = (*filled.score, *_tie(source, offer), -float(self._order[source.group]))
                if best is None or score > best[0]:
                    best = (score, source, offer, filled)
        if best is None:
            return False
        _, source, offer, filled = best
        wanted = max(1, min(waiting.left[place] // count for place, count in filled.used))
        replicas = min(source.room, -(-wanted // offer.hosts))
        self._use(waiting, self._hosts(self._order[source.group], replicas))
        return True

    def _fill(self, each: Bin, waiting: "_Waiting") -> Filled | None:
        """Place on one node all that fits, the hardest first; None when nothing does."""
        if each.is_stuck and not self.last_resort:
            return None
        if self.within is not None and each.labels.get(self.within[0]) != self.within[1]:
            return None
        free, marks = dict(each.free), each.marks
        used: list[tuple[int, int]] = []
        for place in () if waiting.outgrows(free) else waiting.places:
            shape = waiting.shapes[place]
            fits = _room(shape.amounts, free, waiting.left[place])
            if not fits or (shape.selectors and not _match(shape.selectors, each.labels)):
                continue
            if shape.apart:
                if shape.apart in marks or shape.apart in each.labels:
                    continue
                marks, fits = marks | {shape.apart}, 1
            for name, amount in shape.amounts:
                free[name] -= amount * fits
            used.append((place, fits))
            if waiting.outgrows(free):
                break
        if not used:
            return None
        asked = [waiting.shapes[place] for place, _ in used]
        score = _score(each, asked, free, conserves_gpus=self._conserves_gpus)
        return Filled(tuple(used), free, marks, score)


class _Waiting:
    """Requests and how many of each are left; `places` are those of which there are any."""

    def __init__(self, wanted: demand.Counted) -> None:
        self.shapes = [shape for shape, _ in wanted]
        self.left = [count for _, count in wanted]
        self.places = list(range(len(wanted)))
        asked: dict[str, list[int]] = {}
        for shape in self.shapes:
            for name, amount in shape.amounts:
                asked.setdefault(name, []).append(amount)
        everyone = len(self.shapes)
        self._least = [(name, min(each)) for name, each in asked.items() if len(each) == everyone]

    def has(self, used: Iterable[tuple[int, int]]) -> bool:
        """Tell whether so many of each are left."""
        return all(self.left[place] >= count for place, count in used)

    def take(self, used: Iterable[tuple[int, int]], times: int) -> None:
        """Lower what is left by what was used, so many times."""
        for place, count in used:
            self.left[place] -= count * times
        self.places = [place for place in self.places if self.left[place]]

    def outgrows(self, free: Mapping[str, int]) -> bool:
        """Tell whether even the least that all ask for is more than that."""
        return any(free.get(name, 0) < least for name, least in self._least)

    def rest(self) -> demand.Counted:
        """Return what is left."""
        found = zip(self.shapes, self.left, strict=True)
        return tuple((shape, count) for shape, count in found if count)


def _room(asked: Iterable[tuple[str, int]], free: Mapping[str, int], most: int) -> int:
    """Count how often a request fits, up to `most`."""
    for name, amount in asked:
        have = free.get(name, 0)
        if have < amount:
            return 0
        most = min(most, have // amount)
    return most


def _fresh(source: Source, offer: Offer, number: int = 1) -> Bin:
    return Bin(source.group, offer.total, offer.total, offer.labels, number=number)


def _tie(source: Source, offer: Offer) -> Score:
    """Return what decides among groups that serve equally well."""
    gpus, memory = offer.total.get(GPU, 0), offer.total.get("memory", 0)
    return (source.availability, float(source.priority), -float(gpus), -float(memory))


def _negated(score: Score) -> Score:
    return tuple(-each for each in score)


def _score(
    each: Bin,
    asked: Sequence[demand.Shape],
    free: amounts.Amounts,
    *,
    conserves_gpus: bool,
) -> Score:
    kinds = {name for shape in asked for name, _ in shape.amounts}
    used = [
        total * ((total - free[name]) / total) ** 3
        for name, total in each.total.items()
        if total and name in free
    ]
    wastes_gpus = conserves_gpus and each.total.get(GPU, 0) > 0 and GPU not in kinds
    return (
        float(
            next((match for shape in asked if (match := _match(shape.selectors, each.labels))), 0)
        ),
        float(not wastes_gpus),
        float(sum(name in each.total for name in kinds)),
        min(used, default=0.0),
        sum(used) / len(used) if used else 0.0,
    )


def _match(selectors: Sequence[demand.Selector], labels: Mapping[str, str]) -> int:
    """Tell how good a choice the labels are: 0 for none, more for earlier alternatives."""
    for index, selector in enumerate(selectors):
        if all((labels.get(each.key) in each.values) is each.is_in for each in selector):
            return len(selectors) - index
    return 0
