"""Every world becomes the wanted one, also when the operator dies in the middle."""

from typing import Any

import pytest

from ray_operator import names, records
from ray_operator.raycluster import observed as seen
from tests.unit import builders
from tests.unit.raycluster import world as worlds

THREE_AND_TWO = [builders.group("a", replicas=3), builders.group("b", replicas=2)]
WANTED = [
    ("Pod", "a", "0"),
    ("Pod", "a", "1"),
    ("Pod", "a", "2"),
    ("Pod", "b", "0"),
    ("Pod", "b", "1"),
    ("Pod", "headgroup", ""),
    ("Service", "demo-head-svc", ""),
]


def labelled(name: str, group: str, **fields: Any) -> records.Pod:
    return builders.worker(name, group=group, **fields)


STARTS = {
    "nothing": worlds.World(),
    "too many": worlds.World(
        observed=seen.Observed(
            pods=tuple(labelled(f"a-{n}", "a", index=n) for n in range(7)),
            services=(builders.head_service(),),
        )
    ),
    "broken ones": worlds.World(
        observed=seen.Observed(
            pods=(
                builders.pod(phase="Failed", ready=False),
                labelled("a-0", "a", index=0, phase="Failed"),
                labelled("a-1", "a", index=1),
                labelled("b-0", "b", index=0, phase="Succeeded"),
            )
        )
    ),
    "two heads": worlds.World(
        observed=seen.Observed(pods=(builders.pod("head-1"), builders.pod("head-2")))
    ),
    "all on the way out": worlds.World(
        observed=seen.Observed(
            pods=(
                builders.pod(deletion_at=builders.NOW),
                labelled("a-0", "a", index=0, deletion_at=builders.NOW),
            )
        )
    ),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
@pytest.mark.parametrize("crash_after", [None, *range(8)])
def test_every_start_and_every_crash_end_in_the_wanted_world(
    start: worlds.World, crash_after: int | None
) -> None:
    cluster = builders.raycluster(groups=THREE_AND_TWO)
    if not worlds.decide(cluster, start).actions:
        start = start.settle()
    end = worlds.converge(cluster, start, crash_after=crash_after)
    assert end.shape() == WANTED
    assert worlds.decide(cluster, end).actions == ()


def test_scaling_in_keeps_the_lowest_indices() -> None:
    big = worlds.converge(builders.raycluster(groups=THREE_AND_TWO), worlds.World())
    small = [builders.group("a", replicas=1), builders.group("b", replicas=0)]
    end = worlds.converge(builders.raycluster(groups=small), big)
    assert end.shape() == [
        ("Pod", "a", "0"),
        ("Pod", "headgroup", ""),
        ("Service", "demo-head-svc", ""),
    ]
    kept = {pod.uid for pod in end.observed.pods}
    assert kept < {pod.uid for pod in big.observed.pods}


def test_every_child_is_controlled_by_the_cluster_and_found_by_its_labels() -> None:
    end = worlds.converge(builders.raycluster(groups=THREE_AND_TWO), worlds.World())
    children: list[records.Pod | records.Service] = [*end.observed.pods, *end.observed.services]
    assert {child.owner for child in children} == {
        records.Owner("RayCluster", "demo", builders.UID)
    }
    assert {child.labels[names.CLUSTER_LABEL] for child in children} == {"demo"}
