"""What fits where, and which new nodes are chosen."""

import time
from typing import Any

import pytest

from ray_operator import scaling_records as say
from ray_operator.autoscaler import demand, packing, scale_up

GROUP = "a" * 36


def shapes(*requests: tuple[int, dict[str, float]], **fields: Any) -> demand.Counted:
    return demand.counted(
        tuple(
            (say.ResourceRequest(tuple(amounts.items()), **fields), count)
            for count, amounts in requests
        )
    )


def offer(hosts: int = 1, labels: dict[str, str] | None = None, **total: float) -> packing.Offer:
    return packing.Offer({name: int(x * 10_000) for name, x in total.items()}, labels or {}, hosts)


def source(name: str, *offers: packing.Offer, room: int = 100, **fields: Any) -> packing.Source:
    return packing.Source(name, room, offers, **fields)


def node(
    name: str, *, free: float | None = None, labels: dict[str, str] | None = None, **total: float
) -> packing.Bin:
    amounts = {key: int(x * 10_000) for key, x in total.items()}
    left = amounts if free is None else {**amounts, "CPU": int(free * 10_000)}
    return packing.Bin("g", left, amounts, labels or {}, (name,))


def gang(strategy: str, *bundles: dict[str, float], **fields: Any) -> say.Gang:
    marks = {"STRICT_SPREAD": {"apart": f"_PG_{GROUP}"}, "STRICT_PACK": {"together": "_PG_x"}}
    mark: dict[str, Any] = dict(marks.get(strategy, {}))
    requests = tuple(
        say.ResourceRequest(tuple(sorted(each.items())), **mark, **fields) for each in bundles
    )
    return say.Gang((requests,), f"{GROUP}:{strategy}|PENDING")


def solve(
    *sources: packing.Source,
    bins: tuple[packing.Bin, ...] = (),
    requests: demand.Counted = (),
    gangs: tuple[say.Gang, ...] = (),
    constraint: demand.Counted = (),
    stuck: tuple[packing.Bin, ...] = (),
) -> scale_up.Solution:
    asked = demand.normalised(say.Demand(gangs=gangs))
    wanted = demand.Demand(requests=requests, gangs=asked.gangs, constraint=constraint)
    failing = {each.group for each in stuck}
    problem = scale_up.Problem(
        demand=wanted,
        bins=(*bins, *(each._replace(is_stuck=True) for each in stuck)),
        sources=tuple(each._replace(is_failing=each.group in failing) for each in sources),
    )
    return scale_up.solve(problem)


def test_as_few_nodes_as_will_do() -> None:
    for count, nodes in ((40, 3), (200, 13)):
        found = solve(source("cpu", offer(CPU=16)), requests=shapes((count, {"CPU": 1})))
        assert (found.launches, found.left) == ({"cpu": nodes}, ())


def test_nodes_that_are_there_come_first() -> None:
    bins = (node("a", free=1, CPU=2), node("b", CPU=2))
    found = solve(source("cpu", offer(CPU=2)), bins=bins, requests=shapes((4, {"CPU": 1})))
    assert (found.launches, found.needed) == ({"cpu": 1}, frozenset("ab"))
    assert [count for _, count in found.shortage] == [1]


@pytest.mark.parametrize(
    ("request_", "room", "launched"),
    [({"CPU": 1}, 5, "cpu"), ({"CPU": 1}, 0, "gpu"), ({"CPU": 1, "GPU": 1}, 5, "gpu")],
)
def test_gpus_are_for_who_asks_for_them(
    request_: dict[str, float], room: int, launched: str
) -> None:
    groups = (source("gpu", offer(CPU=4, GPU=1)), source("cpu", offer(CPU=4), room=room))
    assert solve(*groups, requests=shapes((1, request_))).launches == {launched: 1}


def test_priority_decides_between_equals_only() -> None:
    low, high = source("low", offer(CPU=4)), source("high", offer(CPU=4), priority=5)
    assert solve(low, high, requests=shapes((1, {"CPU": 1}))).launches == {"high": 1}
    wasteful = source("big", offer(CPU=400), priority=9)
    assert solve(low, wasteful, requests=shapes((4, {"CPU": 1}))).launches == {"low": 1}


def test_a_group_that_failed_lately_is_the_last_choice() -> None:
    failed, other = source("a", offer(CPU=4), availability=0.0), source("b", offer(CPU=4))
    assert solve(failed, other, requests=shapes((1, {"CPU": 1}))).launches == {"b": 1}
    assert solve(failed, requests=shapes((1, {"CPU": 1}))).launches == {"a": 1}


