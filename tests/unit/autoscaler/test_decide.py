"""What is decided of what Ray says, look by look."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import names, ray_records, records
from ray_operator import scaling_records as say
from ray_operator.autoscaler import (
    decide,
    demand,
    memory,
    options,
    patch,
    question,
    scale_up,
    survey,
)
from ray_operator.raycluster import autoscaling
from tests.unit import builders

SECOND = timedelta(seconds=1)
Status = ray_records.NodeStatus
HEAD = builders.pod(name="head")


def node(
    name: str, *, free: float = 1.0, idle: float | None = 0.1, **fields: Any
) -> ray_records.RayNode:
    given: dict[str, Any] = {
        "status": Status.RUNNING if idle is None else Status.IDLE,
        "idle": timedelta(seconds=idle or 0),
        "available": {"CPU": free} if free else {},
        "total": {"CPU": 1.0},
    }
    return ray_records.RayNode(f"id-{name}".encode(), name, **(given | fields))


def head() -> ray_records.RayNode:
    total = {"node:__internal_head__": 1.0}
    return node("head", free=0, total=total, available=total)


def requests(count: int, **amounts: float) -> say.Demand:
    return say.Demand(((say.ResourceRequest(tuple(amounts.items())), count),))


def worker(name: str, **fields: Any) -> records.Pod:
    return builders.worker(name, **fields)


class World:
    """A cluster of one group, of which is decided again and again."""

    def __init__(self, *, replicas: int, minimum: int = 0, maximum: int = 10, **spec: Any) -> None:
        given = {"idleTimeoutSeconds": 10, **spec.pop("group", {})}
        group = builders.group(replicas=replicas, minReplicas=minimum, maxReplicas=maximum, **given)
        self.cluster = builders.raycluster(groups=[group], enableInTreeAutoscaling=True, **spec)
        self.memory = memory.Memory()
        self.now = builders.NOW
        self.version = 0
        self.session = "s1"
        self.templates: dict[str, str] = {}

    def look(
        self,
        pods: Sequence[records.Pod],
        nodes: Sequence[ray_records.RayNode],
        wanted: say.Demand | None = None,
        *,
        after: timedelta = SECOND,
    ) -> decide.Decision:
        self.now += after
        self.version += 1
        state = ray_records.ResourceState(
            self.now,
            (head(), *nodes),
            demand=wanted or say.Demand(),
            session=self.session,
            version=self.version,
        )
        self.memory = memory.look(
            self.memory, state, head="h", idle_timeout=timedelta(seconds=10), now=self.now
        )
        outline = survey.outline(self.cluster, templates=self.templates, known={})
        self.view = survey.filled(outline, [HEAD, *pods], state)
        self.asked = question.Question(
            cluster=self.view,
            demand=demand.normalised(state.demand),
            has_drivers=False,
            options=options.read(self.cluster.spec.autoscaler_options),
        )
        solution = scale_up.solve(question.problem(self.asked, self.memory, self.now))
        decision, self.memory = decide.decide(self.asked, solution, self.memory, self.now)
        return decision

    def set(self, replicas: int) -> None:
        """Take over what was decided."""
        (group,) = self.cluster.spec.worker_group_specs
        groups = [group.model_copy(update={"replicas": replicas})]
        spec = self.cluster.spec.model_copy(update={"worker_group_specs": groups})
        self.cluster = self.cluster.model_copy(update={"spec": spec})

    def change(self, decision: decide.Decision) -> dict[str, Any]:
        """Return the fields that the decision sets, if Ray agrees."""
        gone: dict[str, list[tuple[str, ...]]] = {}
        for each in decision.removals:
            gone.setdefault(each.group, []).append(tuple(one.pod for one in each.workers))
        found = patch.operations(self.view.groups, launches=decision.launches, gone=gone)
        return {
            each["path"].rpartition("/")[2]: each["value"] for each in found if each["op"] != "test"
        }


def test_from_nothing_it_acts_at_once() -> None:
    world = World(replicas=0)
    decision = world.look([], [], requests(4, CPU=1))
    assert world.change(decision) == {"replicas": 4}
    assert decision.look_after == decide.Pace.BUSY
    assert "no node has room for 4 of {CPU: 1}" in decision.why


def test_what_waits_beside_a_node_that_just_took_work_is_doubted_once() -> None:
    world = World(replicas=1)
    one = [worker("a")]
    assert world.change(world.look(one, [node("a", idle=5)])) == {}
    busy = [node("a", free=0, idle=None)]
    assert world.change(world.look(one, busy, requests(1, CPU=1))) == {}
    assert world.change(world.look(one, busy, requests(1, CPU=1))) == {"replicas": 2}


def test_what_waits_beside_nodes_that_stay_full_is_believed() -> None:
    world = World(replicas=1)
    one, busy = [worker("a")], [node("a", free=0, idle=None)]
    world.look(one, busy)
    world.look(one, busy, requests(1, GPU=1))
    assert world.change(world.look(one, busy, requests(1, CPU=1))) == {"replicas": 2}


def test_pods_on_their_way_count() -> None:
    world = World(replicas=3)
    coming = worker("b", phase="Pending", ready=False, ip="")
    pods, busy = [worker("a"), coming], [node("a", free=0, idle=None)]
    world.look(pods, busy)
    assert world.change(world.look(pods, busy, requests(2, CPU=1))) == {}
    assert world.change(world.look(pods, busy, requests(3, CPU=1))) == {"replicas": 4}


def test_an_idle_worker_goes_after_two_looks() -> None:
    world = World(replicas=2)
    pods, nodes = [worker("a"), worker("b")], [node("a", idle=20), node("b", idle=3)]
    for _ in range(2):
        assert world.look(pods, nodes).removals == ()
    decision = world.look(pods, nodes)
    assert world.change(decision) == {
        "replicas": 1,
        "scaleStrategy": {"workersToDelete": ["a"]},
    }
    (removal,) = decision.removals
    assert (removal.drains, removal.why) == (True, "idle for 20 s, more than 10 s")


@pytest.mark.parametrize(
    ("fields", "wanted", "idle"),
    [
        ({"minimum": 2}, None, 20),
        ({}, None, None),
        ({}, say.Demand(constraint=requests(2, CPU=1).requests), 20),
        ({"group": {"idleTimeoutSeconds": 30}}, None, 20),
    ],
    ids=["minimum", "busy", "constraint", "timeout"],
)
def test_what_is_needed_stays(
    fields: dict[str, Any], wanted: say.Demand | None, idle: float | None
) -> None:
    world = World(replicas=2, **fields)
    pods = [worker("a"), worker("b")]
    for _ in range(5):
        decision = world.look(pods, [node("a", idle=idle), node("b", idle=idle)], wanted)
        assert (decision.removals, world.change(decision)) == ((), {})


def test_one_busy_host_keeps_its_replica() -> None:
    labels = {names.REPLICA_NAME_LABEL: "r1"}
    pods = [worker(f"h{i}") for i in range(4)]
    pods = [records_with(pod, labels) for pod in pods]
    world = World(replicas=1, group={"numOfHosts": 4})
    nodes = [node(f"h{i}", idle=20) for i in range(4)]
    for _ in range(4):
        assert world.look(pods, [*nodes[:3], node("h3", free=0, idle=None)]).removals == ()
    world.look(pods, nodes)
    (removal,) = world.look(pods, nodes).removals
    assert [each.pod for each in removal.workers] == ["h0", "h1", "h2", "h3"]


def records_with(pod: records.Pod, labels: dict[str, str]) -> records.Pod:
    return msgspec.structs.replace(pod, labels={**pod.labels, **labels})


def test_a_host_that_is_asked_for_brings_a_replica() -> None:
    world = World(replicas=0, group={"numOfHosts": 4})
    assert world.change(world.look([], [], requests(1, CPU=1))) == {"replicas": 1}


def test_a_new_life_of_the_gcs_is_believed_later() -> None:
    world = World(replicas=2)
    pods, nodes = [worker("a"), worker("b")], [node("a", idle=20), node("b", idle=20)]
    world.look(pods, nodes)
    world.version = -1  # counts from the start again
    assert world.look(pods, nodes, requests(9, CPU=1)).launches == {}
    for _ in range(25):
        assert world.look(pods, nodes).removals == ()
    for _ in range(9):
        decision = world.look(pods, nodes)
    assert len(decision.removals) == 2


def test_a_constraint_that_a_gcs_forgot_is_told_again() -> None:
    wanted = requests(3, CPU=1).requests
    before = memory.Memory(session="s", version=7, constraint=wanted, looks=1)
    state = ray_records.ResourceState(builders.NOW, (), session="s", version=1)
    assert memory.lost_constraint(before, state) == wanted
    assert memory.lost_constraint(before, replace(state, version=9)) == ()
    assert memory.lost_constraint(before, replace(state, session="t")) == ()


def test_dead_nodes_change_nothing() -> None:
    world = World(replicas=1)
    dead = [node(f"old{i}", status=Status.DEAD) for i in range(1000)]
    dead.append(node("a", status=Status.DEAD))
    pods = [worker("a")]
    for _ in range(20):
        decision = world.look(pods, [*dead, node("a", idle=3)])
        assert (decision.removals, decision.launches) == ((), {})


def test_a_drained_worker_is_given_up_by_whoever_leads_then() -> None:
    """The operator may have died between Ray's consent and the patch."""
    world = World(replicas=1)
    pods, nodes = [worker("a")], [node("a", status=Status.DEAD)]
    for _ in range(10):
        assert world.look(pods, nodes).removals == ()
    decision = world.look(pods, nodes)
    assert [each.drains for each in decision.removals] == [False]
    assert world.change(decision) == {"replicas": 0, "scaleStrategy": {"workersToDelete": ["a"]}}


