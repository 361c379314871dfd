"""Whatever asks for the same comes out the same."""

import pytest

from ray_operator import scaling_records as say
from ray_operator.autoscaler import demand

GROUP = "0123456789abcdef" * 2 + "0123"
ANYWHERE: say.Selector = ()


def zone(*values: str) -> say.Selector:
    return (say.LabelConstraint("zone", True, values),)


def request(cpus: float = 1, *selectors: say.Selector, **amounts: float) -> say.ResourceRequest:
    return say.ResourceRequest(tuple({"CPU": cpus, **amounts}.items()), selectors)


def counted(*given: tuple[say.ResourceRequest, int]) -> list[tuple[str, int]]:
    return [(str(shape), count) for shape, count in demand.counted(given)]


def test_equal_requests_are_one() -> None:
    assert counted((request(), 2), (request(), 3), (request(2), 1)) == [
        ("{CPU: 2}", 1),
        ("{CPU: 1}", 5),
    ]


def test_an_empty_selector_is_none() -> None:
    """Ray since 2.49 adds one to each request."""
    assert counted((request(1, ANYWHERE), 1), (request(), 1)) == [("{CPU: 1}", 2)]


def test_an_empty_one_behind_others_is_the_last_choice() -> None:
    assert counted((request(1, zone("a"), ANYWHERE), 1)) == [
        ("{CPU: 1} where zone is a or anywhere", 1)
    ]


@pytest.mark.parametrize("name", [f"CPU_group_{GROUP}", f"bundle_group_0_{GROUP}"])
def test_what_waits_for_a_placement_group_asks_for_no_node(name: str) -> None:
    assert counted((request(0, **{name: 0.001}), 7)) == []


def test_what_every_node_has_is_not_asked_for() -> None:
    implicit = {"node:__internal_implicit_resource_x": 0.5, "memory": 0.0}
    assert counted((request(1, **implicit), 1)) == [("{CPU: 1}", 1)]


def test_parts_are_never_rounded_down() -> None:
    ((shape, _),) = demand.counted(((request(0.1 + 0.2), 1),))
    assert shape.amounts == (("CPU", 3000),)
    ((shape, _),) = demand.counted(((request(0.00001), 1),))
    assert shape.amounts == (("CPU", 1),)


def test_the_hardest_come_first() -> None:
    given = [request(8), request(1, GPU=1), request(1, zone("a"))]
    assert [text for text, _ in counted(*((each, 1) for each in given))] == [
        "{CPU: 1} where zone is a",
        "{CPU: 1, GPU: 1}",
        "{CPU: 8}",
    ]


def test_of_too_many_shapes_the_rarest_wait() -> None:
    given = tuple((request(i + 1), i + 1) for i in range(demand.MOST_SHAPES + 5))
    found = demand.normalised(say.Demand(given)).requests
    assert len(found) == demand.MOST_SHAPES
    assert min(count for _, count in found) == 6


def test_an_empty_gang_is_none() -> None:
    assert demand.normalised(say.Demand(gangs=(say.Gang(((),)), say.Gang(())))).gangs == ()