def test_a_group_whose_pods_hang_grows_last() -> None:
    """First others grow, then what hangs is counted on, and only then more of it are made."""
    stuck = (node("s", CPU=4),)
    failing, other = source("g", offer(CPU=4)), source("other", offer(CPU=8), room=2)
    for count, launches, left in (
        (16, {"other": 2}, 0),
        (20, {"other": 2}, 4),
        (28, {"other": 2, "g": 2}, 4),
    ):
        found = solve(failing, other, stuck=stuck, requests=shapes((count, {"CPU": 1})))
        assert (found.launches, sum(each for _, each in found.left)) == (launches, left)
        assert ("s" in found.needed) is bool(left)


def test_of_groups_whose_pods_hang_the_one_that_failed_longest_ago_grows() -> None:
    stuck = (node("s", CPU=4), node("t", CPU=4)._replace(group="h"))
    groups = (source("g", offer(CPU=4), availability=0.0), source("h", offer(CPU=4)))
    found = solve(*groups, stuck=stuck, requests=shapes((3, {"CPU": 4})))
    assert (found.launches, found.needed) == ({"h": 1}, frozenset("st"))


@pytest.mark.parametrize(
    ("replicas", "launches"), [(1, {}), (2, {"g": 1}), (4, {"g": 3}), (7, {})], ids=str
)
def test_a_gang_of_which_some_nodes_hang(replicas: int, launches: dict[str, int]) -> None:
    """What nothing is launched for is still left, though it is counted on."""
    found = solve(
        source("g", offer(CPU=4), room=5),
        stuck=(node("s", CPU=4),),
        gangs=(gang("STRICT_SPREAD", *[{"CPU": 4.0}] * replicas),),
    )
    assert (found.launches, len(found.left_gangs)) == (launches, int(not launches))
    assert found.needed == (frozenset("s") if replicas < 7 else frozenset())


def test_what_hangs_serves_one_only() -> None:
    """A constraint holds what others use as well; a gang doesn't."""
    stuck = (node("s", CPU=4),)
    gangs = (gang("PACK", {"CPU": 4.0}),)
    wanted = shapes((1, {"CPU": 4}))
    groups = source("g", offer(CPU=4))
    assert solve(groups, stuck=stuck, gangs=gangs, requests=wanted).launches == {"g": 1}
    assert solve(groups, stuck=stuck, gangs=gangs, constraint=wanted).launches == {}


def test_what_hangs_is_the_last_resort_after_it_was_that_of_a_gang() -> None:
    stuck = (node("s", CPU=4), node("t", CPU=4))
    groups = (source("g", offer(CPU=4)), source("other", offer(CPU=2)))
    gangs, wanted = (gang("STRICT_PACK", {"CPU": 4.0}),), shapes((1, {"CPU": 2}))
    found = solve(*groups, stuck=stuck, gangs=gangs, requests=wanted)
    assert (found.launches, found.needed) == ({"other": 1}, frozenset("s"))


def test_hosts_that_hang_are_counted_on_by_the_replica() -> None:
    stuck = tuple(node(name, CPU=4) for name in "stuv")
    slices = source("g", offer(hosts=4, CPU=4))
    for count, launches in ((4, {}), (5, {"g": 1}), (8, {"g": 1}), (9, {"g": 2})):
        found = solve(slices, stuck=stuck, requests=shapes((count, {"CPU": 4})))
        assert found.launches == launches


def test_strictly_spread_bundles_get_nodes_of_their_own() -> None:
    bundles = [{"CPU": 2.0}] * 3
    spread = gang("STRICT_SPREAD", *bundles)
    assert solve(source("cpu", offer(CPU=4)), gangs=(spread,)).launches == {"cpu": 3}
    taken = node("a", CPU=4, labels={f"_PG_{GROUP}": ""})
    found = solve(source("cpu", offer(CPU=4)), bins=(taken, node("b", CPU=4)), gangs=(spread,))
    assert (found.launches, found.needed) == ({"cpu": 2}, frozenset("b"))


def test_strictly_packed_bundles_share_a_node() -> None:
    pack = gang("STRICT_PACK", {"CPU": 2.0}, {"CPU": 3.0})
    small, large = source("small", offer(CPU=4)), source("large", offer(CPU=8))
    assert solve(small, large, gangs=(pack,)).launches == {"large": 1}
    assert len(solve(small, gangs=(pack,)).left_gangs) == 1