def test_replicas_that_a_manifest_set_back_are_raised_again() -> None:
    world = World(replicas=0)
    pods = [worker("a"), worker("b")]
    nodes = [node("a", free=0, idle=None), node("b", free=0, idle=None)]
    assert world.change(world.look(pods, nodes)) == {"replicas": 2}


def test_bounds_are_not_written_back() -> None:
    world = World(replicas=0, minimum=2)
    assert world.change(world.look([worker("a"), worker("b")], [node("a"), node("b")])) == {}


def test_names_of_pods_that_are_gone_leave_the_list() -> None:
    listed = {"scaleStrategy": {"workersToDelete": ["x", "y"]}}
    world = World(replicas=1, group=listed)
    pods = [worker("a"), worker("y")]
    change = world.change(world.look(pods, [node("a")]))
    assert change == {"scaleStrategy": {"workersToDelete": ["y"]}}


@pytest.mark.parametrize(
    ("amounts", "why", "is_infeasible"),
    [
        ({"CPU": 2}, "no worker group can hold it", True),
        ({"CPU": 1}, "maxReplicas reached: small (1)", False),
    ],
)
def test_what_gets_no_node_is_explained(
    amounts: dict[str, float], why: str, is_infeasible: bool
) -> None:
    world = World(replicas=1, maximum=1)
    pods, busy = [worker("a")], [node("a", free=0, idle=None)]
    world.look(pods, busy, requests(3, **amounts))
    decision = world.look(pods, busy, requests(3, **amounts))
    (unmet,) = decision.unmet
    assert (unmet.why, unmet.is_infeasible, unmet.count) == (why, is_infeasible, 3)
    assert bool(decision.told.infeasible) is is_infeasible


