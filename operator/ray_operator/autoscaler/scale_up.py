"""What it takes to serve a demand: which nodes are needed, and how many replicas to add.

Owns: the order in which demands are served, and what is left. Does not own: fitting (`packing`),
or when to act on it (`decide`). Invariant: equal problems have equal solutions, so an unchanged one
is never solved twice; a problem and its solution can be sent to another process.

A group whose Pods get stuck grows last, and only for more than those would serve once they start:
each holds up its own share of the work, and no other is made in its place.
Source: Ray 2.60, autoscaler v2: constraints, then gangs, then the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ray_operator.autoscaler import demand as needs
from ray_operator.autoscaler import packing

PRESENT = ("",)
"""No group, but a node that is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is asked for, and what there is to serve it.

    Attributes:
        bins: nodes that are there, the head among them, or on their way, even if stuck there.
        trusted: plain requests for which to act now if they find no room; None means all.
    """

    demand: needs.Demand
    bins: tuple[packing.Bin, ...]
    sources: tuple[packing.Source, ...] = ()
    trusted: frozenset[needs.Shape] | None = None
    conserves_gpus: bool = True

    def size(self) -> int:
        """Tell about how much work it is: fifty or so are a millisecond."""
        shapes = len(self.demand.requests) + len(self.demand.constraint) + len(self.demand.gangs)
        return shapes * (len(self.bins) + len(self.sources) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """How it is served.

    Attributes:
        launches: replicas to add, by group.
        needed: nodes that something was placed on.
        shortage: plain requests for which the nodes that are there have no room.
        left: those of them that nothing is launched for; what is stuck may serve them yet.
        left_gangs, left_constraint: as a whole, since they are worth nothing in parts.
        able: for each of what is left, the groups that would do if they could grow, or `PRESENT`.
    """

    launches: Mapping[str, int] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    shortage: needs.Counted = ()
    left: needs.Counted = ()
    left_gangs: tuple[needs.Gang, ...] = ()
    left_constraint: needs.Counted = ()
    able: Mapping[object, tuple[str, ...]] = field(default_factory=dict)


def solve(problem: Problem) -> Solution:
    """Serve the demand; the hardest first."""
    found = packing.Packing(problem.bins, problem.sources, conserves_gpus=problem.conserves_gpus)
    has_stuck = any(each.is_stuck for each in problem.bins)
    left_constraint = _hold(found, problem)
    if left_constraint and has_stuck:
        _hold(found, problem, last_resort=True)
        left_constraint = () if found.launches else left_constraint
    left_gangs = []
    for gang in problem.demand.gangs:
        placed = _place_gang(found, gang)
        if placed is None:
            placed = _place_gang(found, gang, last_resort=True) if has_stuck else None
            if placed is None or placed.launches == found.launches:
                left_gangs.append(gang)
        found = placed or found
    shortage = found.place(problem.demand.requests)
    trusted = problem.trusted
    now = tuple(each for each in shortage if trusted is None or each[0] in trusted)
    left = found.grow(now)
    if left and has_stuck:
        found.last_resort = True
        beyond = found.place(left)
        left = _without(left, _without(beyond, found.grow(beyond)))
    return Solution(
        launches=found.launches,
        needed=frozenset(found.needed),
        shortage=shortage,
        left=left,
        left_gangs=tuple(left_gangs),
        left_constraint=left_constraint,
        able={
            **{
                shape: _able(problem, ((shape, 1),)) or _present(problem, shape)
                for shape, _ in left
            },
            **{gang: _able(problem, gang.alternatives[0]) for gang in left_gangs},
            **({left_constraint: _able(problem, left_constraint)} if left_constraint else {}),
        },
    )


def _able(problem: Problem, wanted: needs.Counted) -> tuple[str, ...]:
    """Return the groups each of which could hold it all; if none can, those that can together.

    A node that is there, the head for instance, may be the only one that can.
    """
    room = sum(count for _, count in wanted)
    sources = [
        each._replace(room=room, is_failing=False) for each in problem.sources if each.offers
    ]
    single = [each.group for each in sources if not packing.Packing((), [each]).grow(wanted)]
    if single or len(wanted) == 1:
        return tuple(single)
    together = packing.Packing((), sources)
    return tuple(together.launches) if not together.grow(wanted) else ()


def _present(problem: Problem, shape: needs.Shape) -> tuple[str, ...]:
    """Return `PRESENT` if a node is there that could hold it, were it not for others."""
    for each in problem.bins:
        one = each._replace(free=each.total, members=each.members[:1], number=min(each.number, 1))
        if not packing.Packing((one,), ()).place(((shape, 1),)):
            return PRESENT
    return ()


def _without(given: needs.Counted, other: needs.Counted) -> needs.Counted:
    """Return what is left of the one without the other."""
    less = dict(other)
    rest = ((shape, count - less.get(shape, 0)) for shape, count in given)
    return tuple(each for each in rest if each[1])


def _hold(found: packing.Packing, problem: Problem, *, last_resort: bool = False) -> needs.Counted:
    """Make room for the constraint, whatever runs now; return it if there can't be enough."""
    if not problem.demand.constraint:
        return ()
    whole = packing.Packing(
        (each._replace(free=each.total) for each in problem.bins),
        problem.sources,
        conserves_gpus=problem.conserves_gpus,
    )
    whole.last_resort = last_resort
    left = whole.grow(whole.place(problem.demand.constraint))
    if left:
        return left
    found.needed |= whole.needed
    found.bring(whole.launches)
    return ()


def _place_gang(
    found: packing.Packing, gang: needs.Gang, *, last_resort: bool = False
) -> packing.Packing | None:
    """Place all of a gang, or nothing; None when there is no room."""
    for wanted in gang.alternatives:
        places = [(gang.locality, each) for each in found.values_of(gang.locality)]
        for within in places if gang.locality else [None]:
            trial = found.copy()
            trial.within, trial.last_resort = within, last_resort
            if not trial.grow(trial.place(wanted)):
                trial.within, trial.last_resort = None, False
                return trial
    return None