def test_packed_bundles_may_share_one() -> None:
    pack = gang("PACK", {"CPU": 2.0}, {"CPU": 1.0, "GPU": 1.0})
    groups = (source("cpu", offer(CPU=4)), source("gpu", offer(CPU=4, GPU=1)))
    assert solve(*groups, gangs=(pack,)).launches == {"gpu": 1}


def test_a_gang_is_all_or_nothing() -> None:
    pack = gang("PACK", *[{"CPU": 4.0}] * 3)
    found = solve(source("cpu", offer(CPU=4), room=2), gangs=(pack,))
    assert (found.launches, len(found.left_gangs)) == ({}, 1)


def test_a_gang_of_one_zone() -> None:
    request = say.ResourceRequest((("CPU", 4.0),))
    one = say.Gang(((request, request),), "x:PACK|PENDING", "zone")
    a = source("a", offer(CPU=4, labels={"zone": "a"}), room=1)
    b = source("b", offer(CPU=4, labels={"zone": "b"}), room=2)
    assert solve(a, b, gangs=(one,)).launches == {"b": 2}
    assert len(solve(a, gangs=(one,)).left_gangs) == 1


def test_a_constraint_counts_what_is_busy() -> None:
    busy = (node("a", free=0, CPU=2), node("b", free=0, CPU=2))
    groups = source("cpu", offer(CPU=2))
    wanted = shapes((3, {"CPU": 1}))
    found = solve(groups, bins=busy, constraint=wanted)
    assert (found.launches, found.needed) == ({}, frozenset("ab"))
    assert solve(groups, bins=busy, constraint=shapes((5, {"CPU": 1}))).launches == {"cpu": 1}
    none = solve(source("cpu", offer(CPU=2), room=0), bins=busy, constraint=shapes((9, {"CPU": 1})))
    assert none.left_constraint
    assert none.needed == frozenset()


def test_whole_replicas() -> None:
    slices = source("tpu", offer(hosts=4, CPU=8))
    assert solve(slices, requests=shapes((1, {"CPU": 1}))).launches == {"tpu": 1}
    assert solve(slices, requests=shapes((5, {"CPU": 8}))).launches == {"tpu": 2}
    # The rest of a replica serves what else there is.
    assert solve(slices, requests=shapes((3, {"CPU": 8}), (1, {"CPU": 7}))).launches == {"tpu": 1}


def test_one_head_of_a_slice() -> None:
    first, others = offer(1, CPU=8, TPU=4, head=1), offer(3, CPU=8, TPU=4)
    found = solve(source("tpu", first, others), requests=shapes((2, {"head": 1}), (6, {"TPU": 4})))
    assert (found.launches, found.left) == ({"tpu": 2}, ())


@pytest.mark.parametrize(("is_in", "launched"), [(True, {"arm": 1}), (False, {"plain": 1})])
def test_selectors(is_in: bool, launched: dict[str, int]) -> None:
    """NOT_IN holds of a node without the label, too."""
    groups = (source("plain", offer(CPU=4)), source("arm", offer(CPU=4, labels={"arch": "arm"})))
    wanted = (say.LabelConstraint("arch", is_in, ("arm",)),)
    assert (
        solve(*groups, requests=shapes((1, {"CPU": 1}), selectors=(wanted,))).launches == launched
    )


def test_alternatives_in_their_order() -> None:
    a, b = (
        (say.LabelConstraint("zone", True, ("a",)),),
        (say.LabelConstraint("zone", True, ("b",)),),
    )
    zones = [source(z, offer(CPU=4, labels={"zone": z}), room=1) for z in "ba"]
    wanted = shapes((1, {"CPU": 4}), selectors=(a, b))
    assert solve(*zones, requests=wanted).launches == {"a": 1}
    assert solve(zones[0], requests=wanted).launches == {"b": 1}


def test_the_work_does_not_grow_with_numbers() -> None:
    groups = [source(f"g{i}", offer(CPU=16 + i), room=10**9) for i in range(20)]

    def seconds(count: int) -> float:
        members = tuple(f"n{i}" for i in range(count))
        total = {"CPU": 160_000}
        bins = (packing.Bin("g", {"CPU": 90_000}, total, {}, members),)
        many = shapes(*((1000 * count, {"CPU": 1 + i / 100}) for i in range(5)))
        started = time.process_time()
        found = solve(*groups, bins=bins, requests=many)
        assert (found.left, len(found.needed)) == ((), count)
        return time.process_time() - started

    seconds(1)
    assert seconds(10_000) < 10 * seconds(10) + 0.1