def test_a_pod_that_no_node_takes_is_no_node_to_come() -> None:
    stuck = worker("b", phase="Pending", ready=False, ip="", unscheduled="0/3 nodes", index=1)
    world = World(replicas=1)
    decision = world.look([stuck], [], requests(1, CPU=1))
    (unmet,) = decision.unmet
    assert (decision.launches, unmet.why) == ({}, "Unschedulable: 0/3 nodes")


BAD_NODE = (
    records.Container(
        "ray-worker", state="waiting", reason="ImagePullBackOff", message="no registry"
    ),
)


def hung(name: str, **fields: Any) -> records.Pod:
    return worker(name, **{"phase": "Pending", "ready": False, "ip": "", **fields})


@pytest.mark.parametrize(
    "obstacle", [{"containers": BAD_NODE}, {"unscheduled": "0/3 nodes"}], ids=["image", "node"]
)
@pytest.mark.parametrize("kind", ["plain", "gang", "constraint"])
def test_one_pod_that_hangs_does_not_hold_up_its_group(kind: str, obstacle: dict[str, Any]) -> None:
    request = say.ResourceRequest((("CPU", 1.0),))
    asked = {
        "plain": say.Demand(((request, 9),)),
        "gang": say.Demand(gangs=(say.Gang(((request,) * 9,), "x:PACK|PENDING"),)),
        "constraint": say.Demand(constraint=((request, 5 + 9),)),
    }
    world = World(replicas=6, maximum=20)
    pods = [*(worker(f"w{i}") for i in range(5)), hung("bad", **obstacle)]
    busy = [node(f"w{i}", free=0, idle=None) for i in range(5)]
    world.look(pods, busy)
    # The ninth is for the one that hangs, should it start yet.
    decision = world.look(pods, busy, asked[kind])
    assert (decision.launches, decision.removals) == ({"small": 8}, ())
    assert world.change(decision) == {"replicas": 14}
    assert [each.count for each in decision.unmet] == ([1] if kind == "plain" else [])


def test_a_group_with_a_pod_that_hangs_grows_up_to_its_bound() -> None:
    world = World(replicas=3, maximum=5)
    pods = [worker("a"), worker("b"), hung("bad", unscheduled="0/3 nodes")]
    busy = [node("a", free=0, idle=None), node("b", free=0, idle=None)]
    world.look(pods, busy)
    decision = world.look(pods, busy, requests(9, CPU=1))
    (unmet,) = decision.unmet
    assert (decision.launches, unmet.count) == ({"small": 2}, 7)


def test_what_hangs_is_told_from_what_is_on_its_way_and_counts_last() -> None:
    world = World(replicas=5)
    bad = [hung(f"bad{i}", unscheduled="0/3 nodes") for i in range(2)]
    pods = [*bad, hung("new"), worker("a"), worker("b")]
    request = say.ResourceRequest((("CPU", 1.0),))
    gang = say.Gang(((request,) * 4,), "x:PACK|PENDING")
    decision = world.look(pods, [node("a", idle=1), node("b", idle=1)], say.Demand(gangs=(gang,)))
    solution = scale_up.solve(question.problem(world.asked, world.memory, world.now))
    assert (decision.launches, sorted(solution.needed)) == ({}, ["a", "b", "bad0", "new"])


def test_a_group_whose_pods_are_refused_does_not_grow() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    world = World(replicas=2, status={"conditions": [failure]})
    busy = [node("a", free=0, idle=None)]
    world.look([worker("a")], busy)
    looks = [world.look([worker("a")], busy, requests(3, CPU=1)) for _ in range(130)]
    assert (looks[0].launches, looks[-1].launches) == ({"small": 2}, {})
    assert [(each.count, each.why) for each in looks[-1].unmet] == [(2, "exceeded quota")]


@pytest.mark.parametrize("mode", ["Default", "Conservative"])
@pytest.mark.parametrize("kind", ["plain", "gang", "constraint"])
def test_pods_that_all_hang_never_become_more_than_are_asked_for(kind: str, mode: str) -> None:
    """For as long as three hours, in which no one is given back either: it would come back."""
    request = say.ResourceRequest((("CPU", 1.0),))
    asked = {
        "plain": say.Demand(((request, 7),)),
        "gang": say.Demand(gangs=(say.Gang(((request,) * 7,), "x:PACK|PENDING"),)),
        "constraint": say.Demand(constraint=((request, 7),)),
    }
    world = World(replicas=0, maximum=20, autoscalerOptions={"upscalingMode": mode})
    pods: list[records.Pod] = []
    most = 0
    for _ in range(540):
        decision = world.look(pods, [], asked[kind], after=20 * SECOND)
        assert decision.removals == ()
        if change := world.change(decision):
            world.set(change["replicas"])
            pods += [
                hung(f"w{i}", unscheduled="0/3 nodes", created_at=world.now)
                for i in range(len(pods), change["replicas"])
            ]
        most = max(most, len(pods))
    assert most == (1 if mode == "Conservative" else 7)


def test_the_first_that_starts_after_hours_calls_off_none_of_those_made_with_it() -> None:
    """New ones would wait just as they do."""
    world = World(replicas=8, maximum=8)
    old = world.now - timedelta(hours=3)
    first = worker("w0", created_at=old)
    pods = [first, *(hung(f"w{i}", unscheduled="0/3 nodes", created_at=old) for i in range(1, 8))]
    decision = world.look(pods, [node("w0", free=0, idle=None)], requests(8, CPU=1))
    assert decision.removals == ()


def test_of_those_that_a_later_one_outran_one_at_a_time_goes() -> None:
    world = World(replicas=4, maximum=4)
    old = world.now - timedelta(hours=3)
    pods = [
        worker("w0", created_at=world.now),
        *(hung(f"w{i}", unscheduled="0/3 nodes", created_at=old) for i in range(1, 4)),
    ]
    decision = world.look(pods, [node("w0", free=0, idle=None)], requests(8, CPU=1))
    assert len(decision.removals) == 1


def test_a_full_cluster_gets_no_more_pods_than_may_be_on_their_way() -> None:
    """Where nothing of a group starts, what hangs of it counts for as long as it does."""
    world = World(
        replicas=0,
        maximum=1000,
        autoscalerOptions={"env": [{"name": "AUTOSCALER_MAX_CONCURRENT_LAUNCHES", "value": "10"}]},
    )
    pods: list[records.Pod] = []
    for _ in range(60):
        decision = world.look(pods, [], requests(100, CPU=1), after=20 * SECOND)
        if change := world.change(decision):
            world.set(change["replicas"])
            pods += [
                hung(f"w{i}", unscheduled="0/3 nodes", created_at=world.now)
                for i in range(len(pods), change["replicas"])
            ]
    assert len(pods) == 10


def test_more_is_asked_for_while_all_hang() -> None:
    world = World(replicas=3, maximum=20)
    pods = [hung(f"w{i}", unscheduled="0/3 nodes") for i in range(3)]
    launched = [world.look(pods, [], requests(count, CPU=1)).launches for count in (3, 4, 7)]
    assert launched == [{}, {"small": 1}, {"small": 4}]


def test_a_pod_that_hung_for_an_hour_makes_way_where_others_start() -> None:
    world = World(replicas=2, maximum=2)
    bad = hung("bad", containers=BAD_NODE, created_at=world.now)
    later = worker("a", created_at=world.now + SECOND)
    pods, busy = [later, bad], [node("a", free=0, idle=None)]
    for _ in range(360):
        decision = world.look(pods, busy, requests(1, CPU=1), after=10 * SECOND)
        assert (decision.launches, decision.removals) == ({}, ())
    decision = world.look(pods, busy, requests(1, CPU=1))
    (removal,) = decision.removals
    assert (removal.drains, removal.why) == (
        False,
        "it hasn't started: ImagePullBackOff: no registry",
    )
    assert world.change(decision) == {"replicas": 1, "scaleStrategy": {"workersToDelete": ["bad"]}}
    world.set(1)
    decision = world.look(pods[:1], busy, requests(1, CPU=1))
    assert (decision.launches, decision.removals) == ({"small": 1}, ())


@pytest.mark.parametrize(
    ("minimum", "nodes", "why", "removed"),
    [
        (0, ["a"], "0/3 nodes", 1),
        (2, ["a"], "0/3 nodes", 0),
        (0, [], "0/3 nodes", 0),
        (0, ["a"], "", 0),
    ],
    ids=["goes", "minimum", "none runs", "slow only"],
)
def test_who_hung_for_an_hour_stays_if_a_new_one_would_do_no_better(
    minimum: int, nodes: list[str], why: str, removed: int
) -> None:
    world = World(replicas=2, minimum=minimum)
    old = world.now - timedelta(hours=2)
    pods = [worker("a", created_at=world.now), hung("bad", unscheduled=why, created_at=old)]
    running = [node(name, free=0, idle=None) for name in nodes]
    decision = world.look(pods, running, requests(2, CPU=1))
    assert len(decision.removals) == removed


def test_a_pod_whose_node_a_new_gcs_does_not_know_yet_is_not_given_up() -> None:
    world = World(replicas=2)
    beside_ray = {"containers": BAD_NODE, "created_at": world.now - timedelta(hours=2)}
    pods = [worker("a"), worker("b", **beside_ray)]
    busy = [node(name, free=0, idle=None) for name in "ab"]
    world.look(pods, busy, requests(2, CPU=1))
    world.version = -1  # counts from the start again
    for _ in range(20):
        assert world.look(pods, busy[:1], requests(2, CPU=1)).removals == ()


def test_a_template_of_which_nothing_runs_is_not_tried_again() -> None:
    """It is what may hinder its Pods, and those of an older one start all the same."""
    world = World(replicas=2)
    old = world.now - timedelta(hours=2)
    later = worker("a", created_at=world.now)
    pods = [later, hung("bad", containers=BAD_NODE, created_at=old)]
    busy = [node("a", free=0, idle=None)]
    world.templates = {"small": "new"}
    for of_a, removed in (("old", 0), ("new", 1)):
        annotations = {names.GROUP_HASH_ANNOTATION: of_a}
        pods[0] = msgspec.structs.replace(pods[0], annotations=annotations)
        assert len(world.look(pods, busy, requests(1, CPU=1)).removals) == removed


def test_a_group_recovers_from_when_its_pod_began_to_hang() -> None:
    world = World(replicas=1)
    bad = hung("bad", unscheduled="0/3 nodes", created_at=world.now)
    worse = hung("worse", unscheduled="0/3 nodes", created_at=world.now - timedelta(hours=1))
    found = []
    for seconds in (121, 10, 60, 240, 300):
        world.look([bad, worse], [], requests(2, CPU=1), after=seconds * SECOND)
        (source,) = question.problem(world.asked, world.memory, world.now).sources
        found.append(source.availability)
    assert found == [0.0, 0.0, 0.1, 0.5, 1.0]


def test_a_pod_on_its_way_that_nothing_asks_for_any_more() -> None:
    coming = worker("b", phase="Pending", ready=False, ip="")
    world = World(replicas=1)
    for _ in range(11):
        assert world.look([coming], []).removals == ()
    assert [each.drains for each in world.look([coming], []).removals] == [False]


def test_conservative_upscaling_is_slow() -> None:
    world = World(replicas=1, autoscalerOptions={"upscalingMode": "Conservative"})
    pods, busy = [worker("a")], [node("a", free=0, idle=None)]
    world.look(pods, busy)
    assert world.look(pods, busy, requests(9, CPU=1)).launches == {"small": 1}


def test_the_knobs_of_the_sidecar() -> None:
    env = [{"name": "AUTOSCALER_MAX_CONCURRENT_LAUNCHES", "value": "2"}]
    env += [{"name": "AUTOSCALER_UPDATE_INTERVAL_S", "value": "7"}, {"name": "X", "value": "1"}]
    world = World(replicas=0, autoscalerOptions={"env": env, "imagePullPolicy": "Always"})
    decision = world.look([], [], requests(9, CPU=1))
    assert (decision.launches, decision.look_after) == ({"small": 2}, 7 * SECOND)
    assert autoscaling.disregarded(world.cluster) == ["imagePullPolicy", "env X"]


def test_looks_get_rarer() -> None:
    world = World(replicas=0)
    paces: list[timedelta] = []
    at: datetime = world.now
    while world.now - at < timedelta(seconds=330):
        after = paces[-1] if paces else SECOND
        paces.append(world.look([], [], after=after).look_after)
    assert list(dict.fromkeys(paces)) == [
        decide.Pace.BUSY,
        decide.Pace.QUIET,
        decide.Pace.SLEEPY,
    ]


def test_what_is_on_its_way_is_never_called_off_for_being_much() -> None:
    world = World(replicas=5, autoscalerOptions={"upscalingMode": "Conservative"})
    pods = [worker(f"w{i}", phase="Pending", ready=False, ip="") for i in range(3)]
    assert world.change(world.look(pods, [], requests(9, CPU=1))) == {}


def test_a_stuck_pod_of_an_older_template_is_in_nobodys_way() -> None:
    stuck = worker("b", phase="Pending", ready=False, ip="", unscheduled="0/3 nodes")
    old = msgspec.structs.replace(stuck, annotations={names.GROUP_HASH_ANNOTATION: "old"})
    conservative = {"upscalingMode": "Conservative"}
    world = World(replicas=1, autoscalerOptions=conservative)
    assert world.look([old], [], requests(1, CPU=1)).launches == {"small": 1}
    world = World(replicas=1, autoscalerOptions=conservative)
    assert world.look([stuck], [], requests(1, CPU=1)).launches == {}


@pytest.mark.parametrize("kind", ["gang", "constraint"])
def test_nodes_of_a_gang_stay_while_one_of_it_is_stuck(kind: str) -> None:
    request = say.ResourceRequest((("CPU", 1.0),))
    asked = {
        "gang": say.Demand(gangs=(say.Gang(((request,) * 3,), "x:PACK|PENDING"),)),
        "constraint": say.Demand(constraint=((request, 3),)),
    }
    stuck = worker("c", phase="Pending", ready=False, ip="", unscheduled="0/3 nodes")
    pods = [worker("a"), worker("b"), stuck]
    world = World(replicas=3, maximum=3)
    for _ in range(15):
        decision = world.look(pods, [node("a", idle=20), node("b", idle=20)], asked[kind])
        assert (decision.removals, decision.launches) == ((), {})
    assert len(decision.unmet) == 1


def test_a_slice_that_lost_a_host_ends_and_goes() -> None:
    labels = {names.REPLICA_NAME_LABEL: "r1"}
    pods = [records_with(worker(name), labels) for name in ("h0", "h1")]
    world = World(replicas=1, group={"numOfHosts": 2})
    nodes = [node("h0", status=Status.DEAD), node("h1", free=0, idle=None)]
    for _ in range(10):
        assert world.look(pods, nodes).removals == ()
    (ending,) = world.look(pods, nodes).removals
    assert (ending.is_broken, ending.why) == (True, "it has lost a host")
    for _ in range(50):
        (removal,) = world.look(pods, nodes).removals
    assert (removal.is_broken, removal.drains) == (False, False)


def test_a_node_that_ended_doesnt_keep_another_from_going() -> None:
    """Nor does it count towards the fewest that there shall be."""
    world = World(replicas=2, minimum=1)
    pods = [worker("a"), worker("b")]
    nodes = [node("a", status=Status.DEAD), node("b", idle=20)]
    for _ in range(10):
        assert world.look(pods, nodes).removals == ()
    assert [each.workers[0].pod for each in world.look(pods, nodes).removals] == ["a"]


def test_a_gcs_that_came_back_after_a_miss_is_believed_later_too() -> None:
    world = World(replicas=1)
    world.look([worker("a")], [node("a", idle=20)])
    world.memory = memory.failed(world.memory)
    world.version = -1
    for _ in range(25):
        assert world.look([worker("a")], [node("a", idle=20)]).removals == ()


def test_only_a_busy_node_could_hold_it() -> None:
    """Ray may cancel what is called infeasible."""
    world = World(replicas=1, maximum=1)
    large = node("a", free=1, idle=None, total={"CPU": 8.0})
    world.look([worker("a")], [large], requests(1, CPU=8))
    (unmet,) = world.look([worker("a")], [large], requests(1, CPU=8)).unmet
    assert (unmet.is_infeasible, unmet.why) == (
        False,
        "only a node that is there could hold it, and is busy",
    )


def test_what_an_older_node_had_is_no_measure_for_new_ones() -> None:
    group = builders.group(replicas=1)
    cluster = builders.raycluster(groups=[group], enableInTreeAutoscaling=True)
    state = ray_records.ResourceState(builders.NOW, (node("a", total={"CPU": 4.0}),))
    outline = survey.outline(cluster, templates={"small": "new"}, known={})
    for template, learnt in (("old", {}), ("new", {"small": ("new", {"CPU": 40_000})})):
        pod = worker("a", annotations={names.GROUP_HASH_ANNOTATION: template})
        assert survey.learnt(survey.filled(outline, [pod], state)) == learnt
